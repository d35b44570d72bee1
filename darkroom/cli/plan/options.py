"""Option types of `darkroom plan`."""

from __future__ import annotations

import re

import click

from darkroom.contract.parameters.values import Format
from darkroom.events.durations import parse_days

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?b|b|)", re.I)
_COUNT = re.compile(r"\d[\d_,]*")


class Count(click.ParamType[int]):
    """A whole number, which may be grouped: `1000000`, `1_000_000`, `1,000,000`."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not _COUNT.fullmatch(str(value)):
            self.fail(f"must be a whole number such as 1000000 or 1,000,000, was {value!r}", param, ctx)
        return int(str(value).replace(",", "").replace("_", ""))


class ByteCount(click.ParamType[int]):
    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value))
        if match is None:
            self.fail(f"must be a size such as 634KB, 2.5MB or 600KiB, was {value!r}", param, ctx)
        return round(float(match[1]) * _UNITS[match[2].lower()])


class Days(click.ParamType[float]):
    """A duration with days, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_days(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class FormatName(click.Choice[str]):
    """A format of pictures, by its name."""

    def __init__(self) -> None:
        super().__init__([str(each) for each in Format if each is not Format.KEEP])

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Format:
        return Format(super().convert(value, param, ctx))
