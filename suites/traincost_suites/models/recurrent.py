"""A recurrent language model of one layer, unrolled through time, its gradient cut off if asked.

    h_t = cell(embed(token_t), h_{t-1}),  logits_t = W_out h_t

Cells: `rnn` (tanh), `irnn` (ReLU, started at the identity: Q. Le, N. Jaitly, G. Hinton, arXiv
1504.00941, so that a gradient neither grows nor shrinks until the first step), `gru` and `lstm`.
The gradient of step T with respect to step 1 is a product of T - 1 Jacobians of one cell: below 1
it vanishes, above 1 it explodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

WIDTH = 32
VOCABULARY = 256

State = Tensor | tuple[Tensor, Tensor] | None
"""(1, batch, width), with an LSTM's cell beside it; None at the start."""


def _irnn() -> nn.RNN:
    cell = nn.RNN(WIDTH, WIDTH, nonlinearity="relu", batch_first=True)
    for name, parameter in cell.named_parameters():
        if name.startswith("weight_hh"):
            nn.init.eye_(parameter)
        elif name.startswith("bias"):
            nn.init.zeros_(parameter)
    return cell


CELLS: Mapping[str, Callable[[], nn.RNNBase]] = MappingProxyType(
    {
        "rnn": lambda: nn.RNN(WIDTH, WIDTH, batch_first=True),
        "irnn": _irnn,
        "gru": lambda: nn.GRU(WIDTH, WIDTH, batch_first=True),
        "lstm": lambda: nn.LSTM(WIDTH, WIDTH, batch_first=True),
    }
)


class Recurrent(nn.Module):
    """The language model; its state is handed on, so that a sequence can be taken in windows."""

    def __init__(self, cell: str) -> None:
        """A model at its start, drawn from torch's global generator.

        Raises:
            ValueError: an unknown cell.
        """
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell {cell!r}: expected one of {', '.join(CELLS)}")
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.cell = CELLS[cell]()
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(
        self,
        tokens: Tensor,  # (batch, seq) int64
    ) -> Tensor:  # (batch, seq, vocabulary)
        """Logits of the next token at each position."""
        logits, _ = self.unroll(self.embed(tokens), None)
        return logits

    def unroll(
        self,
        x: Tensor,  # (batch, seq, width)
        state: State,
    ) -> tuple[Tensor, State]:  # (batch, seq, vocabulary)
        """Logits of these steps, and the state after them."""
        h, after = self.cell(x, state)
        logits: Tensor = self.head(h)
        return logits, after


def cut(state: State) -> State:
    """The state without the graph that led to it."""
    if isinstance(state, tuple):
        return state[0].detach(), state[1].detach()
    return None if state is None else state.detach()


def windows(
    x: Tensor,  # (batch, seq, ...)
    length: int | None,
) -> tuple[Tensor, ...]:  # each (batch, length or less, ...)
    """The steps, so many at a time; None for all at once."""
    return torch.split(x, length or x.shape[1], dim=1)
