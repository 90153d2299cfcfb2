"""`torchrun ... -m traincost.parallel ARGUMENTS OF PYTEST`: the suites on ranks of several hosts.

Every process that torchrun starts becomes a rank. The first one starts pytest beside itself, which
gives the orders and writes the rows; its exit code is that of the job.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from traincost.parallel.rank import serve
from traincost.parallel.ranks import GONE, JOINED
from traincost.parallel.store import Store, host_store, join_store, part_of
from traincost.parallel.together import Place

NEEDED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
BAD_USAGE = 2
GRACE_S = 25.0
"""Torchrun waits 30 s for a rank that it has told to end."""


def main() -> int:
    """A rank of the job; on the first one, pytest's exit code."""
    if missing := [name for name in NEEDED if name not in os.environ]:
        sys.stderr.write(
            f"traincost.parallel: {', '.join(missing)} not set; expected to be started by torchrun "
            "(on one machine, pytest suites/test_parallel.py starts its own ranks)\n"
        )
        return BAD_USAGE
    rank, local_rank, world_size = (int(os.environ[name]) for name in NEEDED[:3])
    place = Place(rank, local_rank, world_size)
    prefix = f"traincost-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    store = _store(rank, prefix)
    if rank != 0:
        serve(store, place)
        return 0
    address, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    environment = {**os.environ, JOINED: f"{address}:{port}:{prefix}:{world_size}"}
    pytest = subprocess.Popen(
        [sys.executable, "-m", "pytest", *sys.argv[1:]],
        env=environment,
        start_new_session=True,  # the launcher signals a rank's whole group
    )
    signal.signal(signal.SIGTERM, _told_to_end)
    try:
        serve(store, place, alive=lambda: pytest.poll() is None)
    finally:  # the launcher ends the ranks when one has gone: pytest still saves that row
        with suppress(RuntimeError):
            store.set(GONE, b"yes")
        code = pytest.wait(GRACE_S)
    return code


def _told_to_end(number: int, frame: object) -> None:
    """Leave through `finally`."""
    sys.exit(128 + number)


def _store(rank: int, prefix: str) -> Store:
    """The launcher's own where it has one, else one that the first rank hosts."""
    launcher_has_one = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if rank == 0 and not launcher_has_one:
        return part_of(host_store(host, port)[0], prefix)
    return part_of(join_store(host, port), prefix)


if __name__ == "__main__":
    sys.exit(main())
