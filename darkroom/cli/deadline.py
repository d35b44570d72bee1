"""A deadline for all that a command does, however its parts wait: uploads, retries, answers that drip in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click


@contextmanager
def deadline(seconds: float, message: str) -> Iterator[None]:
    """End the block with a click.ClickException after this time. For the main thread of a command only."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise click.ClickException(message)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
