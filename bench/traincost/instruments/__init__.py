"""Clocks, counters and probes, handed to the measuring layer."""
