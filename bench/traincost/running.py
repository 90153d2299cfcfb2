"""A pytest session that measures: the hooks around its cases, and what it was told to run."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from traincost.assemble import bare_record
from traincost.case_fixture import CaseFixture, TrainCostUsageError
from traincost.closing import quieten_benchmark_table, say_results
from traincost.collecting import CASE, UNAVAILABLE, Plan, name_cases, plan, timing_off
from traincost.data.errors import BadInputError
from traincost.data.record import Status
from traincost.data.side_plan import SidePlan
from traincost.instruments.clock import Clock
from traincost.machine.oom import free_memory_of, is_out_of_memory
from traincost.machine.processor import measuring_cpus, pinned
from traincost.parallel.fixture import ParallelCost
from traincost.parallel.ranks import Ranks
from traincost.passes import Passes, wall_time
from traincost.session import ResultsNotSavedError, Run, choose_devices, finished_cases
from traincost.show.progress import CaseProgress
from traincost.side import Side
from traincost.snapshot import seed_all
from traincost.static_cost import StaticCost

BAD_INPUT = 2
FixtureT = TypeVar("FixtureT", bound=CaseFixture)
FIXTURE = pytest.StashKey[CaseFixture | StaticCost | ParallelCost]()


@dataclass(eq=False)  # a plugin is itself, and hashable
class CostSession:
    """Registered as a plugin when a cost case has been collected."""

    run: Run
    plan: Plan
    resumed: Mapping[str, str]  # status by case id, of the files that this run resumes
    timing_off: str | None  # why no CSV is written
    started_s: float
    passes: Passes = field(default_factory=Passes)
    in_tests_s: float = field(default=0.0, init=False)
    progress: CaseProgress | None = field(default=None, init=False)

    @classmethod
    def start(
        cls,
        config: Any,
        items: list[pytest.Item],
        results: Path,
        side_plan: SidePlan | None = None,
    ) -> CostSession:
        """Plan the run; bad input ends pytest here, with one line and exit code 2."""
        try:
            cases = name_cases(items)
            devices = choose_devices(config.getoption("cost_device"))
            cpus = measuring_cpus(config.getoption("cost_threads"))
            pair = None if side_plan is None else side_plan.pair
            run = Run(config.rootpath, results, devices, cpus, pair=pair)
            resumed = [config.invocation_params.dir / f for f in config.getoption("cost_resume")]
            finished = finished_cases(resumed, run)
            planned = plan(items, cases, devices, finished.keys())
            if side_plan is not None:
                planned = _of_side(config, side_plan, planned)
            session = cls(run, planned, finished, timing_off(config), _now_s())
            if session.timing_off is None and not config.getoption("collectonly"):
                run.check_writable()
        except BadInputError as e:
            pytest.exit(str(e), returncode=BAD_INPUT)
        items[:] = session.plan.items
        config.hook.pytest_deselected(items=session.plan.deselected)
        quieten_benchmark_table(config, session.plan)
        if hasattr(config, "workeroutput"):  # a worker of xdist: tells the process that reports
            config.workeroutput["cost_cases"] = len(session.plan.cases)
        return session

    # --- fixtures -----------------------------------------------------------------------------

    def clock_for(self, item: pytest.Item) -> Clock:
        """The case's device made ready, and a clock for it, handed to pytest-benchmark.

        Through its own marker: its fixture is made after this.
        """
        case = item.stash[CASE]
        device = self.run.device(str(case.columns()["device"]))
        device.set_matmul_precision(str(case.columns()["matmul_precision"]))
        clock = Clock(device)
        own = item.get_closest_marker("benchmark")
        options = {"group": case.suite, **(own.kwargs if own else {})}
        options |= {"timer": clock.timer, "disable_gc": True}
        item.add_marker(pytest.mark.benchmark(**options), append=False)
        return clock

    def fixture_for(
        self, kind: type[FixtureT], item: pytest.Item, clock: Clock, benchmark: Any
    ) -> FixtureT:
        """The `train_cost` or `train_run` of one case."""
        fixture = kind(
            case=item.stash[CASE],
            run=self.run,
            benchmark=benchmark,
            clock=clock,
            passing=self.passes.passing,
            timing_off=self.timing_off is not None,
        )
        _stash(item, fixture)
        return fixture

    def static_fixture_for(self, item: pytest.Item) -> StaticCost:
        """The `static_cost` of one case."""
        fixture = StaticCost(item.stash[CASE], self.run, saving=self.timing_off is None)
        _stash(item, fixture)
        return fixture

    def parallel_fixture_for(self, item: pytest.Item, ranks: Ranks) -> ParallelCost:
        """The `parallel_cost` of one case."""
        fixture = ParallelCost(
            item.stash[CASE], self.run, ranks, self.passes.passing, self.timing_off is not None
        )
        _stash(item, fixture)
        return fixture

    # --- hooks around the cases ---------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Pin the process while cases run, and show progress on a terminal."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.isatty and reporter.verbosity == 0:
            self._show_progress(reporter)
        try:
            with pinned(self.run.cpus):
                return (yield)
        finally:
            if self.progress is not None:
                self.progress.stop()

    def _show_progress(self, reporter: Any) -> None:
        reporter.showfspath = False
        self.progress = progress = CaseProgress(len(self.plan.cases), reporter._tw._file)
        capture = reporter.config.pluginmanager.get_plugin("capturemanager")

        def in_pass(name: str) -> None:
            with capture.global_and_fixture_disabled():  # inside a test, stdout is pytest's
                progress.in_pass(name)

        self.passes.watch = in_pass if capture is not None else progress.in_pass
        self.progress.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """One case of the progress bar."""
        if self.progress is None or CASE not in item.stash:
            return (yield)
        self.progress.case(item.stash[CASE].case_id)
        result = yield
        self.progress.done()
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No letters between the draws of the progress bar."""
        if self.progress is not None and report.when == "call" and report.passed:
            return "passed", "", ""
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A case that this machine cannot run is skipped; any other starts from one seed.

        A model built unseeded would else depend on the cases before it.
        """
        if UNAVAILABLE in item.stash:
            pytest.skip(item.stash[UNAVAILABLE])
        if CASE in item.stash:
            seed_all()

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run a case: out of memory is a finding, not a failure."""
        if CASE not in pyfuncitem.stash:
            return (yield)
        fixture = pyfuncitem.stash[FIXTURE]
        begun_s = _now_s()
        try:
            result = yield
            if not fixture.called:
                raise TrainCostUsageError(
                    f"{fixture.name} was asked for and never called; expected one call in the test"
                )
            return result
        except ResultsNotSavedError as e:
            pytest.exit(str(e), returncode=BAD_INPUT)
        except Exception as e:
            if not is_out_of_memory(e):
                raise
            self._put_bare(pyfuncitem, Status.OOM, f"{type(e).__name__}: {e}")
            if isinstance(fixture, CaseFixture):
                free_memory_of(e, fixture.clock.device)
            return True
        finally:
            self.in_tests_s += _now_s() - begun_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # after xfail has had its say
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A case that was skipped or failed, in its set-up or its call, is a row too."""
        report = yield
        if CASE not in item.stash or call.when == "teardown" or call.excinfo is None:
            return report
        if call.excinfo.errisinstance((KeyboardInterrupt, pytest.exit.Exception)):
            return report
        reason = call.excinfo.exconly()
        if is_out_of_memory(call.excinfo.value):  # while a fixture was made: a finding as well
            self._put_bare(item, Status.OOM, reason)
            report.outcome, report.longrepr = "skipped", (str(item.path), 0, reason)
        elif report.skipped and not hasattr(report, "wasxfail"):
            self._put_bare(item, Status.UNAVAILABLE, reason.partition(": ")[2] or reason)
        elif call.excinfo.errisinstance(AssertionError):
            self._put_bare(item, Status.INVALID, reason)
        else:
            self._put_bare(item, Status.ERROR, reason)
        return report

    def _put_bare(self, item: pytest.Item, status: Status, reason: str) -> None:
        """A row with a status and a reason; numbers that the case already has are kept."""
        if self.timing_off is not None:
            return
        case = item.stash[CASE]
        earlier = {r.case_id: r for r in self.run.records}.get(case.case_id)
        kind = str(case.columns().get("device", "cpu"))
        record = bare_record(case, self.run.origin(kind), status, reason)
        if earlier is not None:
            notes = "; ".join(filter(None, (record.notes, earlier.notes)))
            record = replace(earlier, status=status, notes=notes)
        try:
            self.run.put(record)
        except ResultsNotSavedError as e:
            pytest.exit(str(e), returncode=BAD_INPUT)

    # --- the end ------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A resumed run that finds nothing missing has succeeded."""
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.plan.finished:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The cost table, the file, and where the time went."""
        if self.timing_off is not None:
            if not hasattr(terminalreporter.config, "workerinput"):
                terminalreporter.write_line(f"traincost: no result CSV: {self.timing_off}")
            return
        records = self.run.records
        if self.plan.finished:
            failed = sum(s in (Status.ERROR, Status.INVALID) for s in self.resumed.values())
            terminalreporter.write_line(
                f"traincost: {self.plan.finished} cases had their row in the resumed file"
                + (f", {failed} of them failed there" if failed else "")
            )
        if not records:
            return
        wall = wall_time(self.passes, _now_s() - self.started_s, self.in_tests_s)
        say_results(terminalreporter, records, wall, self.run.file.path)


def _of_side(config: Any, side_plan: SidePlan, planned: Plan) -> Plan:
    """The cases of one process of an A/B, in its order."""
    config.pluginmanager.register(side := Side(side_plan), "traincost.side")
    items = side.choose(planned.items)
    gone = [i for i in planned.items if i not in set(items)]
    return Plan(items, items, [*planned.deselected, *gone], planned.finished)


def _stash(item: pytest.Item, fixture: CaseFixture | StaticCost | ParallelCost) -> None:
    """Keep the one fixture of a case."""
    if FIXTURE in item.stash:
        names = " and ".join(sorted((item.stash[FIXTURE].name, fixture.name)))
        raise TrainCostUsageError(f"{item.nodeid} asks for {names}; expected one of them")
    item.stash[FIXTURE] = fixture


def _now_s() -> float:
    return time.perf_counter()
