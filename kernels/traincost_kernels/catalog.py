"""The table of all fused ops."""

from traincost_kernels.entries import bias_gelu, gated, relu_squared
from traincost_kernels.entry import KernelEntry

CATALOG: tuple[KernelEntry, ...] = (
    relu_squared.ENTRY,
    bias_gelu.ERF,
    bias_gelu.TANH,
    gated.SWIGLU,
    gated.GEGLU,
    gated.GEGLU_TANH,
)
