"""Two thousand clients that wait for one job on one status instance: all are told, in the memory that its YAML has."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.waiting import measure, raise_open_files

CLIENTS = 1000
MEMORY_LIMIT_MB = 256 * 1.048576
"""Of status.yaml."""


@pytest.mark.slow
def test_two_thousand_waiting_clients_are_all_told(tmp_path: Path) -> None:
    """No figure of time is held here; `benchmarks/waiting.py` tells it."""
    raise_open_files()
    told = measure(CLIENTS, tmp_path)
    print(  # noqa: T201 - the figures
        f"median {told.median_ms:.0f} ms, {told.idle_mb:.0f} MB idle, {told.waiting_mb:.0f} MB with {2 * CLIENTS}"
    )
    assert (len(told.wait_ms), len(told.events_ms)) == (CLIENTS, CLIENTS)
    assert told.waiting_mb < MEMORY_LIMIT_MB
