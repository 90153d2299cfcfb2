"""docs/forecast.md says what the published rows say, and forecasts are as good as they must be."""

from pathlib import Path

import pytest
from show_forecast import BEGIN, END, PAGE, summary

from traincost.data.record import Record
from traincost.data.results import read_records
from traincost.judge.forecast.backtest import Backtest, backtest_all
from traincost.judge.forecast.held import scores

ROWS = Path(__file__).parents[1] / "results" / "reference" / "scaling-cpu-standard.csv"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not ROWS.exists(), reason="no reference run lies here"),
]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read_records(ROWS)


@pytest.fixture(scope="module")
def tested(records: list[Record]) -> Backtest:
    return backtest_all(records)


def test_the_table_of_the_page_is_that_of_the_rows(records: list[Record], tested: Backtest) -> None:
    said = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert said.strip() == summary(records, tested).strip()


@pytest.mark.parametrize("axis", ["parameters", "batch", "batch, one model", "data, one model"])
def test_forecasts_one_step_beyond_the_data_are_good(tested: Backtest, axis: str) -> None:
    (score,) = [s for s in scores(tested.held) if s.axis == f"{axis}, to 4x"]
    assert score.median_error_rel <= 0.15
    assert score.covered >= 0.85
    assert score.median_width < 2
