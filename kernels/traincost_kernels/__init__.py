"""Fused Triton kernels for training: forward and backward."""

from traincost_kernels.ops.bias_gelu import bias_gelu
from traincost_kernels.ops.gated import geglu, swiglu
from traincost_kernels.ops.relu_squared import relu_squared

__all__ = ["bias_gelu", "geglu", "relu_squared", "swiglu"]
