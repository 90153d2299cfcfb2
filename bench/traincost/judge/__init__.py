"""Records and frames in, tables and verdicts out: pure functions that never import torch."""
