"""Fused Triton kernels for training: forward and backward."""

from traincost_kernels.ops.relu_squared import relu_squared

__all__ = ["relu_squared"]
