"""A repository of two revisions that differ in one case's work, to try `traincost ab` on.

A case is a training step of one layer applied `PASSES` times, forward and backward. In the revision
`SLOWER` the first case applies it 8% more often: work of the same kind as all the rest, known
without a clock. Counts are off by threshold, since a count would give the extra passes away.
"""

from __future__ import annotations

import os
import subprocess
from itertools import islice, product
from pathlib import Path

from traincost.data.errors import BadInputError

PLAIN, SLOWER = "plain", "slower"
"""Tags of the two revisions."""
PASSES, MORE_PASSES = 25, 27
EXTRA_REL = MORE_PASSES / PASSES - 1
WIDTHS, BATCH_SIZES = (64, 32, 96, 128, 48), (16, 32, 64, 8)
MOST_CASES = len(WIDTHS) * len(BATCH_SIZES)

_TRAINEE = """
import torch

PASSES = {passes}


def training(width, batch_size):
    torch.manual_seed(0)
    layer = torch.nn.Linear(width, width)
    torch.nn.init.orthogonal_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    x = torch.randn(batch_size, width)
    passes = PASSES.get((width, batch_size), {plain})

    def step():
        optimizer.zero_grad()
        y = x
        for _ in range(passes):
            y = torch.tanh(layer(y))
        loss = y.square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return dict(step=step, samples=batch_size, model=layer, optimizer=optimizer)
"""
_SUITE = """
import pytest
from trainee import training


@pytest.mark.gate
@pytest.mark.parametrize("width,batch_size", {cases})
def test_step(train_cost, width, batch_size):
    train_cost(**training(width, batch_size))
"""
_POLICY = """
[tool.traincost.gate]
fail_if_slower = "5%"

[tool.traincost.gate.thresholds]
"*" = {{ {off} }}
"""


def write_repository(folder: Path, n_cases: int) -> None:
    """Both revisions, `PLAIN` checked out. BadInputError where git can't."""
    cases = list(islice(product(WIDTHS, BATCH_SIZES), n_cases))
    (folder / "suites").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "pyproject.toml").write_text(_policy())
    (folder / "suites" / "test_trainee.py").write_text(_SUITE.format(cases=cases))
    _git(folder, "init", "-q")
    for tag, passes in ((SLOWER, {cases[0]: MORE_PASSES}), (PLAIN, {})):
        (folder / "trainee.py").write_text(_TRAINEE.format(passes=passes, plain=PASSES))
        _git(folder, "add", ".")
        _git(folder, "commit", "-qm", tag)
        _git(folder, "tag", tag)


def _policy() -> str:
    from traincost.judge.exact import EXACT

    return _POLICY.format(off=", ".join(f'{metric} = "off"' for metric in EXACT))


def _git(folder: Path, *arguments: str) -> None:
    """As nobody in particular: no hook, no signature, no setting of this user."""
    settings = ("user.name=traincost", "user.email=traincost@localhost", "commit.gpgsign=false")
    options = [word for s in (*settings, "core.hooksPath=/dev/null") for word in ("-c", s)]
    command = ["git", *options, *arguments]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        subprocess.run(command, cwd=folder, env=kept, check=True, capture_output=True, text=True)
    except FileNotFoundError as e:
        raise BadInputError("git is not installed; expected it, for real comparisons") from e
    except subprocess.CalledProcessError as e:
        raise BadInputError(f"git {arguments[0]}: {e.stderr.strip()}; expected it to work") from e
