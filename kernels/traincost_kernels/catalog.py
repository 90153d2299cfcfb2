"""The table of all fused ops."""

from traincost_kernels.entries import relu_squared
from traincost_kernels.entry import KernelEntry

CATALOG: tuple[KernelEntry, ...] = (relu_squared.ENTRY,)
