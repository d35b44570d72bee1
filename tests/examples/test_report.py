"""examples/report: its own tests, by the pytest plugin, and the project run by `darkroom up` as its README says."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from darkroom.check.run import check
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.manifests.platform.severity import Severity
from tests.stack import ROOT, eventually, running_stack

REPORT = ROOT / "examples" / "report"


def test_its_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--darkroom-durations"]
    done = subprocess.run(command, cwd=REPORT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    assert "darkroom: nats-server and the first Broker ready in" in done.stdout


def test_the_schedule_writes_reports_of_the_orders_that_came(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data", cwd=REPORT) as stack:
        assert sorted(server["name"] for server in stack.status()["servers"]) == ["nats", "redis"]
        for number in (1, 2):
            headers, body = encode_binary(new_event("shop.order.placed", "/me", {"item": "lamp"}, id=f"order-{number}"))
            answer = httpx.post(f"{stack.addresses['broker']}/shop/orders", headers=headers, content=body)
            assert answer.status_code == 202
        log = stack.data / "logs" / "announce.log"

        def announced() -> bool:
            # At midnight both orders may be yesterday's.
            return log.exists() and "2 orders" in log.read_text()

        eventually(
            announced, within_s=60, what=f"a report of two orders, before {datetime.now(UTC)} became another day"
        )


def test_the_linter_finds_no_error_in_it() -> None:
    assert [each for each in check([REPORT / "knative"]) if each.severity is Severity.ERROR] == []
