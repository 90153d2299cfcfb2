"""Fused Triton kernels for training: forward and backward."""

from traincost_kernels.ops.bias_dropout_residual import bias_dropout_residual
from traincost_kernels.ops.bias_gelu import bias_gelu
from traincost_kernels.ops.cross_entropy import cross_entropy
from traincost_kernels.ops.cross_entropy_in_place import cross_entropy_
from traincost_kernels.ops.fused_mlp import fused_mlp
from traincost_kernels.ops.gated import geglu, swiglu
from traincost_kernels.ops.layer_norm import layer_norm
from traincost_kernels.ops.lstm_cell import lstm_cell
from traincost_kernels.ops.relu_squared import relu_squared
from traincost_kernels.ops.rms_norm import rms_norm
from traincost_kernels.ops.softmax import softmax

__all__ = [
    "bias_dropout_residual",
    "bias_gelu",
    "cross_entropy",
    "cross_entropy_",
    "fused_mlp",
    "geglu",
    "layer_norm",
    "lstm_cell",
    "relu_squared",
    "rms_norm",
    "softmax",
    "swiglu",
]
