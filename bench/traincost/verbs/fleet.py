"""`traincost fleet -- suites`: the cases of suites, each on one slot of a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from traincost.fleet.drive import Slots
    from traincost.fleet.results import FleetFile, Resumed

OURS = ("--cost-results", "--cost-resume", "--cost-ab", "--cost-fleet")
"""Options of pytest that the fleet sets itself."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options; pytest's follow after `--`."""
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of a Ray cluster: ray://HOST:10001, HOST:6379 or auto (default: RAY_ADDRESS, else "
        "one that runs on this machine, else this machine alone)",
    )
    parser.add_argument(
        "--per-device",
        action="store_true",
        help="a slot for each GPU of a node, with its share of the CPUs (default: one slot a node)",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="run only the cases that have no row in this result CSV; can be given several times",
    )
    parser.add_argument(
        "--patience",
        metavar="S",
        type=float,
        default=120.0,
        help="seconds to wait for a node when no case can go on (default: 120)",
    )
    parser.add_argument(
        "--cost-results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="folder for the result CSV (default: results)",
    )
    parser.usage = "%(prog)s [options] [-- pytest arguments (default: suites)]"


def run(options: argparse.Namespace) -> int:
    """Measure; 1 if a case failed or has no row."""
    from traincost.fleet.on_ray import RaySlots, connect, load_ray
    from traincost.fleet.results import FleetFile, Resumed, resumed_from
    from traincost.machine.versions import commit
    from traincost.verbs.ab import terminated_as_interrupted

    arguments = checked_arguments(options.rest)
    if not options.patience >= 0:
        raise BadInputError(f"--patience {options.patience}: expected seconds, 0 or more")
    ray = load_ray()
    resumed = resumed_from(options.resume) if options.resume else Resumed({}, [])
    file = FleetFile(options.cost_results, commit(Path.cwd()))
    file.check_writable()
    with terminated_as_interrupted():
        connect(ray, options.address, Path.cwd())
        slots = RaySlots(ray, arguments, options.per_device)
        try:
            return drive(slots, file, resumed, options)
        finally:
            slots.close()


def drive(slots: Slots, file: FleetFile, resumed: Resumed, options: argparse.Namespace) -> int:
    """Drive the slots of any engine, and say what came of it."""
    from traincost.fleet.drive import Drive, Row
    from traincost.fleet.plan import FleetPlan
    from traincost.fleet.results import FAILED
    from traincost.show import fleet as show
    from traincost.show.tables import render

    progress = show.FleetProgress()

    def save(rows: Sequence[Row]) -> None:
        file.save(rows)
        progress.rows(rows, running)

    running = Drive(
        slots,
        FleetPlan(resumed.machine_ids),
        save=save,
        give_up=file.give_up,
        welcome=file.keep_machine,
        tell=progress.say,
        progress=progress.draw,
        patience_s=options.patience,
        peaks=list(resumed.peaks),
    )
    try:
        with progress.shown():
            running.run()
    except KeyboardInterrupt:
        if file.records:
            kept = f"{len(file.records)} rows in {file.path}"
            progress.say(f"{kept}; to go on: the same command with --resume {file.path}")
        raise
    rows = show.node_rows(running, file.by_slot)
    print(render("nodes", show.COLUMNS, rows, options.format), end="")
    for line in (show.overhead_line(running), *show.missing_lines(running, str(file.path))):
        if line is not None:
            progress.say(line)
    if line := show.resumed_line(running, resumed):
        progress.say(line)
    progress.say(f"{len(file.records)} rows in {file.path}")
    failed = any(record.status in FAILED for record in file.records)
    return 1 if failed or running.plan.missing else 0


def checked_arguments(given: Sequence[str]) -> list[str]:
    """Pytest's arguments, the suites by default; BadInputError for what is not theirs to say."""
    for argument in given:
        name = argument.partition("=")[0]
        if name in OURS:
            known = {"--cost-results": "--cost-results", "--cost-resume": "--resume"}
            instead = f"{known[name]} before --" if name in known else "none: it is set here"
            raise BadInputError(f"{name} after --; expected {instead}")
    return list(given) or ["suites"]
