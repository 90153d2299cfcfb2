"""From what comparisons say, names of cases and sides, back to the rows that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from traincost.judge.derived import without_impl
from traincost.show.report.points import Points


@dataclass(frozen=True)
class Groups:
    """Finds groups by name."""

    points: Points

    def find(self, case_id: str, side: str | None) -> int | None:
        """Of a case on a side, both by name."""
        return self._by_case.get((case_id, side))

    def find_impl(self, case: str, side: str | None, impl: str | None) -> int | None:
        """Of a case without its implementation, and one of these."""
        return self._by_impl.get((case, side, impl))

    @cached_property
    def _sides(self) -> list[str]:
        names = [side.name for side in self.points.data.sides.sides]
        return [names[i] for i in self.points.data.groups.side.tolist()]

    @cached_property
    def _by_case(self) -> dict[tuple[str, str | None], int]:
        pairs = zip(self.points.cases, self._sides, strict=True)
        return {pair: group for group, pair in enumerate(pairs)}

    @cached_property
    def _by_impl(self) -> dict[tuple[str, str | None, str | None], int]:
        impls = self.points.table["impl"].astype(object).tolist()
        both = zip(self.points.cases, self._sides, impls, strict=True)
        return {(without_impl(c), s, i): group for group, (c, s, i) in enumerate(both)}
