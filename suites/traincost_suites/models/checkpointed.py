"""A GPT whose layers keep their input alone, and run forward again in the backward pass.

Saved are (batch, seq, width) activations a layer, where a layer keeps some 17 times as many. Run
again is all of a layer but its last product, `mlp_out`, whose output nothing in the backward needs:

    recomputed FLOPs a layer = 2 * batch * seq * 8 d^2  +  4 * batch * seq^2 * d
                               qkv, attention_out, mlp_in   attention
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from traincost_suites.models.change import change
from traincost_suites.models.gpt import Block


class CheckpointedBlock(Block):
    """A layer that keeps its input only."""

    def forward(
        self,
        h: Tensor,  # (batch, seq, width)
    ) -> Tensor:  # (batch, seq, width)
        """The residual stream after this layer."""
        after: Tensor = checkpoint(super().forward, h, use_reentrant=False)
        return after

    def _get_name(self) -> str:
        return "Block"  # the same work


def checkpointed(model: nn.Module) -> nn.Module:
    """Checkpoint every layer of a GPT, in place."""
    return change(model, {Block: CheckpointedBlock})
