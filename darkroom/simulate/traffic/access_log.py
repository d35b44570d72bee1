"""Reads access logs: the common and combined formats of web servers, and the JSON lines of functions.

A line of a function is one whose `action` is `request.answered`; other JSON lines are taken for requests too if they
have a time and a path. Only POSTs and PUTs are counted where a line names its method and any of them does so, because a
pipeline's work comes with them and not with the GETs that watch it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from darkroom.simulate.traffic.model import Traffic, TrafficError, traffic_of
from darkroom.simulate.traffic.times import parse_moment

_LINE = re.compile(
    r"^(?P<host>\S+) \S+ .*?\[(?P<at>\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "
    r'"(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" (?P<status>\d{3}) (?P<bytes>\d+|-)'
)
_AT = "%d/%b/%Y:%H:%M:%S %z"
_WRITES = frozenset({"POST", "PUT"})
_TIMES = ("timestamp", "time", "at", "ts", "@timestamp")
_SIZES = ("request_bytes", "request_length", "bytes_received")
_MOST_UNREADABLE = 0.5


@dataclass(frozen=True, kw_only=True)
class _Request:
    at_s: float
    method: str
    path: str
    size: int | None = None
    to_the_second: bool = False


def read_access_log(text: str, *, source: str, path: str = "") -> Traffic:
    """Read a log of either kind; with `path`, only the requests whose path begins so. Raises TrafficError.

    The common format has whole seconds. Requests of the same second are spread evenly over it, in their order: all of
    them at once would be a burst that never was.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    requests = list(_parsed(lines))
    if len(requests) < len(lines) * (1 - _MOST_UNREADABLE) and not any(line.startswith("{") for line in lines):
        raise TrafficError(
            f"{source}: {len(lines) - len(requests)} of {len(lines)} lines are no requests of the common or combined "
            f"log format, the first of them {_first_unread(lines)[:80]!r}"
        )
    writes = [one for one in requests if one.method in _WRITES]
    wanted = [one for one in writes or requests if one.path.startswith(path)]
    if not wanted:
        which = f" whose path begins with {path}" if path else ""
        raise TrafficError(f"{source} has no request{which}")
    return traffic_of(_spread(wanted), source=source)


def _parsed(lines: Iterable[str]) -> Iterator[_Request]:
    for line in lines:
        request = _of_json(line) if line.lstrip().startswith("{") else _of_text(line)
        if request is not None:
            yield request


def _of_text(line: str) -> _Request | None:
    match = _LINE.match(line)
    if match is None:
        return None
    at = datetime.strptime(match["at"], _AT).timestamp()
    # The size is that of the answer, which says nothing about the work.
    return _Request(at_s=at, method=match["method"], path=match["path"], to_the_second=True)


def _of_json(line: str) -> _Request | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("action", "request.answered") != "request.answered":
        return None
    at = _first(document, _TIMES)
    if at is None or "path" not in document:
        return None
    size = _first(document, _SIZES)
    try:
        # A log line is written at the end of a request.
        began = parse_moment(str(at)) - float(document.get("duration_ms", 0)) / 1000
        return _Request(
            at_s=began,
            method=str(document.get("method", "")),
            path=str(document["path"]),
            size=None if size is None else int(size),
        )
    except (ValueError, TypeError):
        return None


def _first(document: dict[str, Any], names: Iterable[str]) -> Any:
    return next((document[name] for name in names if document.get(name) is not None), None)


def _first_unread(lines: Iterable[str]) -> str:
    return next(line for line in lines if _of_text(line) is None)


def _spread(requests: Iterable[_Request]) -> Iterator[tuple[float, int | None]]:
    by_second: dict[float, int] = {}
    ordered = sorted(requests, key=lambda one: one.at_s)
    for one in ordered:
        by_second[one.at_s] = by_second.get(one.at_s, 0) + 1
    seen: dict[float, int] = {}
    for one in ordered:
        place = seen[one.at_s] = seen.get(one.at_s, -1) + 1
        offset = place / by_second[one.at_s] if one.to_the_second else 0.0
        yield one.at_s + offset, one.size
