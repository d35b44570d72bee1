"""Consoles of rich, for what only a terminal shows: styles, tables and what is in progress.

`terminal` imports it where it is needed: the image in which `darkroom setup` runs has no rich.
"""

from __future__ import annotations

from functools import cache
from typing import NoReturn

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command's failure handler, instead of ending the process here."""
        raise


@cache
def console(*, err: bool, width: int | None = None) -> Console:
    # soft_wrap: the terminal wraps long lines, so that addresses and ids can be copied.
    # height: without one, rich gives a terminal that calls itself dumb 80 columns, whatever the width is.
    height = None if width is None else 25
    return _Console(stderr=err, markup=False, highlight=False, emoji=False, soft_wrap=True, width=width, height=height)
