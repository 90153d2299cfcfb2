"""Optimizers by name, each with the closed form of its state, all else at torch's defaults.

Weight decay is AdamW's own, 0.01, where there is one. `adamw-single` is a loop over the parameters,
`-foreach` an operation over lists of them, `-fused` one kernel; the arithmetic is the same. Other
names leave that to torch: a loop on a CPU, lists on CUDA. L-BFGS takes one iteration a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from traincost_suites.muon import muon, muon_parameters

HISTORY = 10
"""Pairs of differences that L-BFGS keeps."""
_COUNTER_BYTES = 4  # a step counter is a float32 of its own beside each parameter tensor

Make = Callable[[nn.Module, float], torch.optim.Optimizer]


@dataclass(frozen=True)
class Kind:
    """An optimizer: how it is made from a model and a rate, and the bytes that it keeps."""

    make: Make
    state_bytes: Callable[[nn.Module], int]


def _states(n_states: int, *, counter: bool) -> Callable[[nn.Module], int]:
    """Bytes of so many tensors like each parameter, and a counter a tensor if there is one."""

    def state_bytes(model: nn.Module) -> int:
        parameters = _trained(model)
        counters = _COUNTER_BYTES * len(parameters) * counter
        return n_states * sum(p.nbytes for p in parameters) + counters

    return state_bytes


def _factored(model: nn.Module) -> int:
    """Adafactor: of a matrix the sums over its rows and its columns; a vector's squares whole."""
    total = 0
    for p in _trained(model):
        elements = p.numel()
        if p.dim() > 1:
            elements = p.numel() // p.shape[-1] + p.numel() // p.shape[-2]
        total += elements * p.itemsize + _COUNTER_BYTES
    return total


def _of_muon(model: nn.Module) -> int:
    """A momentum of the matrices that Muon takes, without a counter; AdamW's two of the others."""
    takes = {id(p) for p in muon_parameters(model)}
    mine = sum(p.nbytes for p in _trained(model) if id(p) in takes)
    others = [p for p in _trained(model) if id(p) not in takes]
    return mine + 2 * sum(p.nbytes for p in others) + _COUNTER_BYTES * len(others)


def _of_lbfgs(model: nn.Module) -> int:
    """The pairs, their products, the direction and the last gradient, once the history is full."""
    parameters = _trained(model)
    return (2 * HISTORY + 2) * sum(p.nbytes for p in parameters) + _lbfgs_scalars(parameters)


def _lbfgs_scalars(parameters: list[Tensor]) -> int:
    """1/y's and alpha of each pair, and y's/y'y of the last."""
    return (2 * HISTORY + 1) * parameters[0].itemsize


def _sgd(**options: object) -> Make:
    return lambda model, lr: torch.optim.SGD(model.parameters(), lr=lr, **options)  # type: ignore[arg-type]


def _adamw(**options: bool) -> Make:
    return lambda model, lr: torch.optim.AdamW(model.parameters(), lr=lr, **options)  # type: ignore[arg-type]


def _lbfgs(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    # One iteration evaluates the closure once, at the point where the gradient is known already:
    # `train_step` hands it the loss. So a step costs one gradient, like everybody else's. It ends
    # for no tolerance: whether the target is met is for the evaluation to say.
    return torch.optim.LBFGS(
        model.parameters(),
        lr=lr,
        max_iter=1,
        history_size=HISTORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )


_TWO = _states(2, counter=True)
OPTIMIZERS: Mapping[str, Kind] = MappingProxyType(
    {
        "sgd": Kind(_sgd(), _states(0, counter=False)),
        "momentum": Kind(_sgd(momentum=0.9), _states(1, counter=False)),
        "nesterov": Kind(_sgd(momentum=0.9, nesterov=True), _states(1, counter=False)),
        "rmsprop": Kind(
            lambda model, lr: torch.optim.RMSprop(model.parameters(), lr=lr),
            _states(1, counter=True),
        ),
        "adagrad": Kind(
            lambda model, lr: torch.optim.Adagrad(model.parameters(), lr=lr),
            _states(1, counter=True),
        ),
        "adam": Kind(lambda model, lr: torch.optim.Adam(model.parameters(), lr=lr), _TWO),
        "adamw-single": Kind(_adamw(foreach=False, fused=False), _TWO),
        "adamw-foreach": Kind(_adamw(foreach=True), _TWO),
        "adamw-fused": Kind(_adamw(fused=True), _TWO),
        "adafactor": Kind(
            lambda model, lr: torch.optim.Adafactor(model.parameters(), lr=lr), _factored
        ),
        "muon": Kind(muon, _of_muon),
        "lbfgs": Kind(_lbfgs, _of_lbfgs),
    }
)


def make_optimizer(name: str, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """The named optimizer over the parameters of `model`.

    Raises:
        ValueError: an unknown name.
    """
    return _kind(name).make(model, lr)


def expected_state_bytes(name: str, model: nn.Module) -> int:
    """The closed form of what the named optimizer keeps beside the parameters."""
    return _kind(name).state_bytes(model)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the tensors that the optimizer keeps from step to step, counters included."""
    leaves = [leaf for s in optimizer.state.values() for leaf in pytree.tree_leaves(s)]
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """A step with gradients that are there already, for every optimizer alike.

    L-BFGS asks for a closure that computes the loss and its gradient; in its one iteration a step
    it calls it once, where both are known.
    """
    known = loss.detach()
    optimizer.step(lambda: known)  # type: ignore[arg-type, return-value]


def _kind(name: str) -> Kind:
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer {name!r}: expected one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]


def _trained(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]
