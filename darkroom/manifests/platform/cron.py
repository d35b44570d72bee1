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
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


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
    for field, expression in _expressions(text, timezone=timezone):
        _values(expression, field)


def expanded(text: str) -> str:
    """A schedule in six fields that hold numbers alone, or `*` where every value is meant.

    Other implementations of cron read that in the same way, which they do not with steps, names, `?` and `@daily`. The
    schedule's time zone is left out. Raises ValueError for an invalid schedule, and for one that has no time at all.
    """
    fields = []
    for field, expression in _expressions(text):
        values, any_value = _values(expression, field)
        if not values:
            raise ValueError(f"the {field.name} {expression!r} names no value, so that it is never due")
        fields.append("*" if any_value else ",".join(str(value) for value in sorted(values)))
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def timezone_of(text: str) -> str:
    """The time zone that a schedule begins with; empty if there is none."""
    found = re.match(r"(?:CRON_)?TZ=(\S*) ", text)
    return found[1] if found else ""


def _expressions(text: str, *, timezone: str = "") -> list[tuple[Field, str]]:
    """The fields of a schedule with their texts."""
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
        text = _DESCRIPTORS[text]
    fields = text.split()
    if not 5 <= len(fields) <= 6:
        raise ValueError(f"must have five fields, or six with the seconds first; has {len(fields)}")
    return list(zip(_FIELDS[-len(fields) :], fields, strict=True))


def check_timezone(name: str) -> None:
    """Raise ValueError for a name that is not in the IANA time zone database."""
    if name in {"", "UTC", "Local"}:
        return
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as exc:
        raise ValueError(f"must be a time zone's name such as Europe/Berlin, was {name!r}") from exc


def _values(expression: str, field: Field) -> tuple[set[int], bool]:
    """The values of a field, and whether it counts as `*`, which decides how the two fields of days go together."""
    values: set[int] = set()
    any_value = False
    for part in filter(None, expression.split(",")):
        lowest, highest, step = _bounds(part, field)
        values.update(range(lowest, highest + 1, step))
        any_value |= step == 1 and part[0] in "*?"
    return values, any_value


def _bounds(part: str, field: Field) -> tuple[int, int, int]:
    """The lowest and the highest value of a range, and its step."""
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
    step = _number(steps[0], part, field) if steps else 1
    if step == 0:
        raise ValueError(f"the step of the {field.name} must be at least 1, was {part!r}")
    return lowest, highest, step


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
