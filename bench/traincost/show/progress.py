"""What is running, how many of how many, and the time left; on a terminal only.

It is drawn when a pass begins, never by a thread: nothing may run beside a timed round.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

_REST = Column(no_wrap=True, ratio=1)  # what a line has left: a long case id is cut, not the bar


class CaseProgress:
    """A bar over the cases of a run."""

    def __init__(self, cases: int, file: TextIO) -> None:
        self._case_id = ""
        self._bar = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.description}", markup=False, table_column=_REST),
            console=Console(file=file, force_terminal=True),
            auto_refresh=False,
            transient=True,
            expand=True,
            speed_estimate_period=600,
        )
        self._task = self._bar.add_task("", total=cases)

    def start(self) -> None:
        """Begin drawing."""
        self._bar.start()

    def case(self, case_id: str) -> None:
        """A case begins."""
        self._case_id = case_id
        self.in_pass("building")

    def in_pass(self, name: str) -> None:
        """A pass of this case begins."""
        self._bar.update(self._task, description=f"{name} · {self._case_id}", refresh=True)

    def done(self) -> None:
        """A case has ended."""
        self._bar.update(self._task, advance=1, refresh=True)

    def stop(self) -> None:
        """Wipe the bar away."""
        self._bar.stop()


@contextmanager
def steps_done(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar on stderr for a long command; `done(n, of)` moves it on. Nothing off a terminal."""
    bar = Progress(
        TextColumn(what),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = bar.add_task("", total=None)
    with bar:
        yield lambda n, of: bar.update(task, completed=n, total=of, refresh=True)
