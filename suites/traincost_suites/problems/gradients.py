"""Trainings on which gradients vanish or explode: a deep net on digits, a recurrent one on bytes.

Both are trained alike, remedy or none, so that rows differ in the remedy only: SGD with momentum,
which does not rescale a small gradient as Adam does. Clipping is a hook before the optimizer's
step, and in its time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost.training import Budget, Target, Training
from traincost_suites.models.deep import CLIPPING, DeepNet
from traincost_suites.models.recurrent import Recurrent, State, cut, windows
from traincost_suites.problems.learned import (
    Samples,
    evaluation_of,
    samples_of,
    shuffled_batches,
    supervised,
)
from traincost_suites.problems.problem import Objective, Problem
from traincost_suites.problems.training import Recipe, training_of

OPTIMIZER, DEEP_RATE = "momentum", 0.01
LARGEST_NORM = 1.0
"""What clipping leaves of the norm of all gradients together."""
TRUNCATION, WINDOW = "truncation", 32
"""Steps that truncated backpropagation goes back at most."""
RECURRENT_REMEDIES = ("none", CLIPPING, TRUNCATION)
_N_DIGITS, _N_HELD_OUT = 1618, 179
_SEQUENCES, _BATCH = 128, 4


def held_out_digits(device: str) -> Samples:
    """The digits that are held out, as one batch."""
    return _on(samples_of("digits", _N_HELD_OUT, 0, held_out=True), device)


def sequences(seq_len: int, device: str) -> Samples:
    """One batch of text that is held out."""
    return _on(samples_of("bytes", _BATCH, seq_len, held_out=True), device)


def _on(samples: Samples, device: str) -> Samples:
    x, y = samples
    return x.to(device), y.to(device)


def deep_net(activation: str, depth: int, remedy: str, seed: int, device: str) -> DeepNet:
    """The net at the start of this seed."""
    torch.manual_seed(seed)
    return DeepNet(activation, depth, remedy).to(device).train()


def deep_problem(activation: str, depth: int, remedy: str) -> Problem:
    """Digits by a deep net."""

    def start(seed: int, device: str) -> Objective:
        model = deep_net(activation, depth, remedy, seed, device)
        training = samples_of("digits", _N_DIGITS, 0, held_out=False)
        batches = shuffled_batches(training, 64, 100, seed)
        return supervised(model, batches, held_out_digits("cpu"), device)

    budget = Budget(steps=100, evaluate_every=20, stop_at_target=False)
    return Problem(start, Target("loss_heldout", 0.5), budget)


def recurrent_net(cell: str, seed: int, device: str) -> Recurrent:
    """The net at the start of this seed."""
    torch.manual_seed(seed)
    return Recurrent(cell).to(device)


def recurrent_problem(cell: str, seq_len: int, remedy: str) -> Problem:
    """Bytes by a recurrent net.

    Raises:
        ValueError: an unknown remedy.
    """
    if remedy not in RECURRENT_REMEDIES:
        raise ValueError(f"remedy {remedy!r}: expected one of {', '.join(RECURRENT_REMEDIES)}")

    def start(seed: int, device: str) -> Objective:
        model = recurrent_net(cell, seed, device)
        training = samples_of("bytes", _SEQUENCES, seq_len, held_out=False)
        batches = [_on(b, device) for b in shuffled_batches(training, _BATCH, 30, seed)]
        return Objective(
            model=model,
            loss=partial(_unrolled_loss, model, cycle(batches), window_of(remedy)),
            evaluate=evaluation_of(model, sequences(seq_len, device)),
            samples=_BATCH,
            tokens=_BATCH * seq_len,
        )

    budget = Budget(steps=30, evaluate_every=10, stop_at_target=False)
    return Problem(start, Target("loss_heldout", 3.5), budget)


def window_of(remedy: str) -> int | None:
    """How far back gradients go; None for all the way."""
    return WINDOW if remedy == TRUNCATION else None


def _unrolled_loss(model: Recurrent, batches: cycle[Samples], window: int | None) -> Tensor:
    """Mean loss of all steps; truncated, the graph is that of the last window.

    The windows before it have had their backward passes, so that one graph is alive at a time.
    """
    tokens, targets = next(batches)
    state: State = None
    behind = torch.zeros((), device=tokens.device)
    *before, last = zip(windows(tokens, window), windows(targets, window), strict=True)
    for x, y in before:
        loss, state = _loss_of(model, x, y, state)
        loss = loss * (y.numel() / targets.numel())
        loss.backward()  # type: ignore[no-untyped-call]
        behind += loss.detach()
    loss, _ = _loss_of(model, *last, state)
    return loss * (last[1].numel() / targets.numel()) + behind


def _loss_of(model: Recurrent, x: Tensor, y: Tensor, state: State) -> tuple[Tensor, State]:
    """Mean loss of a window, and the state after it."""
    logits, after = model.unroll(model.embed(x), cut(state))
    return F.cross_entropy(logits.flatten(0, 1), y.flatten()), after


def gradient_maker(
    problem: Problem, remedy: str, rate: float, device: str
) -> Callable[[int], Training]:
    """`make` of `train_run`: the problem under SGD with momentum, clipped if that is the remedy."""

    def make(seed: int) -> Training:
        training = training_of(problem, Recipe(OPTIMIZER, rate), seed, device)
        if remedy == CLIPPING:
            assert training.optimizer is not None
            assert training.model is not None
            training.optimizer.register_step_pre_hook(partial(_clip, training.model))
        return training

    return make


def _clip(model: nn.Module, *_: object) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
