"""Which libraries may log during a load test. Locust shows every record of INFO; theirs would bury those of the run."""

from __future__ import annotations

import logging

_QUIET = ("pyvips", "httpx", "httpcore", "urllib3", "asyncio")
"""pyvips logs each type it knows; httpx logs each request, with its signed URL."""


def quieten() -> None:
    """Let the libraries log warnings only."""
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
