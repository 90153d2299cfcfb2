"""What is known of a fused op besides its code: its inputs, its rivals, its launches, its bytes.

Static compilation, the suites, the tests and the documentation iterate over entries, so a new op is
in all of them with one entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from traincost_kernels.launch import Launch

Inputs = Mapping[str, Tensor]  # the op's tensor arguments by name; options are fixed by the entry
Outputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class KernelEntry:
    """One op with one set of options.

    `fused`, `eager`, `composed`, `aten_fused` are called as `function(**inputs)` and return the
    same outputs. An "element" in the byte counts is one of the (n_rows, n_cols) that `inputs` is
    asked for; what grows with n_rows or n_cols alone (a bias, a row's statistics) is left out.
    """

    name: str
    inputs: Callable[[int, int, torch.dtype, str], Inputs]  # (n_rows, n_cols, dtype, device)
    fused: Callable[..., Outputs]
    eager: Callable[..., Outputs]  # what its users call: F.gelu(x + bias)
    reference: Callable[..., Outputs] | None = None  # right, where eager is random
    composed: Callable[..., Outputs] | None = None  # out of elementary ops, where people do that
    aten_fused: Callable[..., Outputs] | None = None  # torch's own fused op
    aten_fused_needs_cuda: bool = False
    liger: str | None = None  # where Liger has it: "liger_kernel.ops.geglu.LigerGELUMulFunction"
    launches: Callable[[Inputs], Mapping[str, tuple[Launch, ...]]]  # "forward" and "backward"
    bytes_per_element_forward: Callable[[torch.dtype, int], float]  # (dtype, n_cols): the least
    bytes_per_element_backward: Callable[[torch.dtype, int], float]
    differentiable: tuple[str, ...]  # the inputs that get a gradient

    @property
    def right(self) -> Callable[..., Outputs]:
        """What `fused` is compared with: eager, unless both are random, each in its own way."""
        return self.reference or self.eager


def normal(shape: tuple[int, ...], dtype: torch.dtype, device: str, seed: int) -> Tensor:
    """Standard normal numbers, the same for every device and, up to rounding, for every dtype."""
    if device == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def accesses(count: int) -> Callable[[torch.dtype, int], float]:
    """Bytes an element where `count` tensors of the op's dtype are read or written once."""
    return lambda dtype, _n_cols: float(count * dtype.itemsize)
