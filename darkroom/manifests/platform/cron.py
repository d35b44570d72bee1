"""Checks schedules as Knative's PingSource accepts them: the grammar of robfig/cron v3 with optional seconds.

It differs from Unix cron: `?` means `*`; day 7, `L`, `W` and `#` do not exist; and a step may be larger than its range
(`*/99`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    """Names of the values, from the lowest."""


_FIELDS = (
    Field(name="second", lowest=0, highest=59),
    Field(name="minute", lowest=0, highest=59),
    Field(name="hour", lowest=0, highest=23),
    Field(name="day of the month", lowest=1, highest=31),
    Field(name="month", lowest=1, highest=12, names=_MONTHS),
    Field(name="day of the week", lowest=0, highest=6, names=_DAYS),
)


def check_schedule(text: str, *, timezone: str = "") -> None:
    """Raise ValueError, with the field and its bounds, for an invalid schedule.

    `timezone` is the PingSource's own: the webhook puts it before the schedule, so that there may be no second one.
    """
    if "@every" in text:
        raise ValueError("@every is not supported")
    if text.startswith(("TZ=", "CRON_TZ=")):
        if timezone:
            raise ValueError("a schedule has no time zone of its own beside spec.timezone")
        zone, _, text = text.partition(" ")
        check_timezone(zone.partition("=")[2])
        text = text.strip()
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"must be one of {', '.join(_DESCRIPTORS)}, was {text!r}")
        return
    fields = text.split()
    if not 5 <= len(fields) <= 6:
        raise ValueError(f"must have five fields, or six with the seconds first; has {len(fields)}")
    for field, expression in zip(_FIELDS[-len(fields) :], fields, strict=True):
        for part in filter(None, expression.split(",")):
            _check_range(part, field)


def check_timezone(name: str) -> None:
    """Raise ValueError for a name that is not in the IANA time zone database."""
    if name in {"", "UTC", "Local"}:
        return
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as exc:
        raise ValueError(f"must be a time zone's name such as Europe/Berlin, was {name!r}") from exc


def _check_range(part: str, field: Field) -> None:
    range_text, *steps = part.split("/")
    if len(steps) > 1:
        raise ValueError(f"the {field.name} {part!r} has more than one step")
    lowest, highest = _range(range_text, field)
    if steps and range_text.count("-") == 0:
        highest = field.highest
    if lowest < field.lowest or highest > field.highest:
        raise ValueError(f"the {field.name} must be from {field.lowest} to {field.highest}, was {part!r}")
    if lowest > highest:
        raise ValueError(f"the {field.name} {part!r} ends before it begins")
    if steps and _number(steps[0], part, field) == 0:
        raise ValueError(f"the step of the {field.name} must be at least 1, was {part!r}")


def _range(text: str, field: Field) -> tuple[int, int]:
    ends = text.split("-")
    if ends[0] in {"*", "?"}:
        return field.lowest, field.highest
    if len(ends) > 2:
        raise ValueError(f"the {field.name} {text!r} has more than one hyphen")
    values = [_value(each, text, field) for each in ends]
    return values[0], values[-1]


def _value(text: str, part: str, field: Field) -> int:
    if text.lower() in field.names:
        return field.lowest + field.names.index(text.lower())
    return _number(text, part, field)


def _number(text: str, part: str, field: Field) -> int:
    if not re.fullmatch(r"[+]?[0-9]+", text, re.ASCII):
        raise ValueError(f"the {field.name} must be a number, *, a range or a list of these, was {part!r}")
    return int(text)
