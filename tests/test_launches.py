"""Which of the profiler's events put work on the GPU."""

from types import SimpleNamespace

from traincost.instruments.launches import LAUNCH_CALLS, launches_among


def events(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=name) for name in names]


def test_launches_by_runtime_driver_and_graph_count_and_nothing_else_does() -> None:
    others = ("aten::mm", "cudaMemcpyAsync", "cudaDeviceSynchronize", "void gemm_kernel()")
    assert launches_among(events("cudaLaunchKernel", *others, "cuLaunchKernelEx")) == 2
    assert launches_among(events("cudaGraphLaunch")) == 1
    assert launches_among(events(*LAUNCH_CALLS)) == len(set(LAUNCH_CALLS)) == 7
