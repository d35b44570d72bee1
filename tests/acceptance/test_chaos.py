"""`darkroom chaos` on a running order flow: the same faults twice, the effect of each, its end, and what it finds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.stack import ROOT, RunningStack, eventually, running_stack

ORDERS = ROOT / "examples" / "orders"
WITHOUT_SINKS = ROOT / "tests" / "data" / "orders" / "triggers-without-dead-letter-sinks.yaml"
TRAFFIC = ("--send", "shop.order.requested", "--send-data", str(ORDERS / "order.json"), "--rate", "20/s")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("shop"), cwd=ORDERS) as stack:
        yield stack


def command(stack: RunningStack, *options: str) -> list[str]:
    return [sys.executable, "-m", "darkroom.cli", "chaos", "--data", str(stack.data), *options]


def chaos(stack: RunningStack, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(stack, *options), capture_output=True, text=True, timeout=120, cwd=ORDERS)


def reckoned(stack: RunningStack, *options: str, code: int = 0) -> dict[str, Any]:
    done = chaos(stack, *options, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def of_first_attempts(document: dict[str, Any], trigger: str, upto: int) -> list[tuple[int, str, float]]:
    """The faults of a Trigger's first events, in the order of their numbers."""
    return sorted(
        (fault["event"], fault["kind"], fault.get("delay_s", 0.0))
        for fault in document["faults"]
        if fault["target"] == trigger and fault.get("attempt") == 1 and fault["event"] <= upto
    )


def last_faulted(document: dict[str, Any], trigger: str) -> int:
    """The last of a Trigger's events whose first attempt was hit: those before it had theirs during the run too."""
    return max((event for event, _, _ in of_first_attempts(document, trigger, sys.maxsize)), default=0)


def processes(document: dict[str, Any]) -> list[tuple[float, str, str]]:
    return [(one["planned_s"], one["kind"], one["target"]) for one in document["faults"] if "planned_s" in one]


def test_the_same_seed_gives_the_same_faults_twice(shop: RunningStack) -> None:
    """And nothing is lost or stuck, whatever they are: each Trigger has a dead-letter sink."""
    planned = json.loads(chaos(shop, "--seed", "7", "--for", "4s", "--plan", "--json").stdout)
    first, second = (reckoned(shop, "--seed", "7", "--for", "4s", *TRAFFIC) for _ in range(2))
    assert first["plan"]["digest"] == second["plan"]["digest"] == planned["digest"]
    assert processes(first) == processes(second)
    assert processes(first) == [(one["at_s"], one["kind"], one["target"]) for one in planned["processes"]]
    for trigger in ("place", "confirm", "ship"):
        # Events beyond these may have arrived when the run was over, in one run and not in the other.
        common = min(last_faulted(first, trigger), last_faulted(second, trigger))
        assert common > 5 or trigger != "place", "the first function hears of enough events"
        assert of_first_attempts(first, trigger, common) == of_first_attempts(second, trigger, common)
    for document in (first, second):
        reckoning = document["reckoning"]
        assert (reckoning["lost"], reckoning["stuck"], reckoning["left_out"]) == ([], [], 0)
        assert reckoning["accepted"] >= document["sent"]["accepted"] > 20
        rows = {row["trigger"]: row for row in reckoning["triggers"]}
        assert rows["confirm"]["dead_lettered"] >= 2, "every tenth order's card is declined"
        for row in rows.values():
            assert row["events"] == row["acknowledged"] + row["dead_lettered"]


@pytest.mark.slow
def test_kills_hit_the_service_that_is_named(shop: RunningStack) -> None:
    since = shop.now()
    document = reckoned(shop, "--service", "confirm", "--kill", "--every", "1s", "--for", "4s", "--seed", "1", *TRAFFIC)
    died = shop.events(since=since, action="instance.died")
    assert {event["service"] for event in died} == {"confirm"}
    assert {event["returncode"] for event in died} == {-signal.SIGKILL}
    killed = [fault["pid"] for fault in document["faults"] if fault["pid"] is not None]
    assert killed == [event["pid"] for event in died] != []


@pytest.mark.slow
def test_a_killed_server_is_started_again_and_nothing_that_was_accepted_is_lost(shop: RunningStack) -> None:
    since = shop.now()
    document = reckoned(shop, "--servers", "nats", "--every", "2s", "--for", "3s", "--seed", "1", *TRAFFIC)
    assert [event["server"] for event in shop.events(since=since, action="server.died")][:1] == ["nats"]
    assert document["reckoning"]["lost_count"] == document["reckoning"]["stuck_count"] == 0
    killed = {fault["pid"] for fault in document["faults"]}

    def is_back() -> bool:
        [nats] = [row for row in shop.status()["servers"] if row["name"] == "nats"]
        return nats["state"] == "up" and nats["pid"] not in killed

    eventually(is_back, within_s=20, what="another nats-server runs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (("--fail", "50%"), {"fail before", "fail after"}),
        (("--duplicate", "50%"), {"duplicate"}),
        (("--drop-reply", "50%"), {"drop reply"}),
        (("--slow", "50ms..200ms:50%"), {"slow request", "slow answer"}),
    ],
)
def test_faults_of_deliveries_hit_the_trigger_that_is_named(
    shop: RunningStack, options: tuple[str, str], kinds: set[str]
) -> None:
    document = reckoned(shop, "--trigger", "place", *options, "--for", "2s", "--seed", "3", *TRAFFIC)
    assert {fault["kind"] for fault in document["faults"]} == kinds
    assert {fault["target"] for fault in document["faults"]} == {"place"}
    [place] = [row for row in document["reckoning"]["triggers"] if row["trigger"] == "place"]
    assert (place["attempts"] > place["events"]) == bool(kinds & {"fail before", "drop reply"})
    assert (place["again"]["duplicate"] > 0) == ("duplicate" in kinds)
    assert (place["again"]["lost answer"] > 0) == bool(kinds & {"fail after", "drop reply"})


@pytest.mark.slow
def test_a_command_that_is_killed_leaves_nothing_paused_and_nothing_failing(shop: RunningStack) -> None:
    reckoned(shop, "--fail", "1%", "--for", "1s", "--seed", "1", *TRAFFIC)  # so that each function has an instance
    since = shop.now()
    options = ("--pause", "--every", "100ms", "--fail", "100%", "--for", "300s", "--seed", "1")
    with subprocess.Popen(command(shop, *options), stdout=subprocess.DEVNULL, cwd=ORDERS) as running:
        try:
            eventually(lambda: stopped(shop), within_s=20, what="an instance is paused")
        finally:
            running.kill()
    [ended] = eventually(
        lambda: shop.events(since=since, action="chaos.ended"), within_s=20, what="the lease runs out and the run ends"
    )
    assert "has not been heard of for 5 s" in ended["by"]
    eventually(lambda: not stopped(shop), within_s=5, what="nothing is paused any more")
    document = reckoned(shop, "--trigger", "place", "--duplicate", "1%", "--for", "1s", "--seed", "1", *TRAFFIC)
    [place] = [row for row in document["reckoning"]["triggers"] if row["trigger"] == "place"]
    assert place["attempts"] == place["events"] > 0, "deliveries fail no longer"


def stopped(stack: RunningStack) -> list[int]:
    found = []
    for process in stack.descendants():
        try:
            if process.status() == psutil.STATUS_STOPPED:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def test_ctrl_c_ends_the_faults_and_tells_what_there_is_to_tell(shop: RunningStack) -> None:
    with subprocess.Popen(
        command(shop, "--fail", "10%", "--for", "300s", "--seed", "1"),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ORDERS,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        assert "chaos with seed 1" in running.stdout.readline()
        busy = chaos(shop, "--seed", "2", "--for", "1s")
        assert busy.returncode == 1
        assert "a run of chaos with seed 1 is under way" in busy.stderr
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
        assert running.wait(timeout=30) == 130
    assert "ended early, by the command" in rest
    assert "Traceback" not in rest


def test_unknown_names_are_answered_with_those_that_there_are(shop: RunningStack) -> None:
    for options, sentence in (
        (("--service", "confrm"), "there is no Service 'confrm'; did you mean \"confirm\"?; there is confirm, place, "),
        (("--trigger", "payment"), "there is no Trigger 'payment'; there is confirm, place, ship"),
        (("--servers", "redis"), "there is no server that runs here 'redis'; there is nats"),
        (("--fail", "60%", "--duplicate", "60%"), "at most 100% together, were 0.6, 0.6, 0"),
    ):
        done = chaos(shop, *options, "--plan")
        assert done.returncode == 1
        assert sentence in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "valid dictionary"),
        (b'{"seed": 7}', "lasts_s: Field required"),
        (b'{"seed": 7, "lasts_s": 1e999}', "lasts_s: "),
        (b'{"seed": -1, "lasts_s": 1, "kil": true}', "kil: Extra inputs are not permitted"),
        (b"[" * 100_000, ""),
    ],
)
def test_an_order_that_is_none_is_refused_by_the_admin_api(shop: RunningStack, body: bytes, sentence: str) -> None:
    answer = httpx.post(f"{shop.addresses['admin']}/chaos", content=body, timeout=20)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "chaos.refused"
    assert sentence in answer.json()["detail"]


def test_a_trigger_without_a_dead_letter_sink_is_found_to_lose(tmp_path: Path) -> None:
    shutil.copytree(ORDERS, tmp_path / "orders")
    shutil.copy(WITHOUT_SINKS, tmp_path / "orders" / "knative" / "triggers.yaml")
    with running_stack(tmp_path / "data", cwd=tmp_path / "orders") as stack:
        document = reckoned(stack, "--seed", "7", "--fail", "10%", "--for", "2s", *TRAFFIC, code=1)
        reckoning = document["reckoning"]
        lost = [row for row in reckoning["lost"] if row["trigger"] == "confirm"]
        assert len(lost) >= 2, "every tenth order's card is declined"
        assert all("The retries are spent and there is no deadLetterSink" in row["why"] for row in lost)
        assert reckoning["lost_count"] == sum(
            event["trigger"] in {"place", "confirm", "ship"} for event in losses(stack)
        )
        assert reckoning["stuck"] == []


def losses(stack: RunningStack) -> list[dict[str, Any]]:
    return stack.events(action="event.lost")
