"""Options that several of the commands take."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from darkroom.events.durations import parse_go


class Since(click.ParamType[float]):
    """A time, given by how long ago it was or as a date; in seconds since the epoch."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return time.time() - parse_go(value)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            self.fail(f"must be a duration such as 10m, or a time such as 2026-01-31T09:00, was {value!r}", param, ctx)


type_option = click.option("--type", "type", metavar="TYPE", help="Only events of this type; * stands for anything.")
since_option = click.option(
    "--since", type=Since(), help="Only since then: 10m or 1h30m ago, or a time such as 2026-01-31T09:00."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
broker_option = click.option("--broker", metavar="[NAMESPACE/]NAME", help="The Broker.  [default: the only one]")


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select recorded events."""
    only_broker = click.option("--broker", metavar="[NAMESPACE/]NAME", help="Only events of this Broker.")
    for option in (only_broker, since_option, type_option):
        command = option(command)
    return command
