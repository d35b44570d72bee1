"""The one place where commands write text, so that nothing from outside acts on the operator's terminal.

Names, messages and events come from strangers. Control characters, bidirectional overrides and other invisible
characters are written as escapes (`\\x1b`, `\\u202e`), and no text is interpreted as markup: styles are given beside a
text, never inside it. JSON is written in ASCII, for the same reason.

Without a terminal, a record is one line and its fields are separated by tabs.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import click

Part: TypeAlias = str | tuple[str, str]
"""Text, or text and its style."""

_WIDEST = 10_000
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that are escaped: control, format (bidi overrides among them), surrogates, line separators."""


def printable(text: object, *, lines: bool = False) -> str:
    """Return the text with control, invisible and bidirectional characters as escapes; with `lines`, line breaks stay.

    The result is returned unchanged when it is passed in again.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        _escape(one) if unicodedata.category(one) in _UNPRINTABLE and not (lines and one == "\n") else one
        for one in shown
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def is_terminal() -> bool:
    """Return whether standard output is a terminal: then tables are for people."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(*parts: Part, err: bool = False) -> None:
    """Write one line to standard output, or with `err` to standard error; a line break in it is an escape too."""
    styled = [(printable(part), "") if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
    if not any(style for _, style in styled):
        click.echo("".join(text for text, _ in styled), err=err)
        return
    from rich.text import Text

    from darkroom.cli.rich_console import console

    console(err=err).print(Text.assemble(*styled))


def tell(*parts: Part) -> None:
    """Write a message to standard error: what is in progress, and what is not the command's result."""
    write(*parts, err=True)


def write_json(document: Any) -> None:
    """Write one document, for commands whose result is a single thing."""
    click.echo(json.dumps(document, indent=2))


def write_json_lines(documents: Iterable[Any]) -> None:
    """Write one document per line (NDJSON), for commands whose result is a list."""
    for document in documents:
        click.echo(json.dumps(document))


def write_records(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = "") -> None:
    """Write a table for people; without a terminal, a line per record, its fields separated by tabs, and no heading.

    Nothing is ever cut: a row that is wider than the terminal continues on its next line.
    """
    if not is_terminal():
        for row in rows:
            click.echo("\t".join(printable(cell) for cell in row))
        if not rows and empty:
            tell(empty)
        return
    if not rows:
        write(empty)
        return
    from rich.table import Table
    from rich.text import Text

    from darkroom.cli.rich_console import console

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(printable(column)), no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    # As wide as it needs to be: rich would cut cells to fit the terminal, which wraps lines by itself.
    console(err=False, width=_WIDEST).print(table)


def write_fields(fields: Mapping[str, object], *, indent: str = "") -> None:
    """Write a thing's fields, one per line. Fields without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        write(f"{indent}{name:<{width}}  {printable(value)}")


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show what is in progress, if standard error is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.text import Text

    from darkroom.cli.rich_console import console

    with console(err=True).status(Text(printable(text))):
        yield


def format_duration(seconds: float) -> str:
    """Format a duration for people: `0.42 s`, `12 s`, `3 m 5 s`, `2 h 10 m`, `4 d 3 h`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.2f} s"
    whole = round(seconds)
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
    for size, unit, smaller, smaller_unit in units:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {smaller_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
