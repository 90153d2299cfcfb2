"""An LSTM step by step in time, as torch's own kernels do not run it: for cells of one's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnrolledLstm(nn.LSTM):
    """`nn.LSTM` (batch first, one direction) with its own parameters, one step after the other.

    Per layer and step: gates = W_ih x_t + b_ih + W_hh h + b_hh, in torch's order i, f, g, o. The
    product with all inputs of a layer is one, before the steps.
    """

    def forward(  # type: ignore[override]  # no packed sequences
        self,
        input: Tensor,  # (batch, seq, width)
        hx: None = None,
    ) -> tuple[Tensor, None]:
        """Outputs of all steps, and nothing of the last state."""
        x = input
        for layer in range(self.num_layers):
            w_ih, w_hh, b_ih, b_hh = (
                getattr(self, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            of_inputs = F.linear(x, w_ih, b_ih + b_hh)  # (batch, seq, 4 * width)
            h = c = of_inputs.new_zeros(x.shape[0], self.hidden_size)
            steps: list[Tensor] = []
            for gates in of_inputs.unbind(1):
                h, c = self.cell(torch.addmm(gates, h, w_hh.t()), c)
                steps.append(h)
            x = torch.stack(steps, dim=1)
        return x, None

    def cell(
        self,
        gates: Tensor,  # (batch, 4 * width)
        c: Tensor,  # (batch, width)
    ) -> tuple[Tensor, Tensor]:
        """The next hidden state and cell."""
        i, f, g, o = gates.chunk(4, dim=1)
        c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c_next.tanh(), c_next

    def _get_name(self) -> str:
        return "LSTM"
