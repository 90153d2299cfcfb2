"""The same models on fused kernels: same parameters, same names, other code between the products.

`fuse` changes what the modules of a model do and nothing else, so the workload is the same and a
speedup can be told. The loss is fused with it: `fused_loss`.
"""

from __future__ import annotations

from torch import Tensor, nn

from traincost_kernels import cross_entropy, fused_mlp, layer_norm
from traincost_kernels.ops.lstm_cell import lstm_cell
from traincost_suites.models.change import change
from traincost_suites.models.gpt import Block
from traincost_suites.models.unrolled import UnrolledLstm


class FusedLayerNorm(nn.LayerNorm):
    """LayerNorm by the fused kernel."""

    def forward(self, input: Tensor) -> Tensor:
        """Of the last dimension."""
        return layer_norm(input, self.weight, self.bias, eps=self.eps)

    def _get_name(self) -> str:
        return "LayerNorm"  # the same work


class FusedBlock(Block):
    """A layer whose MLP keeps its pre-activation only, and computes the activation again."""

    def feed_forward(self, h: Tensor) -> Tensor:
        """The MLP's update of the residual stream."""
        normed: Tensor = self.norm_mlp(h)
        w1, w2 = self.mlp_in.weight, self.mlp_out.weight
        return fused_mlp(normed, w1, None, w2, None, activation="gelu")

    def _get_name(self) -> str:
        return "Block"


class FusedLstm(UnrolledLstm):
    """Step by step in time, gates and cell by the fused kernel."""

    def cell(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden state and cell."""
        return lstm_cell(gates, c)


_FUSED: dict[type[nn.Module], type[nn.Module]] = {
    nn.LayerNorm: FusedLayerNorm,
    Block: FusedBlock,
    nn.LSTM: FusedLstm,
}


def fuse(model: nn.Module) -> nn.Module:
    """Put the model on fused kernels, in place."""
    return change(model, _FUSED)


def unroll(model: nn.Module) -> nn.Module:
    """Put an LSTM on elementary ops, step by step, as recurrent nets are written by hand."""
    return change(model, {nn.LSTM: UnrolledLstm})


def fused_loss(
    logits: Tensor,  # (rows, vocabulary)
    target: Tensor,  # (rows,)
) -> Tensor:  # ()
    """Cross-entropy without a copy of the logits in fp32; the backward computes the gradient."""
    return cross_entropy(logits, target)
