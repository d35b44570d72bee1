"""What is said of a status document: the cause with its numbers, the remedy, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from darkroom.diagnosis import Finding, by_harm, platform_findings
from darkroom.diagnosis.backlogs import Backlogs

NOW = 1_000_000.0


def function(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "service": "confirm", "name": "confirm", "namespace": "shop", "revision": "confirm-00002",
        "revision_at": NOW - 900, "ready": 1, "unready": 0, "starting": 0, "wanted": 1, "waiting": 0, "in_flight": 0,
        "max_scale": 2, "container_concurrency": 2, "not_run": None, "failing": None, "refused": None, "capped": False,
        "limit": 8,
    }  # fmt: skip
    return {**row, **changes}


def trigger(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "trigger": "confirm", "broker": "orders", "broker_namespace": "shop", "service": "confirm",
        "subscriber": "http://confirm.shop.svc.cluster.local", "filter_type": "shop.order.placed", "backlog": 0,
        "in_flight": 0, "delivered": 5, "retried": 0, "dead_lettered": 0, "lost": 0, "last_failure": None,
        "last_lost": None, "last_accepted_at": NOW - 5, "progressed_at": NOW - 5, "max_ack_pending": 8,
        "timeout_s": 20.0, "dead_letter_sink": "",
    }  # fmt: skip
    return {**row, **changes}


def status(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "servers": [
            {"name": "nats", "state": "up", "answered_in_s": 0.002, "is_ours": True, "pid": 7, "url": "nats://x"}
        ],
        "functions": [function()],
        "brokers": [{"namespace": "shop", "name": "orders", "types": {"shop.order.placed": 5}}],
        "triggers": [trigger()],
        "subscriptions": [],
        "data": {"path": "/data", "free_bytes": 2**40, "state": "ok"},
        "left_out": [],
    }
    return {**document, **changes}


def only(document: Mapping[str, Any], **options: Any) -> Finding:
    [finding] = platform_findings(document, NOW, **options)
    return finding


def failed(at: float, outcome: str = "400", code: int | None = 400, why: str = "it is refused") -> dict[str, Any]:
    return {"at": at, "id": "e1", "type": "shop.order.placed", "outcome": outcome, "status": code, "why": why}


def test_nothing_is_said_of_what_is_well() -> None:
    assert platform_findings(status(), NOW) == []


def test_a_status_document_of_another_version_is_no_reason_to_fail() -> None:
    assert platform_findings({}, NOW) == []


# --- servers ---------------------------------------------------------------------------------------------------------


def test_a_stopped_server_is_said_to_be_stopped_with_the_command_that_continues_it() -> None:
    row = {"name": "nats", "state": "no answer within 4 s", "is_ours": True, "pid": 7, "is_stopped": True}
    finding = only(status(servers=[row]))
    assert (finding.severity, finding.subject) == ("stop", "server nats")
    assert finding.sentence.startswith(
        "NATS does not answer: no answer within 4 s; its process 7 is stopped (SIGSTOP). "
    )
    assert "kill -CONT 7" in finding.remedy


@pytest.mark.parametrize(
    ("row", "remedy"),
    [
        ({"is_ours": False, "pid": None, "url": "redis://elsewhere:1"}, "Start Redis at redis://elsewhere:1"),
        ({"is_ours": True, "pid": None}, "started again by itself"),
        ({"is_ours": True, "pid": 7}, "full disk"),
    ],
)
def test_a_server_that_is_down_has_the_remedy_of_its_kind(row: dict[str, Any], remedy: str) -> None:
    finding = only(status(servers=[{"name": "redis", "state": "redis: refused", **row}]))
    assert finding.sentence.startswith("Redis does not answer: refused. ")
    assert remedy in finding.remedy


def test_a_server_that_answers_slowly_is_said_to_with_its_time() -> None:
    finding = only(status(servers=[{"name": "s3", "state": "up", "answered_in_s": 2.26, "url": "http://s3"}]))
    assert (finding.code, finding.severity) == ("server.slow", "delay")
    assert "S3 answers slowly: a health check took 2.3 s" in finding.sentence


# --- functions -------------------------------------------------------------------------------------------------------


def trouble(**changes: Any) -> dict[str, Any]:
    reason = "confirm-00002 ended with 1: ModuleNotFoundError: No module named 'numpy'"
    return {"since": NOW - 9, "last_at": NOW - 1, "failures": 3, "failed_starts": 3, "reason": reason, **changes}


def test_a_crash_loop_is_said_with_its_exception() -> None:
    finding = only(status(functions=[function(ready=0, failing=trouble())]))
    assert (finding.code, finding.severity, finding.since) == ("function.crash_loop", "stop", NOW - 9)
    assert "confirm does not start (3 times)" in finding.sentence
    assert "ModuleNotFoundError: No module named 'numpy'" in finding.sentence
    assert "Correct the import" in finding.remedy


def test_one_death_is_no_crash_loop_and_an_old_one_is_over() -> None:
    once, over = trouble(failures=1), trouble(failed_starts=0, last_at=NOW - 90)
    assert platform_findings(status(functions=[function(failing=once), function(failing=over)]), NOW) == []


def test_a_change_that_does_not_start_while_what_was_before_serves_is_said() -> None:
    refused = {"at": NOW - 3, "revision": "confirm-00003", "reason": "confirm-00003 ended: SyntaxError: invalid syntax"}
    finding = only(status(functions=[function(refused=refused)]))
    assert "SyntaxError: invalid syntax. confirm-00002, from before the change, serves on" in finding.sentence
    assert "Correct the line" in finding.remedy


def test_capped_instances_are_said_with_the_limit() -> None:
    finding = only(status(functions=[function(capped=True, wanted=6, waiting=1)]))
    assert "wants 6 instances of confirm, and 1 run: this machine's limit of 8 processes" in finding.sentence
    assert "1 request waits." in finding.sentence
    assert "--max-instances" in finding.remedy


def test_a_function_that_is_not_run_or_not_ready_is_said() -> None:
    rows = [function(not_run="confirm: no image"), function(ready=0, unready=2, unready_because="GET / answered 500")]
    found = platform_findings(status(functions=rows), NOW)
    assert {one.code for one in found} == {"function.not_run", "function.unready"}
    assert any("GET / answered 500" in one.sentence for one in found)


# --- Triggers --------------------------------------------------------------------------------------------------------


def test_a_loss_by_4xx_is_said_with_its_answer_and_what_to_answer_instead() -> None:
    row = trigger(lost=2, last_lost=failed(NOW - 9), last_failure=failed(NOW - 9), last_accepted_at=NOW)
    finding = only(status(triggers=[row]))
    assert (finding.code, finding.severity) == ("trigger.loses", "loss")
    assert "loses events, 2 so far. The last one, shop.order.placed e1, was answered 400: it is refused." in (
        finding.sentence
    )
    assert "Let confirm answer 503" in finding.remedy
    assert finding.link == "/events/one?id=e1"


def test_a_loss_without_a_dead_letter_sink_asks_for_one() -> None:
    row = trigger(lost=1, last_lost=failed(NOW - 9, "500", 500))
    assert "Give Trigger confirm a deadLetterSink" in only(status(triggers=[row])).remedy
    row = trigger(lost=1, last_lost=failed(NOW - 9, why="the dead-letter sink: 500"), dead_letter_sink="http://dead")
    assert "Mend http://dead" in only(status(triggers=[row])).remedy


@pytest.mark.parametrize("member", ["last_lost", "last_failure"])
def test_what_a_function_did_before_it_was_replaced_is_over(member: str) -> None:
    row = trigger(lost=1, last_accepted_at=None, **{member: failed(NOW - 9)})
    assert only(status(triggers=[row])).subject == "trigger confirm"
    assert platform_findings(status(triggers=[row], functions=[function(revision_at=NOW - 5)]), NOW) == []


def test_a_loss_of_long_ago_is_over() -> None:
    assert platform_findings(status(triggers=[trigger(lost=1, last_lost=failed(NOW - 301))]), NOW) == []


def test_a_failed_delivery_is_said_until_one_succeeds() -> None:
    failure = failed(NOW - 9, "503", 503, "it is busy")
    assert only(status(triggers=[trigger(last_failure=failure, last_accepted_at=NOW - 10)])).sentence == (
        "Trigger confirm: its last failed delivery: it is busy."
    )
    assert platform_findings(status(triggers=[trigger(last_failure=failure, last_accepted_at=NOW - 8)]), NOW) == []


def unmatched(wanted: str, *seen: str) -> list[Finding]:
    brokers = [{"namespace": "shop", "name": "orders", "types": dict.fromkeys(seen, 3)}]
    return platform_findings(status(brokers=brokers, triggers=[trigger(filter_type=wanted, delivered=0)]), NOW)


def test_a_filter_that_matches_nothing_is_said_with_the_type_that_was_meant() -> None:
    [finding] = unmatched("shop.order.place", "shop.order.placed", "shop.order.cancelled")
    assert (finding.code, finding.severity) == ("trigger.matches_nothing", "stop")
    assert (
        "matches nothing: of 6 events that Broker orders has taken, none has the type shop.order.place,"
        in finding.sentence
    )
    assert "shop.order.placed came 3 times; did you mean that?" in finding.sentence
    assert "Correct the type in the filter" in finding.remedy


@pytest.mark.parametrize(
    "wanted",
    ["shop.orders.placed", "Shop.Order.Placed", "com.shop.order.placed", "shop.order.placed.v1", "shop/order/placed"],
)
def test_slips_of_many_kinds_are_recognised(wanted: str) -> None:
    assert [one.code for one in unmatched(wanted, "shop.order.placed")] == ["trigger.matches_nothing"]


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ("dev.darkroom.crop.requested", "dev.darkroom.resize.requested"),
        ("shop.order.created", "shop.order.updated"),
        ("shop.order.placed", "shop.parcel.sent"),
        ("placed", "shop.order.placed"),
    ],
)
def test_a_trigger_that_waits_for_another_kind_of_event_is_no_slip(wanted: str, seen: str) -> None:
    assert unmatched(wanted, seen) == []


def test_max_ack_pending_below_what_the_function_could_do_is_said_in_the_linters_words() -> None:
    finding = only(status(triggers=[trigger(max_ack_pending=3)]))
    assert finding.sentence.startswith("maxAckPending is 3, confirm could process 4 at once")
    assert "Set maxAckPending to 8" in finding.remedy
    unlimited = function(max_scale=0)
    assert platform_findings(status(triggers=[trigger(max_ack_pending=3)], functions=[unlimited]), NOW) == []


# --- backlogs, the disk, what is left out ----------------------------------------------------------------------------


def test_a_backlog_without_progress_is_said_unless_nats_is_down() -> None:
    row = trigger(backlog=12, in_flight=2, progressed_at=NOW - 45)
    finding = only(status(triggers=[row]))
    assert "12 events wait for Trigger confirm, and none has ended for 45 s. confirm has 2 events" in finding.sentence
    down = [{"name": "nats", "state": "no answer", "is_ours": True}]
    assert [one.code for one in platform_findings(status(servers=down, triggers=[row]), NOW)] == ["server.down"]


def test_a_function_is_given_the_time_that_a_delivery_may_take() -> None:
    assert platform_findings(status(triggers=[trigger(backlog=1, progressed_at=NOW - 45, timeout_s=110.0)]), NOW) == []


@pytest.mark.parametrize(("earlier", "grows"), [((100, 150), True), ((150, 140), False), ((350, 360), False)])
def test_a_backlog_that_grows_is_said_with_its_growth(earlier: tuple[int, int], grows: bool) -> None:
    looks = [
        Backlogs(at=NOW - 30 + 10 * number, waiting={("trigger", "confirm"): count})
        for number, count in enumerate(earlier)
    ]
    found = platform_findings(status(triggers=[trigger(backlog=400)]), NOW, looks)
    assert [one.code for one in found] == (["backlog.grows"] if grows else [])
    assert not grows or "400 events wait, 300 more than 30 s ago" in found[0].sentence


def test_a_disk_that_is_full_or_nearly_so_is_said() -> None:
    full = {"path": "/data", "free_bytes": 0, "state": "the disk of /data is full: 0 bytes are free"}
    assert only(status(data=full)).severity == "stop"
    nearly = only(status(data={"path": "/data", "free_bytes": 100 * 2**20, "state": "ok"}))
    assert (nearly.severity, "100 MiB are free" in nearly.sentence) == ("risk", True)


def test_what_is_left_out_is_said_if_it_matters() -> None:
    row = {"file": "a.yaml", "line": 3, "kind": "KafkaSource", "namespace": "shop", "name": "in", "reason": "no Kafka"}
    finding = only(status(left_out=[{**row, "matters": True}, {**row, "name": "b", "matters": False}]))
    assert finding.sentence == "KafkaSource shop/in (a.yaml:3) is left out: no Kafka."


def test_a_job_is_not_missed_where_an_extension_prepares_what_it_would() -> None:
    row = {
        "file": "a.yaml",
        "line": 3,
        "kind": "Job",
        "namespace": "shop",
        "name": "setup",
        "reason": "no Job runs here",
    }
    assert only(status(left_out=[row])).code == "manifest.left_out"
    assert platform_findings(status(left_out=[row], has_extension=True), NOW) == []


def test_findings_are_in_the_order_of_harm_and_then_of_age() -> None:
    def one(severity: Any, since: float | None) -> Finding:
        return Finding(code="c", severity=severity, subject="s", sentence="", remedy="", since=since)

    mixed = [one("risk", 1), one("delay", None), one("loss", 9), one("delay", 5), one("delay", 2), one("stop", 1)]
    ordered = [(each.severity, each.since) for each in by_harm(mixed)]
    assert ordered == [("loss", 9), ("stop", 1), ("delay", 2), ("delay", 5), ("delay", None), ("risk", 1)]
