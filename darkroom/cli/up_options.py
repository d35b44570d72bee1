"""Option types of `darkroom up`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from darkroom.contract.rates import Rate
from darkroom.events.durations import parse_go
from darkroom.events.hosts import parse_hosts, parse_origins
from darkroom.manifests.project import parse_record_bytes

SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 6.0, 3600.0
"""The bounds that Knative sets to a stable window (knative.dev/serving, pkg/autoscaler/config/autoscaler.go)."""


class Window(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            window_s = value if isinstance(value, float) else parse_go(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not SHORTEST_WINDOW_S <= window_s <= LONGEST_WINDOW_S:
            self.fail(f"must be 6s to 1h, as Knative requires; was {value}", param, ctx)
        return window_s


class RecordBytes(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else parse_record_bytes(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class RateLimit(click.ParamType[str]):
    name = "rate"

    def __init__(self, parse: Callable[[str], Rate | None] = Rate.parse) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


class Origin(click.ParamType[str]):
    name = "origin"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return ",".join(sorted(parse_origins(value)))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class Host(click.ParamType[str]):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return ",".join(sorted(parse_hosts(value)))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
