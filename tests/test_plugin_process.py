"""What the plugin does to the process, the order and the fixtures of a user's project."""

import os
from pathlib import Path

import pytest
from project import run_pytest, write_project


@pytest.mark.thorough
def test_cases_that_others_need_the_numbers_of_run_first(tmp_path: Path) -> None:
    suite = """
        def test_later(train_cost):
            train_cost(**work())

        @pytest.mark.cost_first
        def test_needed(train_cost):
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}))
    assert [r.case_id for r in outcome.records] == ["a/needed", "a/later"]


@pytest.mark.thorough
def test_the_process_is_pinned_with_all_its_threads_and_workers_can_shed_the_pin(
    tmp_path: Path,
) -> None:
    suite = """
        import os, threading
        from pathlib import Path
        from traincost.machine.processor import unpin

        done = threading.Event()
        threading.Thread(target=done.wait, daemon=True).start()  # started before the pin

        def cpus():
            tasks = Path("/proc/self/task").iterdir()
            return {frozenset(os.sched_getaffinity(int(t.name))) for t in tasks}

        def test_pinned(train_cost):
            (of_all_threads,) = cpus()
            assert len(of_all_threads) == 1
            assert torch.get_num_threads() == 1
            train_cost(**work())
            unpin()
            assert cpus() == {frozenset(map(int, os.environ["ALLOWED"].split(",")))}
    """
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}), ALLOWED=allowed)
    assert outcome.statuses == {"a/pinned": "ok"}, outcome.output


@pytest.mark.thorough
def test_a_fixture_of_ones_own_named_device_is_left_alone(tmp_path: Path) -> None:
    suite = """
        @pytest.fixture
        def device():
            return "mine"

        def test_it(train_cost, device):
            assert device == "mine"
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}))
    assert outcome.statuses == {"a/it": "ok"}, outcome.output


@pytest.mark.thorough
def test_a_model_on_another_device_than_the_cases_is_refused(tmp_path: Path) -> None:
    suite = """
        def test_it(train_cost):
            model = torch.nn.Linear(2, 2, device="meta")
            train_cost(lambda: 0.0, samples=1, model=model)
    """
    (record,) = run_pytest(write_project(tmp_path, {"test_a.py": suite})).records
    assert record.status == "error"
    assert "the model is on meta, the case is of cpu" in (record.notes or "")


@pytest.mark.thorough
def test_memory_of_a_case_that_ran_out_of_it_is_free_for_the_next(tmp_path: Path) -> None:
    suite = """
        import weakref

        refs = []

        class Big:
            pass

        def test_a(train_cost):
            big = Big()
            refs.append(weakref.ref(big))
            def step():
                local = big
                raise MemoryError
            train_cost(step, samples=1)

        def test_b(train_cost):
            assert refs[0]() is None
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}))
    assert outcome.statuses == {"a/a": "oom", "a/b": "ok"}, outcome.output
