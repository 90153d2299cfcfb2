"""Axes as users write them: dtypes, devices, objects; and rows of cases that end in odd ways."""

from pathlib import Path

import pytest
from project import run_pytest, write_project

AXES = """
    class Config:
        pass

    @pytest.mark.parametrize("config", [Config(), Config()], ids=["small", "big"])
    def test_objects(train_cost, config):
        train_cost(**work())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_torch_dtypes(train_cost, dtype):
        train_cost(lambda: 0.0, samples=1, model=torch.nn.Linear(2, 2, dtype=dtype))

    def test_undeclared(train_cost):
        train_cost(lambda: 0.0, samples=1, model=torch.nn.Linear(2, 2, dtype=torch.bfloat16))

    @pytest.mark.parametrize("dtype", ["bf16"])
    def test_contradicted(train_cost, dtype):
        train_cost(lambda: 0.0, samples=1, model=torch.nn.Linear(2, 2))

    @pytest.mark.parametrize("device", ["cuda:0"])
    def test_one_of_several(train_cost, device):
        train_cost(**work())

    def test_relabelled(train_cost):
        train_cost(**work(), axes={"device": "cuda"})

    def test_two_optimizers(train_cost):
        train_cost(**work() | {"optimizer": []})

    @pytest.fixture
    def huge():
        raise MemoryError

    def test_huge_fixture(train_cost, huge):
        train_cost(**work())

    @pytest.mark.xfail
    def test_expected_to_fail(train_cost):
        raise RuntimeError("boom")

    def test_next(train_cost):
        train_cost(**work())
"""


@pytest.mark.thorough
def test_each_axis_is_written_one_way_and_checked_against_the_model(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"test_a.py": AXES})
    outcome = run_pytest(project, CUDA_VISIBLE_DEVICES="")
    assert outcome.statuses == {
        "a/objects[config=Config0]": "ok",
        "a/objects[config=Config1]": "ok",
        "a/torch_dtypes": "ok",
        "a/torch_dtypes[dtype=bf16]": "ok",
        "a/undeclared": "ok",
        "a/contradicted[dtype=bf16]": "error",
        "a/one_of_several[device=cuda]": "unavailable",
        "a/relabelled": "error",
        "a/two_optimizers": "error",
        "a/huge_fixture": "oom",
        "a/expected_to_fail": "error",
        "a/next": "ok",
    }
    rows = {r.case_id: r for r in outcome.records}
    assert rows["a/undeclared"].dtype == "bf16"
    assert "the model is fp32, the case is of bf16" in (
        rows["a/contradicted[dtype=bf16]"].notes or ""
    )
    assert "optimizer is a list" in (rows["a/two_optimizers"].notes or "")
    assert "3 failed" in outcome.output  # the contradicted, the relabelled, the two optimizers
    assert "oom: MemoryError" in outcome.output.split("training cost")[1], "the reason is shown"


@pytest.mark.thorough
def test_a_device_of_another_kind_is_refused(tmp_path: Path) -> None:
    suite = """
        @pytest.mark.parametrize("device", ["tpu"])
        def test_it(train_cost, device):
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}))
    assert outcome.code == 2
    assert "device='tpu': expected cpu or cuda" in outcome.output


@pytest.mark.thorough
def test_an_unseeded_model_is_the_same_alone_and_in_company(tmp_path: Path) -> None:
    suite = """
        def test_a(train_cost):
            train_cost(**work())

        def test_b(train_cost):
            train_cost(**work())
    """
    project = write_project(tmp_path, {"test_a.py": suite})
    run_pytest(project)
    outcome = run_pytest(project, "-k", "test_b")
    losses = [r.loss_first for r in outcome.records if r.case_id == "a/b"]
    assert len(losses) == 2
    assert losses[0] == losses[1] is not None


@pytest.mark.thorough
def test_collecting_alone_leaves_nothing(tmp_path: Path) -> None:
    suite = """
        def test_it(train_cost):
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}), "--collect-only")
    assert outcome.code == 0
    assert not outcome.results.exists()
