"""The table of all fused ops."""

from traincost_kernels.entries import (
    bias_dropout_residual,
    bias_gelu,
    cross_entropy,
    fused_mlp,
    gated,
    layer_norm,
    lstm_cell,
    relu_squared,
    rms_norm,
    softmax,
)
from traincost_kernels.entry import KernelEntry

CATALOG: tuple[KernelEntry, ...] = (
    relu_squared.ENTRY,
    bias_gelu.ERF,
    bias_gelu.TANH,
    bias_dropout_residual.ENTRY,
    fused_mlp.ENTRY,
    lstm_cell.ENTRY,
    gated.SWIGLU,
    gated.GEGLU,
    gated.GEGLU_TANH,
    rms_norm.RMS_NORM,
    rms_norm.ADD_RMS_NORM,
    layer_norm.LAYER_NORM,
    softmax.SOFTMAX,
    softmax.MASKED_SOFTMAX,
    cross_entropy.CROSS_ENTROPY,
)

# Ops that write over their input: their backward runs once, so they are tested apart.
IN_PLACE: tuple[KernelEntry, ...] = (cross_entropy.CROSS_ENTROPY_IN_PLACE,)
