"""Names that people choose: of projects, functions and event types. A wrong one is refused with one that would do."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

import click

MAX_NAME = 50
"""Characters. Serving makes a revision's name of it, with a number, and that has at most 63."""
MAX_EVENT_TYPE = 80
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*")
_TAKEN_BY_THE_TEMPLATES = frozenset({"flask", "json", "on_event"})
"""What the generated modules import, which a function of that name would hide."""


@dataclass(frozen=True)
class FunctionName:
    """A function's name: `confirm-order` in Kubernetes, `confirm_order` in Python."""

    service: str

    @property
    def python(self) -> str:
        return self.service.replace("-", "_")


def parse_function_name(text: str) -> FunctionName:
    """Raises click.UsageError."""
    name = FunctionName(_parse(text, "a function's name"))
    if keyword.iskeyword(name.python) or name.python in _TAKEN_BY_THE_TEMPLATES:
        raise click.UsageError(
            f"{text!r} cannot be a function's name: it means something else in the function's Python module; "
            f"did you mean {f'{name.service}-event'!r}?"
        )
    return name


def parse_project_name(text: str) -> str:
    """Raises click.UsageError."""
    return _parse(text, "a project's name")


def parse_event_type(text: str, option: str) -> str:
    """Raises click.UsageError."""
    if len(text) > MAX_EVENT_TYPE or not _EVENT_TYPE.fullmatch(text):
        raise click.UsageError(
            f"{option}: an event type is at most {MAX_EVENT_TYPE} letters, digits and . _ / : -, such as "
            f"shop.order.placed; was {text[: 2 * MAX_EVENT_TYPE]!r}"
        )
    return text


def _parse(text: str, what: str) -> str:
    if len(text) <= MAX_NAME and _NAME.fullmatch(text):
        return text
    found = f"has {len(text)} characters" if len(text) > MAX_NAME else f"was {text!r}"
    raise click.UsageError(
        f"{what} is lower-case letters, digits and -, begins with a letter, does not end with -, and has at most "
        f"{MAX_NAME} characters, because Kubernetes objects bear it; it {found}{_suggestion(text)}"
    )


def _suggestion(text: str) -> str:
    """The nearest name that would do: `ConfirmOrder` as `confirm-order`."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", text)
    near = "-".join(word.lower() for word in words).lstrip("-0123456789")[:MAX_NAME].rstrip("-")
    return f"; did you mean {near!r}?" if near and near != text else ""
