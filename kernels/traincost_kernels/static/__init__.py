"""What a kernel costs before it runs: compiled ahead of time, no GPU needed, exact.

    python -m traincost_kernels.static rms_norm --dtype bf16 --n-cols 4096 4099

For sm_80, sm_90 and sm_100, exactly the launches that the launchers make: registers, spills, shared
memory, theoretical occupancy, PTX instructions, the width of global loads and stores, and the bytes
moved an element against the least possible. Nothing here measures time.

How: `subject` says what is looked at, `compile` compiles it, `counting` counts its bytes in the
interpreter, `cost` puts the two together, `run` does so for many in worker processes.
"""
