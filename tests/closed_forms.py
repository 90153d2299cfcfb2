"""FLOPs and bytes of training steps, written out from the shapes of the layers.

Nothing here looks at torch or at the ledger: these are the formulas that the counts must equal.
2mnk FLOPs per (m, k) by (k, n) product; biases, activations, norms and optimizers are free.

`input_grad` says whether the step computes the gradient of the network's input. It does not where
the input is data; it does where the input comes out of an embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


def mlp_forward_flops(
    rows: int,
    widths: Sequence[int],  # (features_in, hidden, …, classes)
) -> int:
    """One product a layer: (rows, n_in) by (n_in, n_out)."""
    return sum(2 * rows * n_in * n_out for n_in, n_out in pairwise(widths))


def mlp_step_flops(rows: int, widths: Sequence[int], *, input_grad: bool = False) -> int:
    """Forward, and in the backward one product for dW and one for dX a layer."""
    first_dx = 0 if input_grad else 2 * rows * widths[0] * widths[1]
    return 3 * mlp_forward_flops(rows, widths) - first_dx


@dataclass(frozen=True)
class Conv:
    """A convolution of square kernels over square images."""

    c_in: int
    c_out: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    def out_size(self, size: int) -> int:
        """Side of the output image for an input image of side `size`."""
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def forward_flops(self, batch: int, size: int) -> int:
        """A group: (batch · out², c_in/g · kernel²) by (c_in/g · kernel², c_out/g), g of them."""
        patch = self.c_in // self.groups * self.kernel**2
        return 2 * batch * self.out_size(size) ** 2 * patch * self.c_out


def convnet_forward_flops(
    batch: int,
    size: int,
    convs: Sequence[Conv],  # each on the output of the one before
    classes: int,
) -> int:
    """The convolutions, then a linear layer on the mean over the image."""
    flops = 0
    for conv in convs:
        flops += conv.forward_flops(batch, size)
        size = conv.out_size(size)
    return flops + mlp_forward_flops(batch, (convs[-1].c_out, classes))


def convnet_step_flops(batch: int, size: int, convs: Sequence[Conv], classes: int) -> int:
    """Three times the forward, less the input gradient of the first convolution."""
    first_dx = convs[0].forward_flops(batch, size)
    return 3 * convnet_forward_flops(batch, size, convs, classes) - first_dx


def lstm_forward_flops(
    steps: int,
    batch: int,
    features: int,
    hidden: int,
    layers: int = 1,
    directions: int = 1,
) -> int:
    """Four gates: x by (n_in, 4 hidden) and h by (hidden, 4 hidden), every step, layer, direction.

    A layer after the first reads the outputs of both directions.
    """
    flops = 0
    n_in = features
    for _ in range(layers):
        flops += directions * 2 * steps * batch * 4 * hidden * (n_in + hidden)
        n_in = directions * hidden
    return flops


def lstm_step_flops(
    steps: int, batch: int, features: int, hidden: int, layers: int = 1, directions: int = 1
) -> int:
    """Three times the forward: oneDNN and cuDNN compute dX and dh₀, asked for or not."""
    return 3 * lstm_forward_flops(steps, batch, features, hidden, layers, directions)


def attention_forward_flops(batch: int, heads: int, seq_len: int, head_dim: int) -> int:
    """QKᵀ and PV, full: a causal mask saves nothing here."""
    return 2 * 2 * batch * heads * seq_len * seq_len * head_dim


@dataclass(frozen=True)
class GptShape:
    """A decoder of pre-norm blocks: fused qkv, output projection, MLP of width `mlp`, LM head."""

    layers: int
    width: int
    heads: int
    mlp: int
    vocab: int

    def forward_flops(self, batch: int, seq_len: int) -> int:
        """Products of one forward pass; the embedding is a lookup."""
        tokens = batch * seq_len
        linear = 2 * tokens * self.width * (3 * self.width + self.width + 2 * self.mlp)
        attention = attention_forward_flops(batch, self.heads, seq_len, self.width // self.heads)
        return self.layers * (linear + attention) + 2 * tokens * self.width * self.vocab

    def step_flops(self, batch: int, seq_len: int, *, fused_attention: bool) -> int:
        """Three times the forward; a fused attention computes QKᵀ once more in its backward."""
        attention = attention_forward_flops(batch, self.heads, seq_len, self.width // self.heads)
        recomputed = self.layers * attention // 2 if fused_attention else 0
        return 3 * self.forward_flops(batch, seq_len) + recomputed


@dataclass(frozen=True)
class MlpTraffic:
    """Bytes of an fp32 step: Linear and ReLU in turn, cross-entropy, plain SGD, gradients fresh."""

    rows: int
    widths: Sequence[int]
    itemsize: int = 4
    label_bytes: int = 8

    @property
    def n_params(self) -> int:
        """Weights and biases."""
        pairs = pairwise(self.widths)
        return sum(n_in * n_out + n_out for n_in, n_out in pairs)

    def ops_bytes(self) -> int:
        """Every op's inputs and outputs, op by op in the order of the step."""
        return self._forward() + self._loss() + self._backward() + self._sgd()

    def _forward(self) -> int:
        total = 0
        last = len(self.widths) - 2
        for layer, (n_in, n_out) in enumerate(pairwise(self.widths)):
            out = self.rows * n_out
            total += n_out + self.rows * n_in + n_in * n_out + out  # addmm: b, x, W -> y
            if layer < last:
                total += out + out  # relu: y -> a
        return total * self.itemsize

    def _loss(self) -> int:
        logits = self.rows * self.widths[-1] * self.itemsize
        labels = self.rows * self.label_bytes
        scalar = self.itemsize
        log_softmax = logits + logits
        nll_loss = logits + labels + 2 * scalar  # -> loss, total weight
        seed = scalar  # ones_like(loss) reads nothing
        nll_backward = scalar + logits + labels + scalar + logits  # dl, logp, y, weight -> dlogp
        log_softmax_backward = logits + logits + logits  # dlogp, logp -> dlogits
        return log_softmax + nll_loss + seed + nll_backward + log_softmax_backward

    def _backward(self) -> int:
        total = 0
        for layer, (n_in, n_out) in enumerate(pairwise(self.widths)):
            dy, x, weight = self.rows * n_out, self.rows * n_in, n_in * n_out
            total += dy + x + weight  # mm: dyᵀ, x -> dW
            total += dy + n_out  # sum over rows: dy -> db
            if layer > 0:
                total += dy + weight + x  # mm: dy, W -> dx
                total += x + x + x  # threshold_backward: dx, a -> dx before the ReLU
        return total * self.itemsize

    def _sgd(self) -> int:
        return 3 * self.n_params * self.itemsize  # add_: p, dp -> p

    def compulsory_bytes(self) -> int:
        """Parameters, batch and labels were there; gradients and the loss stay."""
        n_floats = 2 * self.n_params + self.rows * self.widths[0] + 1
        return n_floats * self.itemsize + self.rows * self.label_bytes
