"""Rates on the command line, such as `20/s`."""

from __future__ import annotations

import re
from typing import Any

import click

_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)", re.ASCII)
MOST_PER_S = 1000.0


class Rate(click.ParamType[float]):
    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _RATE.fullmatch(value)
        per_second = float(found[1]) / _PER[found[2]] if found else 0.0
        if not 0 < per_second <= MOST_PER_S:
            self.fail(f"must be a rate such as 20/s or 90/m, at most {MOST_PER_S:g}/s, was {value!r}", param, ctx)
        return per_second
