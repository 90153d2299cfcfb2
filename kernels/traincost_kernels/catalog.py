"""The table of all fused ops."""

from traincost_kernels.entries import gated, relu_squared
from traincost_kernels.entry import KernelEntry

CATALOG: tuple[KernelEntry, ...] = (
    relu_squared.ENTRY,
    gated.SWIGLU,
    gated.GEGLU,
    gated.GEGLU_TANH,
)
