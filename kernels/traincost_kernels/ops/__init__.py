"""The fused ops, one a file."""
