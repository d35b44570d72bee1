"""A crowd that never finishes its requests, under a limit of descriptors, through the whole local runtime.

No times are asserted here; `benchmarks/front_door.py` tells them.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from benchmarks.front_door import KILLS, MIB, Crowd, crowd, limited_stack, log_lines, use_steadily
from tests.stack import RunningStack, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with limited_stack(tmp_path_factory.mktemp("crowds"), descriptors=512) as running:
        yield running


@pytest.mark.timeout(170)
def test_others_are_served_beside_connections_that_never_finish(stack: RunningStack) -> None:
    use_steadily(stack, 1.0)
    since, lines = stack.now(), log_lines(stack)
    with crowd(stack.addresses["api"], Crowd(half_open=600, dripping=100, held=8, held_bytes=12 * MIB)) as presence:
        eventually(lambda: presence.members > 700, within_s=30, what="the crowd is there")
        seen = use_steadily(stack, 8.0)
    assert set(seen.statuses) <= {200, 202}, "everybody else is served"
    assert sum(seen.statuses.values()) >= 4
    assert seen.ingest_mb < 400
    assert seen.descriptors < 512
    assert [event for event in stack.events(since=since) if event["action"] in KILLS] == []
    assert len(log_lines(stack)) - len(lines) < 100
    assert httpx.get(f"{stack.addresses['admin']}/status", timeout=20).status_code == 200
