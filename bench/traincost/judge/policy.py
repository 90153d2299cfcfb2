"""What the gate asks for: `[tool.traincost.gate]` in pyproject.toml, and the two options above it.

```toml
[tool.traincost.gate]
fail_if_slower = "5%"                     # the margin of time, energy and device memory
inconclusive = "warn"                     # "fail": every case that is not decided ends with 3
required = ["batch/*", "kernels/rmsnorm*"]
required_metrics = ["time_median_s"]      # of these a required case must be decided

[tool.traincost.gate.thresholds]          # the last line that fits counts
"kernels/*" = { time_median_s = "3%", step_peak_bytes = "1%" }
"dataset/*" = { time_median_s = "10%", gpu_energy_j = "off" }
"experimental/*" = "off"
```

In a glob `*` is any text and `?` any character; everything else stands for itself, brackets too.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from traincost.data.errors import BadInputError
from traincost.judge.exact import EXACT
from traincost.judge.verdict import Rule

TIME = "time_median_s"
STATISTICAL = (TIME, "gpu_energy_j", "cpu_energy_j", "device_peak_bytes")
METRICS = (*STATISTICAL, *EXACT)
INCONCLUSIVE = ("warn", "fail")
OFF = "off"
TABLE = "[tool.traincost.gate]"
_KEYS = ("fail_if_slower", "inconclusive", "required", "required_metrics", "thresholds")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%|(0(?:\.\d+)?)")


@dataclass(frozen=True)
class Threshold:
    """How much more a metric of some cases may become; None: it isn't gated."""

    glob: str
    metric: str | None  # None: every metric
    limit_rel: float | None


@dataclass(frozen=True)
class Policy:
    """What is asked of which case."""

    rule: Rule = field(default_factory=Rule)
    inconclusive: str = "warn"
    required: tuple[str, ...] = ()
    required_metrics: tuple[str, ...] = (TIME,)
    thresholds: tuple[Threshold, ...] = ()
    source: str = "the defaults"

    def limit_rel(self, case_id: str, metric: str) -> float | None:
        """The growth from which on it fails; None where it isn't gated. Of counts 0 is usual."""
        for threshold in reversed(self.thresholds):
            if threshold.metric in (None, metric) and matches(threshold.glob, case_id):
                return threshold.limit_rel
        return self.rule.margin_rel if metric in STATISTICAL else 0.0

    def rule_for(self, case_id: str, metric: str) -> Rule | None:
        """The rule with this case's margin; None where the metric isn't gated."""
        margin_rel = self.limit_rel(case_id, metric)
        if margin_rel is None:
            return None
        floor_rel = min(self.rule.floor_rel, margin_rel)
        return replace(self.rule, margin_rel=margin_rel, floor_rel=floor_rel)

    def is_required(self, case_id: str) -> bool:
        """Whether HEAD must have this case, decided."""
        return any(matches(glob, case_id) for glob in self.required)

    def counts_only(self) -> Policy:
        """The policy of `--exact-only`: what is counted stands in for `required_metrics`."""
        return replace(self, required_metrics=EXACT)

    def must_decide(self, case_id: str, metric: str) -> bool:
        """Whether being inconclusive here ends the gate with 3."""
        if metric not in self.required_metrics or self.limit_rel(case_id, metric) is None:
            return False
        return self.inconclusive == "fail" or self.is_required(case_id)

    def among(self, case_ids: Iterable[str]) -> Policy:
        """What is asked of these cases alone, where others were not chosen."""
        known = list(case_ids)

        def fits(glob: str) -> bool:
            return any(matches(glob, case_id) for case_id in known)

        return replace(
            self,
            required=tuple(glob for glob in self.required if fits(glob)),
            thresholds=tuple(t for t in self.thresholds if fits(t.glob)),
        )

    def unmatched(self, case_ids: Iterable[str]) -> list[str]:
        """Thresholds that no case has; in words."""
        known = list(case_ids)
        globs = dict.fromkeys(t.glob for t in self.thresholds)
        return [
            f"{self.source}, {TABLE} thresholds: {glob!r} fits no case; expected a glob on a case "
            f"id, as {known[0]!r}"
            for glob in globs
            if known and not any(matches(glob, c) for c in known)
        ]


def matches(glob: str, case_id: str) -> bool:
    """Whether a case id fits a glob of `*` and `?`."""
    return _pattern(glob).fullmatch(case_id) is not None


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    text = re.sub(r"(?:\\\*)+", ".*", re.escape(glob)).replace(r"\?", ".")
    return re.compile(text, re.DOTALL)


def share_of(text: str) -> float | None:
    """`5%` or `0.05` as a share below 1; None where it is none."""
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        return None
    value = float(match[1]) / 100 if match[1] else float(match[2])
    return value if value < 1 else None


def find_pyproject(folder: Path) -> Path | None:
    """The nearest pyproject.toml, from `folder` upwards."""
    candidates = (parent / "pyproject.toml" for parent in (folder, *folder.parents))
    return next((file for file in candidates if file.is_file()), None)


def read_policy(
    pyproject: Path | None,
    *,
    fail_if_slower: float | None = None,
    inconclusive: str | None = None,
    must_have: bool = False,
) -> Policy:
    """The policy of a file, and over it what the command line says.

    A file without the table means the defaults, unless it `must_have` one: then BadInputError.
    `fail_if_slower` takes the place of the file's margin, not that of a threshold of some cases.
    """
    table = None if pyproject is None else _table(pyproject)
    if must_have and table is None:
        raise BadInputError(f"{pyproject}: no {TABLE}; expected that table, even an empty one")
    policy = _policy(str(pyproject), table) if table else Policy()
    if fail_if_slower is not None:
        policy = replace(policy, rule=_with_margin(policy.rule, fail_if_slower))
    if inconclusive is not None:
        policy = replace(policy, inconclusive=inconclusive)
    return policy


def _table(file: Path) -> Mapping[str, Any] | None:
    """`[tool.traincost.gate]`; None where there is none."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise BadInputError(f"{file}: {e}; expected a readable TOML file") from e
    ours = _as_table(f"{file}, [tool]", "traincost", document.get("tool", {}))
    if extra := sorted(ours.keys() - {"gate"}):
        raise BadInputError(f"{file}, [tool.traincost]: {extra[0]!r}; expected {TABLE} only")
    return _as_table(f"{file}, [tool.traincost]", "gate", ours) if "gate" in ours else None


def _as_table(where: str, key: str, parent: Any) -> Mapping[str, Any]:
    value = parent.get(key, {}) if isinstance(parent, dict) else parent
    if not isinstance(value, dict):
        raise BadInputError(f"{where} {key}: {value!r}; expected a table")
    return value


def _policy(file: str, table: Mapping[str, Any]) -> Policy:
    where = f"{file}, {TABLE}"
    for key in table.keys() - set(_KEYS):
        raise BadInputError(f"{where} {key}: no such key; expected {_one_of(key, _KEYS)}")
    rule, inconclusive = Rule(), table.get("inconclusive", "warn")
    if "fail_if_slower" in table:
        given = table["fail_if_slower"]
        margin_rel = _share(f"{where} fail_if_slower", given)
        if not margin_rel:
            raise BadInputError(f'{where} fail_if_slower: {given!r}; expected more than 0, as "5%"')
        rule = _with_margin(rule, margin_rel)
    if inconclusive not in INCONCLUSIVE:
        raise BadInputError(
            f'{where} inconclusive: {inconclusive!r}; expected "warn" (only required cases) or '
            '"fail" (every case)'
        )
    metrics = _texts(f"{where} required_metrics", table.get("required_metrics", [TIME]))
    for metric in metrics:
        _check_metric(f"{where} required_metrics", metric)
    return Policy(
        rule=rule,
        inconclusive=inconclusive,
        required=_texts(f"{where} required", table.get("required", [])),
        required_metrics=metrics,
        thresholds=tuple(_thresholds(f"{where} thresholds", table.get("thresholds", {}))),
        source=file,
    )


def _thresholds(where: str, given: Any) -> Iterable[Threshold]:
    if not isinstance(given, dict):
        raise BadInputError(f"{where}: {given!r}; expected a table of globs on case ids")
    for glob, limits in given.items():
        at = f"{where} {glob!r}"
        if limits == OFF:
            yield Threshold(glob, None, None)
            continue
        if not isinstance(limits, dict):
            raise BadInputError(
                f'{at}: {limits!r}; expected a table, as {{ {TIME} = "3%" }}, or "{OFF}"'
            )
        for metric, limit in limits.items():
            _check_metric(at, metric)
            limit_rel = None if limit == OFF else _share(f"{at} {metric}", limit)
            if limit_rel == 0 and metric in STATISTICAL:
                raise BadInputError(
                    f'{at} {metric}: {limit!r}; expected more than 0, as "3%": it is measured'
                )
            yield Threshold(glob, metric, limit_rel)


def _share(where: str, value: Any) -> float:
    text = str(value) if isinstance(value, str | int | float) else ""
    found = None if isinstance(value, bool) else share_of(text)
    if found is None:
        raise BadInputError(f'{where}: {value!r}; expected a share below 1, as "5%" or 0.05')
    return found


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise BadInputError(f"{where}: {value!r}; expected a list of texts")
    return tuple(value)


def _check_metric(where: str, metric: str) -> None:
    if metric not in METRICS:
        raise BadInputError(f"{where}: no metric {metric!r}; expected {_one_of(metric, METRICS)}")


def _one_of(given: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(given, names, n=1)
    return f"{close[0]} perhaps, or another of {', '.join(names)}" if close else ", ".join(names)


def _with_margin(rule: Rule, margin_rel: float) -> Rule:
    return replace(rule, margin_rel=margin_rel, floor_rel=min(rule.floor_rel, margin_rel))
