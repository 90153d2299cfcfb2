"""Fused Triton kernels for training: forward and backward."""
