"""A tree of processes is looked at while they come and go, whatever their names."""

import os
from pathlib import Path

import pytest

from traincost.instruments.process_tree import look, peak_bytes


def write_process(proc: Path, pid: int, threads: dict[int, str], name: bytes = b"worker") -> None:
    """A process with the children of each of its threads, that holds 2 kB a number."""
    for tid, children in threads.items():
        folder = proc / f"{pid}/task/{tid}"
        folder.mkdir(parents=True)
        (folder / "children").write_text(children)
    memory = f"\nVmHWM:\t{4 * pid} kB\nVmRSS:\t    {2 * pid} kB\nThreads:\t1\n"
    (proc / str(pid) / "status").write_bytes(b"Name:\t" + name + memory.encode())


def test_children_of_every_thread_are_found_and_each_counts_once(tmp_path: Path) -> None:
    """A child is listed twice where its thread ends between two readings."""
    write_process(tmp_path, 1, {1: "2 3 ", 11: "3 4 "})
    for pid in (2, 3, 4):
        write_process(tmp_path, pid, {pid: "5 " if pid == 4 else ""})
    write_process(tmp_path, 5, {5: ""})
    tree = look(1, tmp_path)
    assert sorted(tree.pids) == [1, 2, 3, 4, 5]
    assert tree.rss_bytes == 2 * 15 * 1024
    assert tree.largest_bytes == 4 * 5 * 1024


def test_a_name_that_is_no_text_does_not_hide_the_memory(tmp_path: Path) -> None:
    """The kernel cuts a name after 15 bytes, be it inside of a letter."""
    write_process(tmp_path, 7, {7: ""}, name="aübergroßeßßß".encode()[:15])
    assert look(7, tmp_path).rss_bytes == 14 * 1024
    assert peak_bytes(7, tmp_path) == 28 * 1024


@pytest.mark.parametrize("error", [ProcessLookupError, FileNotFoundError])
def test_a_process_that_ends_while_it_is_looked_at_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[OSError]
) -> None:
    write_process(tmp_path, 1, {1: "2 "})
    write_process(tmp_path, 2, {2: ""})
    scandir = os.scandir

    def ended(path: str) -> object:
        if str(path).endswith("2/task"):
            raise error(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", ended)
    assert look(1, tmp_path).pids == (1, 2)


def test_a_process_that_has_ended_has_no_memory(tmp_path: Path) -> None:
    assert look(1, tmp_path).rss_bytes is None
    assert peak_bytes(1, tmp_path) is None
