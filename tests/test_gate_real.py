"""The gate on what was really counted: one op, saved tensor or register more; and no more."""

import importlib.util
import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from gate_rows import row
from project import run_pytest, write_project

from traincost.cli import main
from traincost.data.results import to_csv

SUITE = {
    "test_costs.py": """
        import library

        def test_op(train_cost):
            train_cost(**library.training(library.activation))

        def test_saved(train_cost):
            train_cost(**library.training(library.Relu.apply))
    """
}
LIBRARY = """
    import torch

    KEPT = 1

    def training(activation):
        model = torch.nn.Linear(16, 256)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.ones(64, 16)

        def step():
            optimizer.zero_grad()
            loss = activation(model(x)).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return dict(step=step, samples=64, model=model, optimizer=optimizer)

    def activation(x):
        return x.relu()

    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.relu()
            ctx.save_for_backward(*(y, x)[:KEPT])
            return y

        @staticmethod
        def backward(ctx, dy):
            return dy * (ctx.saved_tensors[0] > 0)
"""
CHANGES = {
    "op": ("return x.relu()", "return x.relu().clone()"),
    "saved": ("KEPT = 1", "KEPT = 2"),
}
TENSOR_BYTES = 64 * 256 * 4


def measure(folder: Path, name: str) -> str:
    """One real run; the folder of its rows."""
    outcome = run_pytest(folder, "-q", "--cost-results", name)
    assert outcome.code == 0, outcome.output
    return str(folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, measured as it is."""
    made = write_project(tmp_path_factory.mktemp("project"), SUITE)
    (made / "library.py").write_text(textwrap.dedent(LIBRARY))
    measure(made, "base")
    return made


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in this checkout, whose pyproject.toml would be found, nor in GitHub's CI."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def gated(base: str, head: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[Any, Any]]:
    """Exit code, and reason by case and metric of what grew."""
    code = main(["gate", base, head, "--format", "json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {"equal"} <= {r["verdict"] for r in rows}
    return code, {(r["case_id"], r["metric"]): r["reason"] for r in rows if r["verdict"] == "grew"}


@pytest.mark.slow
def test_one_more_op_and_one_saved_tensor_fail_and_say_how_much(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = folder / "library.py"
    kept = library.read_text()
    changed = kept
    for old, new in CHANGES.values():
        assert changed.count(old) == 1
        changed = changed.replace(old, new)
    library.write_text(changed)
    try:
        head = measure(folder, "head")
    finally:
        library.write_text(kept)
    code, grown = gated(str(folder / "base"), head, capsys)
    assert code == 1
    assert "(+1, " in grown.pop(("costs/op", "aten_ops"))
    assert f"(+{TENSOR_BYTES:,} B, " in grown.pop(("costs/saved", "step_peak_bytes"))
    assert {case for case, _ in grown} <= {"costs/op"}  # a copy is traffic, too


def test_one_spilled_register_fails_and_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 values at once need 45 registers; with 44 one of them is stored and loaded again."""
    for side, cap in (("base", 45), ("head", 44)):
        kernel = row(side, case_id="kernels/copy", arch="sm_80", **assembled(tmp_path, cap))
        (tmp_path / f"{side}.csv").write_text(to_csv([kernel]))
    code, grown = gated("base.csv", "head.csv", capsys)
    assert (code, grown) == (1, {("kernels/copy", "spill_bytes"): "0 B → 8 B (+8 B)"})


def assembled(folder: Path, cap: int) -> dict[str, int]:
    """What CUDA's assembler makes of a kernel that may use so many registers."""
    lines = [
        *(".version 8.0", ".target sm_80", ".address_size 64"),
        f".visible .entry kernel(.param .u64 p) .maxntid 128 .maxnreg {cap}",
        *("{", ".reg .f32 %f<40>;", ".reg .b64 %p;"),
        *("ld.param.u64 %p, [p];", "cvta.to.global.u64 %p, %p;"),
        *(f"ld.volatile.global.f32 %f{i}, [%p+{4 * i}];" for i in range(40)),
        *(f"st.volatile.global.f32 [%p+{4 * i}], %f{i};" for i in range(40)),
        *("ret;", "}", ""),
    ]
    source = folder / "kernel.ptx"
    source.write_text("\n".join(lines))
    spec = importlib.util.find_spec("triton")
    if spec is None or spec.origin is None:
        pytest.skip("needs the assembler that triton brings along")
    ptxas = Path(spec.origin).parent / "backends/nvidia/bin/ptxas"
    said = subprocess.run(
        [ptxas, "-v", "-arch=sm_80", source, "-o", folder / "kernel.cubin"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    (registers,) = re.findall(r"Used (\d+) reg", said)
    spilled = re.findall(r"(\d+) bytes spill", said)
    return {"registers": int(registers), "spill_bytes": sum(map(int, spilled))}


@pytest.mark.slow
def test_the_same_code_passes_20_of_20(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [gated(str(folder / "base"), measure(folder, f"again-{i}"), capsys) for i in range(20)]
    assert codes == [(0, {})] * 20
