"""Which kind of step of which machine a forecast is made of.

What was not asked for is what has most sizes; but never which of several machines: their times are
not of one law, and which one is forecast must not depend on the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.forecast.points import Kind, Point, sizes


@dataclass(frozen=True)
class Wanted:
    """What was asked for; None: whatever has most sizes."""

    family: str | None = None
    impl: str | None = None
    device: str | None = None
    dtype: str | None = None
    machine: str | None = None  # its machine_id, or a part of its name

    def fits(self, kind: Kind, machine: str) -> bool:
        """Whether rows of a kind, of a machine of that name, are what was asked for."""
        asked = (self.family, self.impl, self.device, self.dtype)
        has = (kind.family, kind.impl, kind.device, kind.dtype)
        there = self.machine is None or self.machine.casefold() in machine.casefold()
        return there and all(a is None or a == h for a, h in zip(asked, has, strict=True))

    def __str__(self) -> str:
        asked = [a for a in (self.family, self.impl, self.device, self.dtype) if a is not None]
        on = [] if self.machine is None else [f"on {self.machine!r}"]
        return " ".join([*(asked or ["any model"]), *on])


def machine_names(records: Iterable[Record]) -> dict[str | None, str]:
    """`AMD EPYC, machine_id 0daaade2d467`, by machine_id."""
    found: dict[str | None, str] = {}
    for r in records:
        known = r.gpu if r.device == "cuda" and r.gpu else r.cpu or r.host
        if r.machine_id in found and not known:
            continue
        name = [known or "unknown machine", *([f"machine_id {r.machine_id}"] * bool(r.machine_id))]
        if found.get(r.machine_id, "unknown").startswith("unknown"):
            found[r.machine_id] = ", ".join(name)
    return found


def choose(
    found: Mapping[Kind, list[Point]],
    wanted: Wanted,
    machines: Mapping[str | None, str],  # names
    *,
    tokens: bool,
) -> tuple[Kind, list[Point]]:
    """The kind of whole training steps with most sizes that fits.

    Raises:
        BadInputError: none does, or several machines do; it names those that there are.
    """
    steps = {k: p for k, p in found.items() if k.phase == "step"}
    fitting = {
        k: p
        for k, p in steps.items()
        if wanted.fits(k, machines.get(k.machine_id, "")) and (k.seq_len or not tokens)
    }
    if not fitting:
        there = "; ".join(sorted({_on_machine(k, machines) for k in steps})) or "none"
        what = " with tokens" if tokens else ""
        raise BadInputError(
            f"no measured training steps{what} of {wanted}; the file has: {there}; expected rows "
            "with n_params, batch_size, time_median_s, flops and aten_ops or launches"
        )
    kind, points = max(fitting.items(), key=lambda item: len(sizes(item[1])))
    several = sorted({str(k.machine_id) for k in fitting if k.device == kind.device})
    if len(several) > 1:
        names = "; ".join(machines.get(m, m) for m in several)
        raise BadInputError(
            f"training steps of {len(several)} machines: {names}; expected those of one: name it "
            "by --machine"
        )
    return kind, points


def _on_machine(kind: Kind, machines: Mapping[str | None, str]) -> str:
    return f"{kind} on {machines[kind.machine_id]}" if len(machines) > 1 else str(kind)
