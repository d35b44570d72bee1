"""K_SINK as a cluster injects it: not at a function's first start, and with K_CE_OVERRIDES empty beside it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.front import function_server
from tests.servers import Server, running
from tests.stack import running_stack

NOBODY = "127.0.0.1:1"
FUNCTIONS = ("ingest", "recovery", "status", "resize", "crop")
BOUND = ("ingest", "recovery")


def test_every_function_becomes_ready_without_a_crash_as_its_sink_binding_injects(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as stack:
        assert httpx.get(f"{stack.addresses['api']}/health/ready").json()["checks"]["sink"] == "ok"
        revisions = {row["service"]: row["revision"] for row in stack.status()["functions"]}
        assert (revisions["ingest"], revisions["recovery"]) == ("ingest-00002", "recovery-00002")
        assert revisions["status"] == "status-00001"
        crashes = [event for event in stack.events() if event["action"] in {"instance.start_failed", "instance.died"}]
        assert crashes == []


def without_servers(name: str, folder: Path, **variables: str) -> Server:
    """A function whose dependencies are all away."""
    away = {"redis_url": f"redis://{NOBODY}", "s3_url": f"http://{NOBODY}", "NATS_URL": f"nats://{NOBODY}"}
    return function_server(name, folder, **away, **variables)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "injected", [{"K_SINK": ""}, {"K_SINK": "", "K_CE_OVERRIDES": ""}], ids=["no overrides", "empty overrides"]
)
def test_a_function_starts_without_its_sink_and_says_what_it_waits_for(
    name: str, injected: dict[str, str], tmp_path: Path
) -> None:
    server = without_servers(name, tmp_path, **injected)
    with running(server):
        if name in BOUND:
            answer = httpx.get(f"{server.url}/health/startup", timeout=10)
            assert answer.status_code == 503
            assert "K_SINK is not set: the function waits for a SinkBinding to inject it" in answer.text


@pytest.mark.parametrize("name", BOUND)
def test_a_function_with_its_sink_is_started_whatever_else_is_away(name: str, tmp_path: Path) -> None:
    server = without_servers(name, tmp_path)
    with running(server):
        assert httpx.get(f"{server.url}/health/startup", timeout=10).status_code == 200
