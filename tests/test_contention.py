"""The kernel's account of waiting for a CPU."""

from pathlib import Path

from traincost.instruments.contention import waited_s, waited_share


def write_task(proc: Path, tid: int, text: str) -> None:
    (proc / "task" / str(tid)).mkdir(parents=True)
    (proc / "task" / str(tid) / "schedstat").write_text(text)


def test_the_waiting_of_all_threads_is_summed(tmp_path: Path) -> None:
    write_task(tmp_path, 1, "900 1500000000 7\n")
    write_task(tmp_path, 2, "900 500000000 7\n")
    assert waited_s(tmp_path) == 2.0


def test_where_nobody_counts_it_is_unknown(tmp_path: Path) -> None:
    write_task(tmp_path, 1, "")
    assert waited_s(tmp_path) is None
    assert waited_share(None, 1.0, 2.0) is None


def test_the_share_is_of_the_wall_time_and_never_negative() -> None:
    assert waited_share(1.0, 2.0, 4.0) == 0.25
    assert waited_share(2.0, 1.0, 4.0) == 0.0  # a thread that had waited has ended


def test_this_process_has_an_account() -> None:
    assert (waited_s() or 0.0) >= 0.0
