"""Amounts for people: any number has a text."""

import math

import pytest
from gate_rows import runs

from traincost.judge.gate import gate
from traincost.judge.policy import Policy
from traincost.show.gate import gate_text
from traincost.show.units import amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123, "1.23 ms"),
        (0.0, "0 s"),
        (1e-12, "1.00 ps"),
        (9.99e20, "999 Es"),
        (1e21, "1e+21 s"),
        (1e307, "1e+307 s"),
        (-1e307, "-1e+307 s"),
        (5e-324, "4.94e-324 s"),
        (10**400, "1.00e+400 s"),
        (math.inf, "inf s"),
        (math.nan, "nan s"),
    ],
)
def test_every_number_has_a_text_with_an_exponent_beyond_the_prefixes(
    value: float, text: str
) -> None:
    assert amount(value, "s") == text


def test_huge_times_are_gated_and_shown() -> None:
    report = gate(runs("b", [1e307] * 3), runs("h", [1.01e307] * 3), Policy())
    assert "1e+307 s" in gate_text(report, "table").replace("\n", " ")
