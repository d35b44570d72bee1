"""Numbers for people: three significant digits, with decimal units."""

from __future__ import annotations

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def format_bytes(count: float) -> str:
    """Format bytes with decimal units: `634 kB`, `4.06 GB`."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{_three_digits(value)} {_BYTE_UNITS[unit]}"


def format_number(count: float) -> str:
    """Format a count: `0.42`, `11.6`, `347`, `12,300`."""
    return _three_digits(count)


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    if value >= 999.5:
        magnitude = 10 ** (len(str(round(value))) - 3)
        return f"{round(value / magnitude) * magnitude:,}"
    if value >= 99.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"
