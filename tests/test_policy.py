"""`[tool.traincost.gate]`: what is asked of which case, and what is said of a bad table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traincost.data.errors import BadInputError
from traincost.judge.policy import (
    METRICS,
    STATISTICAL,
    TIME,
    Policy,
    Threshold,
    find_pyproject,
    matches,
    read_policy,
    share_of,
)

WHOLE = """
[tool.traincost.gate]
fail_if_slower = "4%"
inconclusive = "fail"
required = ["batch/*"]
required_metrics = ["time_median_s", "flops"]

[tool.traincost.gate.thresholds]
"kernels/*" = { time_median_s = "3%", step_peak_bytes = 0.01 }
"kernels/slow[size=?]" = { time_median_s = "off" }
"experimental/*" = "off"
"""


def policy_of(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    return read_policy(file)


def test_every_key_of_the_table_is_read(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, WHOLE)
    assert policy.rule.margin_rel == 0.04
    assert policy.inconclusive == "fail"
    assert policy.is_required("batch/x") and not policy.is_required("kernels/x")
    assert policy.required_metrics == ("time_median_s", "flops")
    assert policy.limit_rel("kernels/x", "step_peak_bytes") == 0.01


def test_the_last_threshold_that_fits_counts(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, WHOLE)
    assert policy.limit_rel("kernels/slow[size=1]", TIME) is None
    assert policy.limit_rel("kernels/slow[size=12]", TIME) == 0.03


def test_where_no_threshold_fits_measurements_have_the_margin_and_counts_may_not_grow(
    tmp_path: Path,
) -> None:
    policy = policy_of(tmp_path, WHOLE)
    limits = {metric: policy.limit_rel("batch/x", metric) for metric in METRICS}
    assert limits == {m: 0.04 if m in STATISTICAL else 0.0 for m in METRICS}


def test_a_case_that_is_off_has_no_metric_that_is_gated(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, WHOLE)
    assert {policy.limit_rel("experimental/x", metric) for metric in METRICS} == {None}


def test_the_rule_of_a_case_has_its_margin_and_a_floor_not_above_it() -> None:
    policy = Policy(thresholds=(Threshold("a/*", TIME, 0.01), Threshold("b/*", TIME, None)))
    rule = policy.rule_for("a/x", TIME)
    assert rule is not None and (rule.margin_rel, rule.slower_floor_rel) == (0.01, 0.01)
    assert policy.rule_for("b/x", TIME) is None


def test_the_command_line_goes_above_the_file_but_not_above_a_threshold(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(WHOLE)
    policy = read_policy(file, fail_if_slower=0.1, inconclusive="warn")
    assert policy.limit_rel("batch/x", TIME) == 0.1
    assert policy.limit_rel("kernels/x", TIME) == 0.03
    assert policy.inconclusive == "warn"


@pytest.mark.parametrize(
    ("inconclusive", "case_id", "metric", "must"),
    [
        ("warn", "batch/x", TIME, True),
        ("warn", "other/x", TIME, False),
        ("fail", "other/x", TIME, True),
        ("fail", "batch/x", "gpu_energy_j", False),
    ],
)
def test_required_cases_must_be_decided_and_under_fail_all(
    inconclusive: str, case_id: str, metric: str, must: bool
) -> None:
    policy = Policy(required=("batch/*",), inconclusive=inconclusive)
    assert policy.must_decide(case_id, metric) is must


def test_without_a_file_or_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert read_policy(None) == policy_of(tmp_path, "[project]\nname = 'x'\n") == Policy()


def test_brackets_in_a_glob_stand_for_themselves() -> None:
    case_id = "batch/step[batch_size=8,model=gpt-1.5]"
    assert matches("batch/step[batch_size=8*]", case_id)
    assert matches("*model=gpt-1.5]", case_id)
    assert not matches("batch/step[abc]", "batch/stepa")
    assert not matches("batch/step", "batch/steps")


@given(st.text(alphabet="ab*?[]./\\", max_size=8))
def test_a_case_id_fits_itself_as_a_glob_and_a_star_fits_all(text: str) -> None:
    assert matches(text, text)
    assert matches("*", text)


def test_a_long_row_of_stars_is_as_quick_as_one() -> None:
    assert not matches("*" * 200 + "x", "a" * 200)


@pytest.mark.parametrize(
    ("text", "share"),
    [("5%", 0.05), (" 2.5 % ", 0.025), ("0.05", 0.05), ("0", 0.0), ("0%", 0.0)]
    + [(bad, None) for bad in ("5", "100%", "1", "-5%", "nan", "5 percent", "", "1e-2")],
)
def test_a_share_is_read_as_percent_or_below_one(text: str, share: float | None) -> None:
    assert share_of(text) == share


def test_thresholds_that_fit_no_case_are_named() -> None:
    policy = Policy(thresholds=(Threshold("a/*", TIME, 0.1), Threshold("z/*", TIME, 0.1)))
    (text,) = policy.unmatched(["a/x"])
    assert "'z/*'" in text and "'a/x'" in text


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("fail_if_slowr = 1", "fail_if_slower perhaps"),
        ("fail_if_slower = 5", 'fail_if_slower: 5; expected a share below 1, as "5%"'),
        ("fail_if_slower = true", "fail_if_slower: True; expected a share"),
        ("fail_if_slower = nan", "fail_if_slower: nan; expected a share"),
        ("fail_if_slower = '0%'", "expected more than 0"),
        ("inconclusive = 'maybe'", "'maybe'; expected \"warn\""),
        ("inconclusive = ['warn']", 'expected "warn"'),
        ("required = 'batch/*'", "required: 'batch/*'; expected a list of texts"),
        ("required = [1]", "required: [1]; expected a list of texts"),
        ("required_metrics = ['time']", "no metric 'time'; expected"),
        ("thresholds = 3", "thresholds: 3; expected a table"),
        ("thresholds = { 'a/*' = 0.1 }", "thresholds 'a/*': 0.1; expected a table"),
        ("thresholds = { 'a/*' = { flopz = 0.1 } }", "no metric 'flopz'; expected flops perhaps"),
        ("thresholds = { 'a/*' = { flops = [] } }", "'a/*' flops: []; expected a share"),
        ("thresholds = { 'a/*' = { time_median_s = 0 } }", "it is measured"),
    ],
)
def test_a_bad_value_is_named_with_file_key_and_expectation(
    tmp_path: Path, table: str, expected: str
) -> None:
    with pytest.raises(BadInputError) as e:
        policy_of(tmp_path, f"[tool.traincost.gate]\n{table}\n")
    assert str(tmp_path / "pyproject.toml") in str(e.value)
    assert expected in str(e.value)


@pytest.mark.parametrize(
    "text",
    [
        "[tool.traincost.gates]\nrequired = []",
        "[tool]\ntraincost = 3",
        "[tool.traincost]\ngate = []",
        "tool = 1",
        "[tool.traincost.gate\n",
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInputError, match=r"pyproject\.toml"):
        policy_of(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", "binary.toml"):
        with pytest.raises(BadInputError, match=name):
            read_policy(tmp_path / name)


def test_the_nearest_pyproject_upwards_is_found(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert find_pyproject(inside) == tmp_path / "pyproject.toml"
    (tmp_path / "a" / "pyproject.toml").touch()
    assert find_pyproject(inside) == tmp_path / "a" / "pyproject.toml"
