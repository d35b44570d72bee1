"""How `darkroom events` words what the record says, and what it makes of its arguments."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from darkroom.cli.events import send, show, wording
from darkroom.cli.events.options import Since
from darkroom.cli.terminal import printable
from darkroom.cli.up import _record_limits
from darkroom.manifests.project import Project, RecordSettings
from tests.scripted_http import Reply, scripted_server
from tests.unit.cli.conftest import Darkroom

HOSTILE = "[/x]\x1b[31m\u202e\nforged line"
AT = datetime(2026, 1, 31, 9, 30, 0, 125_000).timestamp()


def an_event(**more: Any) -> dict[str, Any]:
    event = {"id": "order-1", "source": "/s", "type": "shop.order.placed", "data": {"order": 7}}
    document: dict[str, Any] = {
        "kind": "accepted",
        "at": AT,
        "id": "order-1",
        "source": "/s",
        "type": "shop.order.placed",
        "subject": None,
        "broker": "shop/orders",
        "door": "http",
        "name": None,
        "cause": None,
        "replay_of": None,
        "is_duplicate": False,
        "data_left_out_bytes": None,
        "verdicts": [],
        "event": event,
        "triggers": [],
        "caused": [],
    }
    return document | more


def a_way(**more: Any) -> dict[str, Any]:
    way: dict[str, Any] = {
        "trigger": "shop/confirm",
        "label": "confirm",
        "subscriber": "http://confirm",
        "state": "answered",
        "why": "",
        "attempts": [],
        "dead_letter": None,
        "lost": None,
    }
    return way | more


def an_attempt(**more: Any) -> dict[str, Any]:
    attempt: dict[str, Any] = {
        "at": AT,
        "attempt": 1,
        "lasted_s": 0.0124,
        "status": 204,
        "outcome": "204",
        "why": "",
        "next_in_s": None,
        "reply": None,
    }
    return attempt | more


# --- show ------------------------------------------------------------------------------------------------------------


def shown(event: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    show._write_event(event, "")
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_shown_with_each_triggers_answer(capsys: pytest.CaptureFixture[str]) -> None:
    failed = an_attempt(status=503, outcome="503 full", why="it is retried", next_in_s=1.0)
    ways = [
        a_way(attempts=[an_attempt()]),
        a_way(
            label="warehouse",
            state="dead-lettered",
            attempts=[failed, failed | {"attempt": 2, "next_in_s": None}],
            dead_letter={"at": AT, "sink": "http://dead", "outcome": "202"},
        ),
        a_way(label="audit", state="filtered out", why="type a is not b (exact)"),
        a_way(label="slow", state="waiting"),
    ]
    reply = {"how": "reply", "trigger": "shop/confirm", "event": an_event(id="r-1", type="shop.order.confirmed")}
    assert shown(an_event(triggers=ways, caused=[reply]), capsys) == [
        "shop.order.placed  order-1",
        "  accepted  2026-01-31 09:30:00.125 by shop/orders, over HTTP",
        "  source    /s",
        '  data      {"order": 7}',
        "",
        "  confirm    answered",
        "    1. 2026-01-31 09:30:00.125    12 ms  204",
        "  warehouse  dead letter after 2 attempts",
        "    1. 2026-01-31 09:30:00.125    12 ms  503 full; again after 1 s",
        "    2. 2026-01-31 09:30:00.125    12 ms  503 full",
        "    sent to http://dead, which answered 202",
        "    it is retried",
        "  audit      filtered out: type a is not b (exact)",
        "  slow       passed its filter; no attempt has ended yet",
        "",
        "  replied by confirm:",
        "    shop.order.confirmed  r-1",
        "      accepted  2026-01-31 09:30:00.125 by shop/orders",
        "      source    /s",
        '      data      {"order": 7}',
        "      the Broker has no Trigger",
    ]


def test_what_strangers_sent_does_not_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = an_event(
        id=HOSTILE,
        type=HOSTILE,
        subject=HOSTILE,
        event={HOSTILE: HOSTILE, "data": HOSTILE},
        triggers=[a_way(label=HOSTILE, attempts=[an_attempt(outcome=HOSTILE, why=HOSTILE)])],
    )
    lines = shown(hostile, capsys)
    for document in (
        an_event(id=HOSTILE, type=HOSTILE),
        {"kind": "refused", "at": AT, "id": None, "broker": HOSTILE, "error": HOSTILE},
        {"kind": "lost", "at": AT, "id": HOSTILE, "label": HOSTILE, "why": HOSTILE},
    ):
        for parts in wording.tail_lines(document):
            lines.append("".join(printable(part if isinstance(part, str) else part[0]) for part in parts))
    assert not any(line.startswith("forged") for line in lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "over HTTP"),
        ({"door": "source", "name": "PingSource shop/tick"}, "from PingSource shop/tick"),
        ({"door": "reply", "cause": {"trigger": "shop/a", "id": "1"}}, "as the reply of a to 1"),
        ({"door": "dead letter", "cause": {"trigger": "other/a", "id": "1"}}, "as a dead letter of other/a"),
        ({"door": "delivery", "cause": {"trigger": "shop/a", "id": "1"}}, "delivered by a"),
        ({"door": "replay", "replay_of": "1"}, "as a replay of 1"),
        ({"door": "replay", "replay_of": "1", "name": "shop/a"}, "as a replay of 1, to a only"),
    ],
)
def test_each_door_has_its_words(fields: dict[str, Any], words: str) -> None:
    assert wording.door(an_event(**fields)) == words


def test_data_is_shown_in_short() -> None:
    assert wording.data_of(an_event(event={})) == ""
    assert wording.data_of(an_event(event={"data": "ä"})) == '"ä"'
    assert wording.data_of(an_event(event={"data_base64": "AAAA", "datacontenttype": "image/png"})) == (
        "(3 bytes of image/png)"
    )
    assert wording.data_of(an_event(event={"data": "x" * 1000})).endswith("... (1002 characters)")
    assert "more than the record keeps" in wording.data_of(an_event(data_left_out_bytes=10**6))


# --- tail ------------------------------------------------------------------------------------------------------------


def tail_text(document: dict[str, Any]) -> list[str]:
    return [
        "".join(part if isinstance(part, str) else part[0] for part in parts).rstrip()
        for parts in wording.tail_lines(document)
    ]


def verdict(label: str, *, passed: bool) -> dict[str, Any]:
    return {"trigger": f"shop/{label}", "label": label, "subscriber": "", "passed": passed, "why": ""}


def test_a_tail_says_who_takes_an_event_and_what_was_answered() -> None:
    verdicts = [verdict("confirm", passed=True), verdict("audit", passed=False)]
    assert tail_text(an_event(verdicts=verdicts)) == [
        "2026-01-31 09:30:00.125 --> shop.order.placed  order-1",
        " " * 28 + "for confirm; not audit",
    ]
    assert tail_text(an_event(verdicts=verdicts[1:]))[1].strip() == "no Trigger takes it"
    assert "dropped" in tail_text(an_event(is_duplicate=True))[1]
    delivery = {"kind": "attempted", "label": "confirm", "id": "order-1"}
    assert tail_text({**delivery, **an_attempt(), "action": "ack"}) == [
        "2026-01-31 09:30:00.125 <-- 204    12 ms  confirm  order-1"
    ]
    late = an_attempt(status=None, outcome="no answer within 5 s", why="because", next_in_s=0.0, lasted_s=5.0)
    assert tail_text({**delivery, **late, "action": "redeliver"}) == [
        "2026-01-31 09:30:00.125 <-- none   5.0 s  confirm  order-1",
        " " * 28 + "no answer within 5 s; again at once",
    ]
    assert "3 things" in tail_text({"kind": "missed", "at": AT, "count": 3})[0]


# --- arguments -------------------------------------------------------------------------------------------------------


def test_since_is_a_duration_or_a_time() -> None:
    assert abs(Since().convert("10m", None, None) - (time.time() - 600)) < 5
    assert Since().convert("2026-01-31T09:30:00.125", None, None) == AT
    for text in ("yesterday", "", "10", "9999999-01-01"):
        with pytest.raises(click.UsageError, match="must be a duration such as 10m"):
            Since().convert(text, None, None)


def test_data_is_json_a_file_or_standard_input(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "notes").write_text("hello")
    assert send._content(None) == (None, None)
    assert send._content('{"a": 1}') == (b'{"a": 1}', "application/json")
    assert send._content(str(tmp_path / "a.json")) == (b'{"a": 1}', "application/json")
    assert send._content(str(tmp_path / "c.jpg")) == (b"\xff\xd8", "image/jpeg")
    assert send._content(str(tmp_path / "notes")) == (b"hello", "text/plain")
    for wrong in (str(tmp_path / "b.json"), "hello", "a\x00b", "x" * 5000):
        with pytest.raises(click.UsageError):
            send._content(wrong)


def test_ids_and_counts_exclude_each_other(darkroom: Darkroom) -> None:
    done = darkroom("events", "send", "t", "--id", "1", "--count", "2")
    assert done.exit_code == 2
    assert "--id and --count exclude each other" in done.stderr


def test_an_older_runtime_is_told(tmp_path: Path, darkroom: Darkroom) -> None:
    with scripted_server(Reply(status=404, body=b"404: Not Found")) as server:
        addresses = dict.fromkeys(("api", "broker", "admin"), server.url) | {"nats": "nats://127.0.0.1:1"}
        (tmp_path / "runtime.json").write_text(json.dumps({"pid": 1, "addresses": addresses}))
        shown = darkroom("events", "show", "x", "--data", str(tmp_path))
    assert shown.exit_code == 1
    assert "of another version, without a record" in shown.stderr


# --- how much `up` records -------------------------------------------------------------------------------------------


def test_the_command_line_goes_before_the_project_file(darkroom: Darkroom) -> None:
    project = Project(root=Path(), manifests=(), record=RecordSettings.model_validate({"max-bytes": "8Mi"}))
    limits = _record_limits(project, None, no_record=False)
    assert limits is not None
    assert (limits.max_bytes, limits.max_age_s) == (8 * 1024 * 1024, 86400)
    larger = _record_limits(project, 16 * 1024 * 1024, no_record=False)
    assert larger is not None
    assert larger.max_bytes == 16 * 1024 * 1024
    assert _record_limits(project, None, no_record=True) is None
    off = replace(project, record=RecordSettings(enabled=False))
    assert _record_limits(off, None, no_record=False) is None
    with pytest.raises(click.UsageError, match="exclude each other"):
        _record_limits(project, 1, no_record=True)
    refused = darkroom("up", "--record-bytes", "1Mi")
    assert refused.exit_code == 2
    assert "must be at least 4Mi, was 1Mi" in refused.stderr
