"""Bias and activation: GELU, by the error function or its tanh approximation.

    y     = act(x + bias)
    dx    = act'(x + bias) dy
    dbias = sum of dx over the rows

Shapes: x, y, dx, dy (..., n_cols); bias, dbias (n_cols,). dtypes: bf16, fp16, fp32, fp64, all
tensors the same, computed in fp32 (fp64 for fp64), rounded once at the store: x + bias isn't
rounded in between as it is in eager.

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (x, dy, dx), and on top partial sums
of dbias in fp32, written and read again. A program adds up 4 super-rows (see `superrows`) or more,
so these are 2 bytes an element at few rows (2.00 at 1,024 rows of 1,024 columns, and more below 64
rows or so, where super-rows are few) and less from 8 million elements or so (1.00 at 4,096 rows of
4,096, 0.25 at 16,384). `F.gelu(x + bias)` moves 8 and 8 (gradient of the bias not counted). A
strided x or dy is copied first.

Source: Hendrycks and Gimpel, arXiv 1606.08415; the fusion as in Megatron-LM's `bias_gelu`.
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels.bias_activation import backward_launches, forward_launches
from traincost_kernels.checks import require_choice, require_floating, require_vector
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run


@torch.library.custom_op("traincost::bias_activation", mutates_args=())
def _bias_activation(activation: str, x: Tensor, bias: Tensor | None) -> Tensor:
    x, bias = x.contiguous(), None if bias is None else bias.contiguous()
    y = torch.empty_like(x)
    run("bias_gelu", forward_launches(activation, x, bias, y))
    return y


@torch.library.custom_op("traincost::bias_activation_backward", mutates_args=())
def _bias_activation_backward(
    activation: str, x: Tensor, bias: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients dx and dbias, the second empty where there is no bias."""
    x, dy = x.contiguous(), dy.contiguous()
    dx = torch.empty_like(x)
    if bias is None:
        run("bias_gelu", backward_launches(activation, x, None, dy, dx, None))
        return dx, x.new_empty(0)
    bias = bias.contiguous()
    dbias = torch.empty_like(bias)
    run("bias_gelu", backward_launches(activation, x, bias, dy, dx, dbias))
    return dx, dbias


@_bias_activation.register_fake
def _(activation: str, x: Tensor, bias: Tensor | None) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_bias_activation_backward.register_fake
def _(activation: str, x: Tensor, bias: Tensor | None, dy: Tensor) -> tuple[Tensor, Tensor]:
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    return dx, x.new_empty(0 if bias is None else bias.shape)


def _save(ctx: Any, inputs: tuple[str, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.activation, x, bias = inputs
    ctx.save_for_backward(x, bias)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[None, Tensor, Tensor | None]:
    x, bias = ctx.saved_tensors
    dx, dbias = _bias_activation_backward(ctx.activation, x, bias, dy)
    return None, dx, None if bias is None else dbias


register_derivative("bias_gelu", _bias_activation, _differentiate, _save, _bias_activation_backward)
register_flops("bias_activation")
register_flops("bias_activation_backward")


def bias_gelu(
    x: Tensor,  # (..., n_cols)
    bias: Tensor | None = None,  # (n_cols,)
    *,
    approximate: str = "none",
) -> Tensor:  # (..., n_cols)
    """GELU of x + bias; saves x and bias for the backward.

    Args:
        x: the output of a matrix product, say.
        bias: added to every row; None adds nothing.
        approximate: "none" for GELU by the error function, "tanh" for its approximation, as in
            `torch.nn.functional.gelu`.

    Raises:
        KernelInputError: x or bias is no floating-point tensor, bias is not as long as the last
            dimension of x or differs from x in dtype or device, or `approximate` is another word.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_floating("bias_gelu", "x", x)
    if bias is not None:
        require_vector("bias_gelu", "bias", bias, x)
    require_choice("bias_gelu", "approximate", approximate, ("none", "tanh"))
    refuse_transforms("bias_gelu", x, bias)
    activation = "gelu_tanh" if approximate == "tanh" else "gelu"
    return _bias_activation(activation, x.contiguous(), bias)
