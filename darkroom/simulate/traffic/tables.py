"""Reads CSV: one row per request with its time and perhaps its size, or a rate over time as Prometheus and Grafana
export it.

The columns are known by their names. Without a header, the first column is the time and the second the size in bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from darkroom.simulate.traffic.model import Traffic, TrafficError, traffic_of, traffic_of_rates
from darkroom.simulate.traffic.times import parse_moment

_TIMES = ("timestamp", "time", "at", "at_s", "t", "t_s", "date", "posted_s")
_SIZES = ("bytes", "size", "size_bytes", "length")
_RATES = ("value", "rate", "per_s", "per_second", "rps", "requests_per_second")


def read_table(text: str, *, source: str, seed: int) -> Traffic:
    """Read a CSV file of either kind. Raises TrafficError, which names the line."""
    dialect = "excel-tab" if "\t" in text.partition("\n")[0] else _delimited(text)
    rows = [row for row in csv.reader(StringIO(text), dialect) if any(cell.strip() for cell in row)]
    if not rows:
        raise TrafficError(f"{source} is empty")
    names = [cell.strip().lower() for cell in rows[0]]
    time_at = _place(names, _TIMES)
    if time_at is None:
        return traffic_of(_requests(rows, 0, 1 if len(rows[0]) > 1 else None, source, 1), source=source)
    rate_at = _place(names, _RATES)
    if rate_at is None and _place(names, _SIZES) is None and len(names) == 2:
        # Grafana names the value after the query.
        rate_at = 1 - time_at
    if rate_at is not None:
        return traffic_of_rates(list(_rates(rows[1:], time_at, rate_at, source)), source=source, seed=seed)
    return traffic_of(_requests(rows[1:], time_at, _place(names, _SIZES), source, 2), source=source)


class _Semicolons(csv.excel):
    delimiter = ";"


def _delimited(text: str) -> type[csv.Dialect]:
    first = text.partition("\n")[0]
    return _Semicolons if first.count(";") > first.count(",") else csv.excel


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((place for place, name in enumerate(names) if name in wanted), None)


def _requests(
    rows: Sequence[Sequence[str]], time_at: int, size_at: int | None, source: str, first_line: int
) -> Iterator[tuple[float, int | None]]:
    for line, row in enumerate(rows, first_line):
        try:
            yield parse_moment(row[time_at]), None if size_at is None else int(float(row[size_at]))
        except (ValueError, IndexError) as exc:
            raise TrafficError(
                f"{source}, line {line}: {','.join(row)[:80]!r} is not a time and a size; expected a row such as "
                "`2026-01-01T00:00:00Z,634000` or `12.5,634000`, or a header that names a column `timestamp`"
            ) from exc


def _rates(rows: Sequence[Sequence[str]], time_at: int, rate_at: int, source: str) -> Iterator[tuple[float, float]]:
    for line, row in enumerate(rows, 2):
        try:
            yield parse_moment(row[time_at]), _rate(row[rate_at])
        except (ValueError, IndexError) as exc:
            raise TrafficError(
                f"{source}, line {line}: {','.join(row)[:80]!r} is not a time and requests per second"
            ) from exc


def _rate(text: str) -> float:
    """Convert a rate; Grafana writes a missing one as an empty cell, and Prometheus as NaN."""
    number = float(text.split()[0]) if text.strip() else 0.0
    if number < 0:
        raise ValueError("a rate is not negative")
    return number if number == number else 0.0
