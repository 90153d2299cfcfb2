"""A project whose cases run on two ranks, and do what their axis `fault` says."""

from pathlib import Path

SUITE = """
    import os, signal
    from pathlib import Path
    from traincost.measure import Work
    from traincost.parallel.rank_work import RankWork

    PIDS = Path(__file__).parent / "pids"

    def build(place, device, fault, batch_size):
        PIDS.mkdir(exist_ok=True)
        (PIDS / str(os.getpid())).touch()
        made = work()
        model = torch.nn.parallel.DistributedDataParallel(made["model"])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x, steps = torch.ones(4, 8), []
        def step():
            steps.append(1)
            if place.rank == 1 and len(steps) == 9:
                if fault == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if fault == "raises":
                    raise ArithmeticError("of rank 1")
                if fault == "memory":
                    raise torch.OutOfMemoryError("out of memory, says rank 1")
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()
        return RankWork(Work(step, 4, "step", None, model, optimizer))

    @pytest.mark.parametrize("fault", ["none", "killed", "raises", "memory", "late"])
    @pytest.mark.parametrize("world_size", [2])
    def test_step(parallel_cost, fault, world_size):
        parallel_cost("test_ranks:build", fault=fault, batch_size=8)

    @pytest.mark.parametrize("world_size", [10_000])
    def test_wide(parallel_cost, world_size):
        parallel_cost("test_ranks:build", fault="none", batch_size=8)
"""
"""Saved as `test_ranks.py`; each rank leaves its process id in the folder `pids`."""


def alive(pids: Path) -> list[str]:
    """Ranks whose process is still there."""
    return [file.name for file in pids.iterdir() if Path("/proc", file.name).exists()]
