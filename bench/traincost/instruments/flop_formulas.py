"""FLOPs of the ops that torch's own counter misses, or counts otherwise than by 2mnk.

One convention: a product of an (m, k) by a (k, n) matrix is 2mnk FLOPs, one multiply-add being two;
a convolution is the matrix product that it unfolds into; attention is counted in full, whatever its
mask; biases, activations and gates are free. A backward counts the products that its kernel really
computes, recomputed ones included.

These take precedence over `torch.utils.flop_counter.flop_registry` and are registered there, where
torch has no formula of its own, when first used. Torch has one for two families that stand here:

* `convolution_backward`: torch counts the weight gradient of a convolution with g groups g times.
* scaled dot product attention: torch 2.11's formulas refuse fewer key heads than query heads.

A formula takes the op's arguments with each tensor replaced by its shape, and `out_shape`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any, cast

Shape = Sequence[int]
Formula = Callable[..., int]


def matmul_flops(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """2mnk of a (…, m, k) by a (…, k, n) product, the batch being that of `a`."""
    return 2 * prod(a) * b[-1]


def _add_matmul_flops(_self: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    return matmul_flops(a, b)


def _matvec_flops(a: Shape, _vec: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(a)


def _add_matvec_flops(_self: Shape, a: Shape, _vec: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(a)


def _add_outer_flops(_self: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(a) * prod(b)


def _linear_flops(x: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(x) * weight[0]


def _foreach_matmul_flops(a: Sequence[Shape], b: Sequence[Shape], *_: Any, **__: Any) -> int:
    return sum(matmul_flops(x, y) for x, y in zip(a, b, strict=True))


def grouped_matmul_flops(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Groups along the one dimension that `offs` cuts, or a batch of products if both are 3-D.

    Each row (column, inner index) belongs to one group, so the number of groups drops out.
    """
    batch = a[0] if len(a) == len(b) == 3 else 1
    return 2 * batch * a[-2] * a[-1] * b[-1]


def convolution_flops(
    x: Shape,  # (batch, c_in, *space)
    weight: Shape,  # (c_out, c_in / groups, *kernel); transposed (c_in, c_out / groups, *kernel)
    out: Shape,  # (batch, c_out, *space)
    transposed: bool = False,
) -> int:
    """Each output position (input position, if transposed) meets the whole weight once.

    Taps that fall on padding count.
    """
    positions = x if transposed else out
    return 2 * prod(weight) * positions[0] * prod(positions[2:])


def _convolution_flops(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    return convolution_flops(x, weight, out_shape)


def _transposed_convolution_flops(
    x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any
) -> int:
    return convolution_flops(x, weight, out_shape, transposed=True)


def _convolution_backward_flops(
    grad_out: Shape,
    x: Shape,
    weight: Shape,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],  # input, weight, bias
    **_: Any,
) -> int:
    forward = convolution_flops(x, weight, grad_out, transposed)
    return forward * (output_mask[0] + output_mask[1])


def attention_flops(q: Shape, k: Shape, v: Shape, *_: Any, **__: Any) -> int:
    """QKᵀ and PV for q (b, h, s, d), k (b, h_kv, s_kv, d), v (b, h_kv, s_kv, d_v), unmasked."""
    b, h, s, d = q
    return 2 * b * h * s * k[-2] * (d + v[-1])


def attention_backward_flops(
    _grad_out: Shape, q: Shape, k: Shape, v: Shape, *_: Any, **__: Any
) -> int:
    """QKᵀ again, then dP = dO Vᵀ, dV = Pᵀ dO, dQ = dS K, dK = dSᵀ Q."""
    b, h, s, d = q
    return 2 * b * h * s * k[-2] * (3 * d + 2 * v[-1])


def recurrent_flops(x: Shape, weights: Sequence[Shape]) -> int:
    """Every weight matrix of every layer and direction meets each time step of each sample once.

    `x` is (time, batch, features), batch first as well, or (sum of lengths, features) if packed.
    Biases among `weights` are free. LSTM, GRU and plain cells differ by their matrices only.
    """
    return 2 * prod(x[:-1]) * sum(prod(w) for w in weights if len(w) == 2)


def _mkldnn_rnn_flops(x: Shape, w_ih: Shape, w_hh: Shape, *_: Any, **__: Any) -> int:
    return recurrent_flops(x, (w_ih, w_hh))  # one layer and direction a call


def _mkldnn_rnn_backward_flops(x: Shape, w_ih: Shape, w_hh: Shape, *_: Any, **__: Any) -> int:
    # oneDNN has no output mask: the gradients of input and weights are always computed.
    return 2 * recurrent_flops(x, (w_ih, w_hh))


def _cudnn_rnn_flops(x: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    return recurrent_flops(x, weights)


def _cudnn_rnn_backward_flops(x: Shape, weights: Sequence[Shape], *args: Any, **__: Any) -> int:
    # cuDNN always runs the data gradients; those of the weights if the last of four masks asks.
    output_mask: Sequence[bool] = args[-1]
    return recurrent_flops(x, weights) * (1 + output_mask[3])


_FORMULAS: Mapping[Formula, str] = MappingProxyType(
    {
        matmul_flops: "_int_mm _scaled_mm_v2",
        _add_matmul_flops: "_addmm_activation addbmm addmm_ addbmm_ baddbmm_",
        _matvec_flops: "mv dot vdot",
        _add_matvec_flops: "addmv addmv_",
        _add_outer_flops: "addr addr_",
        _linear_flops: "mkldnn_linear",
        _foreach_matmul_flops: "_foreach_mm",
        grouped_matmul_flops: "_grouped_mm _scaled_grouped_mm _scaled_grouped_mm_v2",
        _convolution_flops: "mkldnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu"
        " _nnpack_spatial_convolution slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d"
        " _conv_depthwise2d conv_depthwise3d",
        _transposed_convolution_flops: "cudnn_convolution_transpose slow_conv_transpose2d"
        " slow_conv_transpose3d",
        _convolution_backward_flops: "convolution_backward",
        attention_flops: "_scaled_dot_product_flash_attention_for_cpu"
        " _scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention"
        " _scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable",
        attention_backward_flops: "_scaled_dot_product_flash_attention_for_cpu_backward"
        " _scaled_dot_product_flash_attention_backward"
        " _scaled_dot_product_efficient_attention_backward"
        " _scaled_dot_product_cudnn_attention_backward"
        " _scaled_dot_product_fused_attention_overrideable_backward",
        _mkldnn_rnn_flops: "mkldnn_rnn_layer",
        _mkldnn_rnn_backward_flops: "mkldnn_rnn_layer_backward",
        _cudnn_rnn_flops: "_cudnn_rnn",
        _cudnn_rnn_backward_flops: "_cudnn_rnn_backward",
    }
)
"""Formula to the `aten` ops it serves; those that this version of torch lacks are passed over."""


@cache
def formulas() -> Mapping[Any, Formula]:
    """Op packet to our formula, called as `formula(*args, out_val=result, **kwargs)`.

    The first call registers with torch's own counter what that one lacks.
    """
    import torch
    from torch.utils.flop_counter import flop_registry, register_flop_formula, shape_wrapper

    ours: dict[Any, Formula] = {}
    for formula, names in _FORMULAS.items():
        for name in names.split():
            packet = getattr(torch.ops.aten, name, None)
            if packet is None:
                continue
            ours[packet] = cast(Any, shape_wrapper)(formula)  # torch leaves it untyped
            if packet not in flop_registry:
                register_flop_formula(packet)(formula)
    return MappingProxyType(ours)


def formula_for(packet: Any) -> Formula | None:
    """Ours, else torch's (a kernel's author registers there too), else None."""
    from torch.utils.flop_counter import flop_registry

    found: Formula | None = formulas().get(packet) or flop_registry.get(packet)
    return found
