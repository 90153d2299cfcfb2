"""The pytest plugin: options, which cases run, and the fixture. Light until a case is collected.

An unrelated pytest run pays for these few hooks and nothing else: torch, pandas and rich are
imported when a test that asks for `train_cost`, `train_run` or `static_cost` has been collected.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from traincost.data.case import CASE_FIXTURES, RANKS_FIXTURE, RUN_FIXTURE
from traincost.data.profile import DEFAULT_PROFILE, choose_one_of_many, choose_profile
from traincost.data.side_plan import SidePlan

if TYPE_CHECKING:
    from traincost.fixture import TrainCost
    from traincost.instruments.clock import Clock
    from traincost.parallel.fixture import ParallelCost
    from traincost.parallel.ranks import Ranks
    from traincost.run_fixture import TrainRun
    from traincost.running import CostSession
    from traincost.static_cost import StaticCost

SIDE_PLAN = pytest.StashKey[SidePlan]()
SESSION: pytest.StashKey[CostSession] = pytest.StashKey()
BAD_INPUT = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options; the prefix keeps them apart from other plugins'."""
    group = parser.getgroup("traincost")
    group.addoption(
        "--cost-profile",
        metavar="NAME",
        default=DEFAULT_PROFILE,
        help="quick (5 minutes on 2 CPU cores), standard or full. Default: %(default)s.",
    )
    group.addoption(
        "--cost-results",
        metavar="DIR",
        help="Folder for the result CSV. Default: results/ beside pytest's configuration.",
    )
    group.addoption(
        "--cost-resume",
        metavar="FILE",
        action="append",
        default=[],
        help="Run only the cases that have no row in this result CSV. Can be given several times.",
    )
    group.addoption(
        "--cost-device",
        metavar="DEVICE",
        default="auto",
        help="auto (CUDA where there is one, else the CPU), all, cpu, cuda or cuda:N.",
    )
    group.addoption(
        "--cost-threads",
        metavar="N",
        type=int,
        help="CPU threads, and cores to pin to. Default: every core of this process.",
    )
    group.addoption("--cost-ab", metavar="FILE", help="Set by `traincost ab`, one process a side.")
    group.addoption("--cost-fleet", metavar="R,W", help="Set by `traincost fleet`, one a slot.")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the profile before suite files ask for their grid."""
    config.addinivalue_line("markers", "gate: a case that `traincost ab` runs by default")
    config.addinivalue_line("markers", "cost_first: a case that others need the numbers of")
    try:
        choose_profile(str(config.getoption("cost_profile")))
        if file := config.getoption("cost_ab"):
            config.stash[SIDE_PLAN] = side_plan = SidePlan.read(Path(file))
            choose_one_of_many(untimed=side_plan.untimed)
    except ValueError as e:
        pytest.exit(str(e), returncode=BAD_INPUT)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A cost case that takes `device` and says no more runs on each kind of device."""
    names = metafunc.fixturenames
    marks = metafunc.definition.iter_markers("parametrize")
    taken = any("device" in _names_of(mark) for mark in marks)
    own_fixture = "device" in metafunc.definition._fixtureinfo.name2fixturedefs
    runs = {RUN_FIXTURE, RANKS_FIXTURE}.intersection(names)
    if runs and "device" in names and not taken and not own_fixture:
        metafunc.parametrize("device", ["cpu", "cuda"])


def _names_of(mark: pytest.Mark) -> list[str]:
    argnames: Any = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
    return [n.strip() for n in argnames.split(",")] if isinstance(argnames, str) else list(argnames)


@pytest.hookimpl(trylast=True)  # after -k and -m have had their say
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take up the session's work if there is a cost case among the tests."""
    cases = (CASE_FIXTURES.intersection(getattr(i, "fixturenames", ())) for i in items)
    if not any(cases) and SIDE_PLAN not in config.stash:  # an A/B is told that there is none
        return
    from traincost.running import CostSession

    config.stash[SESSION] = session = CostSession.start(
        config, items, results_dir(config), config.stash.get(SIDE_PLAN, None)
    )
    config.pluginmanager.register(session, "traincost.session")
    if given := config.getoption("cost_fleet"):
        _serve(config, given, session)


def _serve(config: pytest.Config, given: str, session: CostSession) -> None:
    from traincost.fleet.serve import Serving

    try:
        config.pluginmanager.register(Serving.start(given, session), "traincost.serving")
    except ValueError as e:
        pytest.exit(str(e), returncode=BAD_INPUT)


@pytest.fixture
def _cost_clock(request: pytest.FixtureRequest) -> Clock:
    """Hands the timer to pytest-benchmark, whose fixture is made after this one."""
    return request.config.stash[SESSION].clock_for(request.node)


@pytest.fixture
def train_cost(request: pytest.FixtureRequest, _cost_clock: Clock, benchmark: Any) -> TrainCost:
    """Measure one training step and leave its row in the result CSV: `TrainCost.__call__`."""
    from traincost.fixture import TrainCost

    session = request.config.stash[SESSION]
    return session.fixture_for(TrainCost, request.node, _cost_clock, benchmark)


@pytest.fixture
def train_run(request: pytest.FixtureRequest, _cost_clock: Clock, benchmark: Any) -> TrainRun:
    """Train to a target and leave its row in the result CSV: `TrainRun.__call__`."""
    from traincost.run_fixture import TrainRun

    session = request.config.stash[SESSION]
    return session.fixture_for(TrainRun, request.node, _cost_clock, benchmark)


@pytest.fixture
def static_cost(request: pytest.FixtureRequest) -> StaticCost:
    """Leave a row of what a compiler says, nothing being run: `StaticCost.__call__`."""
    return request.config.stash[SESSION].static_fixture_for(request.node)


@pytest.fixture(scope="session")
def _cost_ranks() -> Generator[Ranks]:
    """The processes that parallel cases run on, started when the first of them needs them."""
    from traincost.parallel.ranks import open_ranks

    ranks = open_ranks()
    yield ranks
    ranks.close()


@pytest.fixture
def parallel_cost(request: pytest.FixtureRequest, _cost_ranks: Ranks) -> ParallelCost:
    """Measure a step of several ranks and leave its row: `ParallelCost.__call__`."""
    return request.config.stash[SESSION].parallel_fixture_for(request.node, _cost_ranks)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Under xdist only the workers collect: hear from one of them that there were cost cases."""
    if getattr(node, "workeroutput", {}).get("cost_cases"):
        node.config.stash[UNDER_XDIST] = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that no CSV was written, where xdist kept the timing off."""
    if terminalreporter.config.stash.get(UNDER_XDIST, False):
        terminalreporter.write_line("traincost: no result CSV: timing is off under xdist")


UNDER_XDIST = pytest.StashKey[bool]()


def results_dir(config: pytest.Config) -> Path:
    """`--cost-results`, or `results/` at pytest's root."""
    given = config.getoption("cost_results")
    return config.invocation_params.dir / given if given else config.rootpath / "results"
