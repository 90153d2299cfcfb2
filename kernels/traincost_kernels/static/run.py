"""Static costs of many subjects, compiled and counted in worker processes, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Self

from traincost_kernels.static.binary import Binary
from traincost_kernels.static.cost import StaticCost, static_cost
from traincost_kernels.static.measure import Counts
from traincost_kernels.static.pool import Pool, WorkerError, WorkerUnavailableError
from traincost_kernels.static.subject import Subject


class StaticRun:
    """Compiles and counts in the background from its start; answers wait for what they need.

    A subject is counted once for all its targets. Ours must be countable; a peer whose kernels the
    interpreter cannot run keeps what the compiler says.
    """

    def __init__(self, wanted: Iterable[tuple[Subject, str]], workers: int | None = None) -> None:
        """Start on these pairs of a subject and a target."""
        self.pool = Pool(workers)
        self._compiled: dict[tuple[Subject, str], Future[Any]] = {}
        self._counted: dict[Subject, Future[Any]] = {}
        for subject, arch in wanted:
            counted = subject.counted_as
            if counted not in self._counted:
                self._counted[counted] = self.pool.submit("count", counted)
            if (subject, arch) not in self._compiled:
                self._compiled[subject, arch] = self.pool.submit("compile", subject, arch)

    def cost(self, subject: Subject, phase: str, arch: str) -> StaticCost:
        """The cost of one phase.

        Raises:
            WorkerUnavailableError: It needs something that is not installed.
            WorkerError: A kernel does not compile, or one of ours cannot be counted.
        """
        binaries: Mapping[str, tuple[Binary, ...]] = self._compiled[subject, arch].result()
        if not binaries[phase]:
            raise WorkerUnavailableError(f"{subject.impl} launches no Triton kernel in {phase}")
        try:
            counts: Mapping[str, Counts] = self._counted[subject.counted_as].result()
        except WorkerError as e:
            if subject.impl == "triton":
                raise
            return static_cost(subject, phase, arch, binaries[phase], None, not_counted=str(e))
        return static_cost(subject, phase, arch, binaries[phase], counts[phase])

    def close(self) -> None:
        """End the workers."""
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
