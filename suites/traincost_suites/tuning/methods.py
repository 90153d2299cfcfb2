"""Ways to search: what is tried next, and whether a trial is worth going on with.

    grid       all combinations of a few values, in an order drawn from the seed
    random     draws from the whole space
    tpe        Optuna's tree-structured Parzen estimator, every trial to its end
    hyperband  random draws; trials that fall behind end early, in Hyperband's brackets
    asha       the same by asynchronous successive halving, one bracket

Optuna is at its defaults but for rungs of 1, 3 and 9 chunks, halving by 3, in both that end trials
early. Hyperband draws at random, as published, and not by TPE, so that one thing differs at a time.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Protocol

from traincost_suites.tuning.limits import N_CHUNKS
from traincost_suites.tuning.space import (
    ACTIVATIONS,
    BATCHES,
    DEPTHS,
    RATES,
    WIDTHS,
    Config,
    drawn,
    grid_points,
)

REDUCTION = 3
OPTUNA_LACKING = "optuna is not installed, pip install 'traincost[tuning]'"


class TunerUnavailableError(RuntimeError):
    """What a method needs is not installed; the text says what to install."""


class Method(Protocol):
    """A search under way; one trial at a time."""

    def propose(self) -> Config | None:
        """What to try next; None where there is nothing left."""
        ...

    def goes_on(self, chunk: int, accuracy: float) -> bool:
        """Whether the trial goes on, told its accuracy after so many chunks."""
        ...

    def ended(self, accuracy: float | None) -> None:
        """The trial has ended, for whatever reason; without an accuracy it has failed."""


@dataclass
class Listed:
    """Configurations in turn, whatever becomes of them, each to its end."""

    configs: Iterator[Config]

    def propose(self) -> Config | None:
        """The next."""
        return next(self.configs, None)

    def goes_on(self, chunk: int, accuracy: float) -> bool:
        """Always."""
        return True

    def ended(self, accuracy: float | None) -> None:
        """Nothing is learned."""


@dataclass
class Optuna:
    """A study of Optuna, asked and told."""

    study: Any  # optuna.Study
    trial: Any = field(default=None, init=False)  # optuna.Trial
    pruned: bool = field(default=False, init=False)

    def propose(self) -> Config | None:
        """What its sampler suggests."""
        self.trial = trial = self.study.ask()
        self.pruned = False
        return Config(
            width=trial.suggest_int("width", *WIDTHS, log=True),
            depth=trial.suggest_int("depth", DEPTHS[0], DEPTHS[-1]),
            activation=trial.suggest_categorical("activation", list(ACTIVATIONS)),
            rate=trial.suggest_float("rate", *RATES, log=True),
            batch_size=trial.suggest_categorical("batch_size", BATCHES),
        )

    def goes_on(self, chunk: int, accuracy: float) -> bool:
        """Unless its pruner says otherwise."""
        self.trial.report(accuracy, chunk)
        self.pruned = self.trial.should_prune()
        return not self.pruned

    def ended(self, accuracy: float | None) -> None:
        """A trial without an accuracy has failed, as Optuna has it: its sampler leaves it out."""
        state = importlib.import_module("optuna").trial.TrialState
        if accuracy is None:
            self.study.tell(self.trial, state=state.FAIL)
        elif self.pruned:
            self.study.tell(self.trial, state=state.PRUNED)
        else:
            self.study.tell(self.trial, accuracy)


def _grid(seed: int) -> Method:
    points = grid_points()
    Random(seed).shuffle(points)
    return Listed(iter(points))


def _random(seed: int) -> Method:
    random = Random(seed)
    return Listed(iter(lambda: drawn(random), None))


def _tpe(seed: int) -> Method:
    optuna = _optuna()
    return _study(seed, optuna.samplers.TPESampler(seed=seed), optuna.pruners.NopPruner())


def _hyperband(seed: int) -> Method:
    optuna = _optuna()
    pruner = optuna.pruners.HyperbandPruner(1, N_CHUNKS, REDUCTION)
    return _study(seed, optuna.samplers.RandomSampler(seed), pruner)


def _asha(seed: int) -> Method:
    optuna = _optuna()
    pruner = optuna.pruners.SuccessiveHalvingPruner(1, REDUCTION)
    return _study(seed, optuna.samplers.RandomSampler(seed), pruner)


def _optuna() -> Any:
    """The package, silent about its trials."""
    if importlib.util.find_spec("optuna") is None:
        raise TunerUnavailableError(OPTUNA_LACKING)
    optuna = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(seed: int, sampler: Any, pruner: Any) -> Method:
    # Hyperband chooses a trial's bracket by a hash of the study's name, which is random by default.
    name = f"seed-{seed}"
    return Optuna(
        _optuna().create_study(
            study_name=name, direction="maximize", sampler=sampler, pruner=pruner
        )
    )


METHODS: Mapping[str, Callable[[int], Method]] = MappingProxyType(
    {"grid": _grid, "random": _random, "tpe": _tpe, "hyperband": _hyperband, "asha": _asha}
)


def method_of(name: str, seed: int) -> Method:
    """The named search at its start.

    Raises:
        ValueError: an unknown name.
        TunerUnavailableError: it needs Optuna, which is not here.
    """
    if name not in METHODS:
        raise ValueError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name](seed)
