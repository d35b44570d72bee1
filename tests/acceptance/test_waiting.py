"""Two thousand clients wait for one job on one status instance: all are notified, within the memory in its YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.waiting import measure, raise_open_files

CLIENTS = 1000
MEMORY_LIMIT_MB = 256 * 1.048576
"""The limit in status.yaml."""


@pytest.mark.slow
def test_two_thousand_waiting_clients_are_all_notified(tmp_path: Path) -> None:
    """No time is asserted here; `benchmarks/waiting.py` reports it."""
    raise_open_files()
    times = measure(CLIENTS, tmp_path)
    print(  # noqa: T201 - the figures
        f"median {times.median_ms:.0f} ms, {times.idle_mb:.0f} MB idle, {times.waiting_mb:.0f} MB with {2 * CLIENTS}"
    )
    assert (len(times.wait_ms), len(times.events_ms)) == (CLIENTS, CLIENTS)
    assert times.waiting_mb < MEMORY_LIMIT_MB
