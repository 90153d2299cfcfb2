"""Which rows stand on which side of a comparison, what a side is called, and what differs.

A side is a machine on one kind of device: the CPU rows and the CUDA rows of a box have different
`machine_id`s, and never meet in one ratio. Instead of by machine, sides can be told apart by
commit, run or argument of the command line; each is still split by device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

Medians = Mapping[str, float]  # of those of `NUMBER_FACTS` that are known
By = Literal["auto", "machine", "commit", "argument", "run"]
BY: tuple[By, ...] = get_args(By)
_KEYS: Mapping[By, str] = {
    "machine": "machine_id",
    "commit": "commit",
    "argument": "argument",
    "run": "run_id",
}
TEXT_FACTS = (
    *("machine_id", "host", "cpu", "gpu", "driver", "cuda", "torch", "triton", "python"),
    "commit",
)
NUMBER_FACTS = ("threads", "power_limit_w", "sm_clock_mean_hz")
_CLOCKS_DIFFER_REL = 0.01
"""Mean clocks are measured: below this they are the same."""
_SHORTEST = 9  # digits of a commit or a run in a name


@dataclass(frozen=True)
class Side:
    """One side: its name, its kind of device, and what is known of it."""

    name: str
    device: str | None
    key: str  # machine_id, commit, argument or run
    facts: Mapping[str, str | float]  # text of several values is joined; numbers are medians
    paired: bool = False  # whether rows of it are of pairs, as `traincost ab` runs them

    def answers_to(self, name: str) -> bool:
        """Whether `name` is this side's name, key, host, GPU or CPU."""
        known = (self.name, self.key, *(self.facts.get(f) for f in ("host", "gpu", "cpu")))
        return name.casefold() in {str(k).casefold() for k in known if k is not None}


@dataclass(frozen=True)
class Fact:
    """What differs, or is the same, between two sides."""

    name: str
    base: str | float | None
    other: str | float | None

    @property
    def differs(self) -> bool:
        """Unknown on one side differs too: it cannot be said to be the same."""
        if isinstance(self.base, float) and isinstance(self.other, float):
            tolerance = _CLOCKS_DIFFER_REL if self.name == "sm_clock_mean_hz" else 0
            return abs(self.other - self.base) > tolerance * abs(self.base)
        return self.base != self.other


@dataclass(frozen=True)
class Sides:
    """All sides in the order in which they appear, and the side of every row."""

    by: By
    sides: Sequence[Side]
    of_row: npt.NDArray[np.int64]  # (n_rows,)

    def pairs(self, base: str | None) -> list[tuple[int, int]]:
        """(base, other) within each device: the side asked for against the others, or the first."""
        chosen = self.find(base) if base is not None else set[int]()
        found: list[tuple[int, int]] = []
        for device in dict.fromkeys(side.device for side in self.sides):
            here = [i for i, side in enumerate(self.sides) if side.device == device]
            first = next((i for i in here if i in chosen), here[0])
            found += [(first, i) for i in here if i != first]
        return found

    def find(self, name: str) -> set[int]:
        """The sides that a name means: its exact names first, else a part of one side's name."""
        exact = {i for i, side in enumerate(self.sides) if side.answers_to(name)}
        part = {i for i, s in enumerate(self.sides) if name.casefold() in s.name.casefold()}
        found = exact or part
        devices = [self.sides[i].device for i in found]
        if not found or len(set(devices)) < len(devices):
            known = ", ".join(repr(side.name) for side in self.sides)
            what = "fits several" if found else "unknown"
            raise BadInputError(f"side {name!r}: {what}; expected one of {known}")
        return found


def sides_of(
    frame: pd.DataFrame, by: By = "auto", medians: Callable[[Sides], list[Medians]] | None = None
) -> Sides:
    """The sides of a frame that has the columns of `TEXT_FACTS`, `pair` and `argument`.

    A row may stand for several that are alike in these; `medians` then tells those of
    `NUMBER_FACTS` of every side, else they are columns of the frame.
    """
    import numpy as np
    import pandas as pd

    by = _chosen(frame) if by == "auto" else by
    key_of = frame[_KEYS[by]]
    columns = tuple(dict.fromkeys(("device", _KEYS[by], "argument")))
    code = np.zeros(len(frame), np.int64)
    for name in columns:
        cells = frame[name].cat
        codes = cells.codes.to_numpy().astype(np.int64) + 1
        if name == "argument" and by != "argument":  # only where the key is unknown
            codes[(key_of.cat.codes >= 0).to_numpy()] = 0
        code = code * (len(cells.categories) + 1) + codes
    of_row, distinct = pd.factorize(code)
    firsts = np.unique(of_row, return_index=True)[1]
    told = frame[[*TEXT_FACTS, "pair"]]
    found: list[Side] = []
    for i, row in enumerate(firsts.tolist()):
        device, key, argument = (frame[n].iloc[row] for n in ("device", _KEYS[by], "argument"))
        key = f"unknown of {argument}" if pd.isna(key) else str(key)
        rows = told if len(distinct) == 1 else told[of_row == i]
        paired = bool(rows["pair"].notna().any())
        found.append(
            Side("", None if pd.isna(device) else str(device), key, _text_facts(rows), paired)
        )
    sides = Sides(by, found, of_row.astype(np.int64))
    numbers = medians(sides) if medians else _medians(frame, sides)
    found = [
        replace(side, facts={**side.facts, **known})
        for side, known in zip(found, numbers, strict=True)
    ]
    return replace(sides, sides=_named(found, by))


def _chosen(frame: pd.DataFrame) -> By:
    """Several machines are the question; else several commits; else what was named apart.

    Runs of one argument are compared with each other, unless it has implementations to compare:
    their speedups are the surer the more runs there are.
    """
    both = frame[["device", "machine_id"]].drop_duplicates().dropna(subset="machine_id")
    if both["device"].astype(object).value_counts(dropna=False).max() > 1:
        return "machine"
    if not frame["commit"].isna().any() and _several(frame["commit"]):
        return "commit"
    if _several(frame["argument"]):
        return "argument"
    return "machine" if _several(frame["impl"]) else "run"


def _several(cells: pd.Series[Any]) -> bool:
    return len(cells.cat.categories) > 1


def _text_facts(rows: pd.DataFrame) -> dict[str, str | float]:
    import numpy as np

    found: dict[str, str | float] = {}
    for name in TEXT_FACTS:
        cells = rows[name].cat
        used = np.unique(cells.codes.to_numpy())
        values = [cells.categories[code] for code in used[used >= 0].tolist()]
        if values:
            several = f", … ({len(values)})" if len(values) > 3 else ""
            found[name] = ", ".join(map(str, values[:3])) + several
    return found


def _medians(frame: pd.DataFrame, sides: Sides) -> list[Medians]:
    """Of every side, over its rows."""
    import numpy as np

    found: list[Medians] = []
    for i in range(len(sides.sides)):
        rows = frame.loc[sides.of_row == i, list(NUMBER_FACTS)]
        known = {name: rows[name].dropna().to_numpy(dtype=float) for name in NUMBER_FACTS}
        found.append({name: float(np.median(v)) for name, v in known.items() if v.size})
    return found


def _named(sides: Sequence[Side], by: By) -> list[Side]:
    """Names that tell sides of one device apart; machines by GPU or CPU, then by what differs."""
    plain = [(_plain_name(side, by), side.device) for side in sides]
    named: list[Side] = []
    for side, name in zip(sides, plain, strict=True):
        same = [s for s, other in zip(sides, plain, strict=True) if other == name]
        full = name[0] if len(same) == 1 else f"{name[0]}, {_distinction(side, same)}"
        named.append(replace(side, name=full))
    return named


def _distinction(side: Side, same: Sequence[Side]) -> str:
    """The first fact that all of several sides of one name have different values of."""
    for fact in (*TEXT_FACTS[3:], *NUMBER_FACTS, "host"):
        values = {s.facts.get(fact) for s in same}
        if len(values) == len(same) and None not in values:
            return f"{fact} {_short(side.facts[fact])}"
    return side.key


def _plain_name(side: Side, by: By) -> str:
    if by == "machine":
        known: Any = next((side.facts[f] for f in ("gpu", "cpu", "host") if f in side.facts), None)
        return str(known).removeprefix("NVIDIA ") if known else side.key
    return side.key[:_SHORTEST] if by == "commit" and "unknown" not in side.key else side.key


def _short(value: str | float | None) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def facts_between(base: Side, other: Side, more: Mapping[str, tuple[float, float]]) -> list[Fact]:
    """Every fact that either side has, and `more` of both, those that differ first."""
    names = [n for n in (*TEXT_FACTS, *NUMBER_FACTS) if n in base.facts or n in other.facts]
    found = [Fact(n, base.facts.get(n), other.facts.get(n)) for n in names]
    found += [Fact(name, *values) for name, values in more.items()]
    return sorted(found, key=lambda fact: not fact.differs)
