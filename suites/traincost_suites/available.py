"""What a machine lacks makes a skipped case, which the plugin turns into an `unavailable` row."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest

from traincost_suites.data.shards import DataUnavailableError

P = ParamSpec("P")
T = TypeVar("T")


def available(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`make(...)`, or the case skipped with the reason why its data cannot be had as it should."""
    try:
        return make(*args, **kwargs)
    except DataUnavailableError as lacking:
        pytest.skip(str(lacking))
