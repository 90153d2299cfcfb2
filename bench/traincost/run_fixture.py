"""`train_run`: the fixture that trains to a target and leaves cost and benefit on one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from traincost.assemble import record_of
from traincost.case_fixture import CaseFixture
from traincost.data.case import Case, workload_hash
from traincost.data.record import Record, notes_text
from traincost.measure import Bench, Measured, Work, run_once, untimed
from traincost.snapshot import seed_all, take_snapshot
from traincost.train import Trained, train
from traincost.training import Budget, Target, Training

RunMetric = float | Callable[[Training], float]
"""A number, or what is asked for it of the training when it has ended."""


@dataclass
class TrainRun(CaseFixture):
    """Trains once, from one seed: one test, one case, one row."""

    name: ClassVar[str] = "train_run"

    def __call__(
        self,
        make: Callable[[int], Training],
        *,
        target: Target | None,
        budget: Budget,
        seed: int = 0,
        impl: str | None = None,
        axes: Mapping[str, object] | None = None,
        metrics: Mapping[str, RunMetric] | None = None,
    ) -> Record:
        """Train to the target or to the end of the budget, and save the row.

        The training's own steps are timed, each waited for, evaluation apart. Then `make(seed)`
        once more, and this fresh training's step is counted: FLOPs, bytes, memory, energy.

        The last evaluation fills `loss_heldout`, `accuracy_heldout` or a metric of its name.
        `loss_first`, `loss_last`: losses that the first and the last step returned, of
        `loss_steps`. Reached: `steps_to_target`, `time_to_target_s` (sum of the steps' times, the
        first with whatever is compiled or allocated in it included), `energy_to_target_j` (energy
        of a step times steps). Not reached: they are empty, a note says how far it came, and the
        status is `ok`. A loss or evaluation that is no finite number ends the training as
        `diverged`, and no evaluation is kept.

        Args:
            make: Builds the training at its start from a seed.
            target: Where it ends; None trains to the end of the budget.
            budget: Its longest, and the steps from evaluation to evaluation.
            seed: The `seed` column; where it is a parameter of the test, the same.
            impl: Who does the work: `eager`, `compile`, ...
            axes: More axes of the case, `axis_<name>`.
            metrics: More results, `<name>_<unit>`, as a number or as a callable that is handed the
                training when it has ended. A name of a schema column fills that column.

        Raises:
            TrainCostUsageError: Called a second time, or the model is on another device.
        """
        self.begin()
        case = self.case_with({"seed": seed, "impl": impl, **(axes or {})})
        self.check_metrics(metrics or {})
        bench = self.bench()
        seed_all(seed)
        training = make(seed)
        case = self._checked(case, training)
        if self.timing_off:
            run_once(_work(training), bench)
            training.evaluate()
            return self.unsaved(case)
        trained = train(training, target, budget, bench)
        self.check_metrics(trained.evaluation)
        numbers = {k: v(training) if callable(v) else v for k, v in (metrics or {}).items()}
        del training  # its memory is not that of the training that is counted
        seed_all(seed)
        work = _work(make(seed))
        measured = _count(work, trained, bench)
        reached, notes = _reached(trained, measured, bench.device.kind)
        numbers = {**trained.evaluation, **numbers, **reached}
        origin, peak = self.run.origin(bench.device.kind), self.run.peak(case)
        with self.passing("row"):
            record = record_of(case, work, measured, origin, peak, numbers)
            record = replace(
                record,
                workload=workload_hash(record.workload, target, budget),
                target=None if target is None else str(target),
                notes="; ".join(filter(None, (record.notes, notes_text(notes)))) or None,
            )
            return self.save(record, measured.timing.rounds_s)

    def _checked(self, case: Case, training: Training) -> Case:
        self.positive("samples", training.samples)
        if training.tokens is not None:
            self.positive("tokens", training.tokens)
        device = str(case.columns()["device"])
        self.check_device(training.model, training.optimizer, device)
        return self.of_models_dtype(case, training.model)


def _work(training: Training) -> Work:
    return Work(
        step=training.step,
        samples=training.samples,
        phase="step",
        tokens=training.tokens,
        model=training.model,
        optimizer=training.optimizer,
    )


def _count(work: Work, trained: Trained, bench: Bench) -> Measured:
    """The cost of a step of a fresh training, beside the times of the one that was trained."""
    if not bench.profile.untimed:
        return Measured(trained.timing, losses=trained.losses)
    start = take_snapshot(work.model, work.optimizer)
    return untimed(work, bench, start, trained.timing, lambda: trained.losses)


def _reached(
    trained: Trained, measured: Measured, device: str
) -> tuple[dict[str, float], dict[str, str]]:
    """The columns of a target that was reached, and notes of those that stay empty."""
    steps, time_s = trained.steps_to_target, trained.time_to_target_s
    if steps is None or time_s is None:
        return {}, {} if trained.missed is None else {"steps_to_target": trained.missed}
    reached = {"steps_to_target": float(steps), "time_to_target_s": time_s}
    column = "cpu_energy_j" if device == "cpu" else "gpu_energy_j"
    step_j: float | None = getattr(measured.energy, column)
    if step_j is None:
        reason = measured.energy.notes.get(column, "no energy was measured")
        return reached, {"energy_to_target_j": reason}
    return {**reached, "energy_to_target_j": steps * step_j}, {}
