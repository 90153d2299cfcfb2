"""Fused Triton kernels for training: forward and backward."""

from traincost_kernels.ops.gated import geglu, swiglu
from traincost_kernels.ops.relu_squared import relu_squared

__all__ = ["geglu", "relu_squared", "swiglu"]
