"""Sweeps over many machines: each case on one exclusive slot, rows home as they end.

`plan` says which case runs where, `drive` is the loop around it; neither knows Ray. `on_ray` is the
engine: an actor a slot, which keeps a pytest of its own (`process`), inside of which `serve` takes
orders. Measured is that pytest, in which no thread of Ray's runs.
"""
