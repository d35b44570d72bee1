"""How the pages write numbers, times and sizes; the templates' filters. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def duration(seconds: float | None) -> str:
    """Return `340 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    if seconds < _HOUR:
        return _two(seconds, _MINUTE, "min", 1, "s")
    if seconds < _DAY:
        return _two(seconds, _HOUR, "h", _MINUTE, "min")
    return _two(seconds, _DAY, "d", _HOUR, "h")


def _two(seconds: float, large: float, large_unit: str, small: float, small_unit: str) -> str:
    most, rest = divmod(seconds, large)
    least = int(rest // small)
    return f"{int(most)} {large_unit} {least} {small_unit}" if least else f"{int(most)} {large_unit}"


def ago(at: float | None, now: float) -> str:
    """Return how long before `now` a time since the epoch is."""
    if at is None:
        return "–"
    passed = now - at
    return "now" if passed < 1 else f"{duration(float(int(passed)))} ago"


def clock(at: float | None) -> str:
    """Return the time of day in the zone of this process, with milliseconds."""
    return "–" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def seconds(at: float | None) -> str:
    """Return the time of day, without parts of a second."""
    return clock(at).partition(".")[0]


def timestamp(at: float | None) -> str:
    """Return a time as the `datetime` attribute of HTML's `time` has it."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def number(value: float | None) -> str:
    """Return `1,234` or `7.3`; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2g}"


def size(value: float | None) -> str:
    """Return `27.3 KiB`."""
    if value is None:
        return "–"
    power = 0
    while value >= 1024 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.0f} {_UNITS[power]}" if power == 0 else f"{value:.3g} {_UNITS[power]}"
