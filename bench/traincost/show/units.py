"""Numbers as people read them; the one place where a unit gets a prefix."""

import math
from decimal import Decimal

_PREFIXES = {
    -4: "p",
    -3: "n",
    -2: "µ",
    -1: "m",
    0: "",
    1: "k",
    2: "M",
    3: "G",
    4: "T",
    5: "P",
    6: "E",
}


_LEAST, _BEYOND = 1e-12, 1e21


def amount(value: float | None, unit: str = "") -> str:
    """Three significant digits with an SI prefix: 0.00123, "s" -> "1.23 ms"; None is empty.

    Beyond the prefixes the number has an exponent: 1e307, "s" -> "1e+307 s".
    """
    if value is None:
        return ""
    if value != 0 and not _LEAST <= abs(value) < _BEYOND:
        return f"{_exponent(value)} {unit}".strip()
    power = 0 if value == 0 else math.floor(math.log10(abs(value)) / 3 + 1e-12)
    power = max(min(_PREFIXES), min(max(_PREFIXES), power))
    if unit == "B":
        power = max(0, power)
    scaled = value / 1000**power
    digits = max(0, 2 - math.floor(math.log10(abs(scaled)))) if scaled else 0
    text = f"{scaled:.{min(digits, 2)}f}"
    return f"{text} {_PREFIXES[power]}{unit}".strip()


def plain(value: float) -> str:
    """Four significant digits without a prefix: 0.9656, 1,234, 1.2e+07."""
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return _exponent(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _exponent(value: float) -> str:
    try:
        return f"{value:.3g}"
    except OverflowError:  # an integer beyond a float
        return f"{Decimal(value):.2e}"
