"""Trainings on which gradients vanish or explode: a deep net on digits, a recurrent one on bytes.

Both are trained alike, remedy or none, at the same rates, so that rows differ in the remedy only:
SGD with momentum, which does not rescale a small gradient as Adam does. Clipping is a hook before
the optimizer's step, and in its time. Recurrent nets see the same bytes of text at every length,
cut into longer or shorter sequences: as many bytes a step, and as many held out.
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

OPTIMIZER = "momentum"
LARGEST_NORM = 1.0
"""What clipping leaves of the norm of all gradients together."""
TRUNCATION, WINDOW = "truncation", 32
"""Steps that truncated backpropagation goes back at most."""
BOTH = "clipped-truncation"
RECURRENT_REMEDIES = ("none", CLIPPING, TRUNCATION, BOTH)
RECURRENT_STEPS, STEP_BYTES = 30, 4096
"""Of a training; a step's bytes are of as many sequences as their length leaves."""
HELD_OUT_BYTES = RECURRENT_STEPS * STEP_BYTES // 10
_N_DIGITS, _N_HELD_OUT = 1618, 179


def held_out_digits(device: str) -> Samples:
    """The digits that are held out, as one batch."""
    return _on(samples_of("digits", _N_HELD_OUT, 0, held_out=True), device)


def sequences(seq_len: int, device: str) -> Samples:
    """All text that is held out, as one batch of sequences of this length."""
    return _on(samples_of("bytes", HELD_OUT_BYTES // seq_len, seq_len, held_out=True), device)


def _batches(seq_len: int, seed: int, device: str) -> list[Samples]:
    """The text that is trained on, each byte once, in an order drawn from the seed."""
    batch = STEP_BYTES // seq_len
    training = samples_of("bytes", RECURRENT_STEPS * batch, seq_len, held_out=False)
    return [_on(b, device) for b in shuffled_batches(training, batch, RECURRENT_STEPS, seed)]


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
        ValueError: an unknown remedy, or a length that does not part the bytes of a step evenly.
    """
    if remedy not in RECURRENT_REMEDIES:
        raise ValueError(f"remedy {remedy!r}: expected one of {', '.join(RECURRENT_REMEDIES)}")
    if seq_len < 1 or STEP_BYTES % seq_len or HELD_OUT_BYTES % seq_len:
        raise ValueError(
            f"seq_len {seq_len}: expected a part of {STEP_BYTES} and of {HELD_OUT_BYTES} bytes"
        )

    def start(seed: int, device: str) -> Objective:
        model = recurrent_net(cell, seed, device)
        batches = _batches(seq_len, seed, device)
        return Objective(
            model=model,
            loss=partial(_unrolled_loss, model, cycle(batches), window_of(remedy)),
            evaluate=evaluation_of(model, sequences(seq_len, device)),
            samples=STEP_BYTES // seq_len,
            tokens=STEP_BYTES,
        )

    budget = Budget(steps=RECURRENT_STEPS, evaluate_every=10, stop_at_target=False)
    return Problem(start, Target("loss_heldout", 3.5), budget)


def window_of(remedy: str) -> int | None:
    """How far back gradients go; None for all the way."""
    return WINDOW if remedy in (TRUNCATION, BOTH) else None


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
        if remedy in (CLIPPING, BOTH):
            assert training.optimizer is not None
            assert training.model is not None
            training.optimizer.register_step_pre_hook(partial(_clip, training.model))
        return training

    return make


def _clip(model: nn.Module, *_: object) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
