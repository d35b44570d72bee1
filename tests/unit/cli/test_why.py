"""What `darkroom why` says of a job, a Service and an event, and what `darkroom top` makes of two status documents."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console

from darkroom.cli.top.screen import drawn
from darkroom.cli.top.view import JobsLine, Sample, View, view_of
from darkroom.cli.why.event import event_lines
from darkroom.cli.why.job import job_lines
from darkroom.cli.why.service import service_lines
from darkroom.diagnosis import Finding

NOW = datetime(2026, 12, 1, 12, 0, 30, tzinfo=UTC)
FINDING = Finding(
    code="function.crash_loop",
    severity="stop",
    subject="function resize",
    sentence="resize does not start.",
    remedy="Mend it.",
)


def test_an_unfinished_job_says_what_it_waits_for_and_how_its_attempts_ended() -> None:
    job: dict[str, Any] = {
        "job_id": "j1",
        "type": "resize",
        "status": "queued",
        "waiting_for": {"code": "retry", "sentence": "the next one is due", "since": "2026-12-01T12:00:18Z"},
        "attempts_log": [
            {
                "attempt": 1,
                "instance": "host:7:1",
                "began": "2026-12-01T12:00:00Z",
                "ended": "2026-12-01T12:00:18Z",
                "code": "image.crashed",
            }
        ],
    }
    assert list(job_lines(job, NOW)) == [
        "job j1, resize: queued",
        "it waits (retry) for 12 s: the next one is due",
        "attempt 1 by host:7:1: image.crashed after 18 s",
    ]


def test_a_job_that_failed_says_its_error() -> None:
    job = {"job_id": "j1", "type": "crop", "status": "failed", "error": {"code": "image.corrupt", "message": "no JPEG"}}
    assert list(job_lines(job, NOW))[-1] == "it failed with image.corrupt: no JPEG"


def test_a_service_is_explained_by_the_autoscalers_sentence_and_its_own_findings() -> None:
    row = {
        "service": "resize",
        "revision": "resize-00002",
        "wanted": 3,
        "ready": 2,
        "unready": 0,
        "starting": 1,
        "draining": 0,
        "in_flight": 1,
        "waiting": 4,
    }
    other = {**FINDING.as_dict(), "subject": "function resize-heavy"}
    lines = service_lines(row, "concurrency 7 asks for 4; max-scale allows 3", [FINDING.as_dict(), other])
    assert lines == [
        "resize (resize-00002): 3 instances wanted; 2 ready, 1 starting",
        "the autoscaler's last decision: concurrency 7 asks for 4; max-scale allows 3",
        "1 request in flight, 4 waiting for an instance",
        "resize does not start. Mend it.",
    ]


def way(label: str, state: str, **changes: Any) -> dict[str, Any]:
    attempt = {"why": "400 is refused", "outcome": "400"}
    members = {"why": "", "attempts": [attempt], "lost": None, "dead_letter": None, "subscriber": "http://s"}
    return {"label": label, "state": state, **members, **changes}


def event(*ways: dict[str, Any], **changes: Any) -> dict[str, Any]:
    members = {"id": "e1", "type": "t", "broker": "shop/orders", "at": 1.0, "is_duplicate": False, "caused": []}
    return {"events": [{**members, "triggers": list(ways), **changes}]}


def test_an_event_is_explained_trigger_by_trigger() -> None:
    ways = (
        way("a", "filtered out", why="type t is not u (exact)", attempts=[]),
        way("b", "lost", lost={"why": "400 is refused"}),
        way("c", "dead-lettered", dead_letter={"sink": "http://dead"}),
        way("d", "answered"),
        way("e", "waiting", attempts=[]),
    )
    lines = event_lines(event(*ways, caused=[{"how": "reply", "event": {"id": "e2", "type": "u"}}]))
    assert lines[1:] == [
        "Trigger a: not for it: type t is not u (exact)",
        "Trigger b: lost after 1 attempt: 400 is refused",
        "Trigger c: given up after 1 attempt, and sent to http://dead: 400 is refused",
        "Trigger d: answered after 1 attempt by http://s",
        "Trigger e: passed its filter, and no attempt has ended yet",
        "it caused event e2, u (reply)",
    ]


def test_an_event_that_reached_nobody_says_so() -> None:
    assert event_lines(event(is_duplicate=True))[1].startswith("it was dropped")
    assert event_lines(event())[1] == "it reached nobody: the Broker has no Trigger"
    nobody = event(way("a", "filtered out", attempts=[]))
    assert event_lines(nobody)[1] == "it reached nobody: no Trigger's filter takes it"


# --- top -------------------------------------------------------------------------------------------------------------


def status(delivered: int, **changes: Any) -> dict[str, Any]:
    function = {
        "service": "resize", "wanted": 3, "ready": 2, "in_flight": 1, "waiting": 4, "max_scale": 0, "not_run": None,
        "failing": None, "panicking": True, "capped": True,
    }  # fmt: skip
    trigger = {
        "trigger": "resize", "delivered": delivered, "backlog": None, "in_flight": 1, "retried": 2, "dead_lettered": 0,
        "lost": 1,
    }  # fmt: skip
    return {"functions": [function], "triggers": [trigger], "subscriptions": [], **changes}


def view(**changes: Any) -> View:
    return view_of(Sample(at=12.0, status=status(50, **changes)), Sample(at=10.0, status=status(40)), [FINDING])


def test_rates_are_what_has_happened_between_two_looks() -> None:
    assert view().triggers[0].per_s == 5.0
    assert view_of(Sample(at=1.0, status=status(5)), None, []).triggers[0].per_s is None


def test_jobs_a_second_are_those_of_the_last_minute() -> None:
    jobs = {"queued": 1, "processing": 2, "oldest_age_s": 3.0, "ended": 90, "ended_within_s": 30.0}
    assert view(jobs=jobs).jobs == JobsLine(per_s=3.0, queued=1, processing=2, oldest_age_s=3.0)
    assert view(jobs={"error": "no answer"}).jobs == JobsLine(
        per_s=0.0, queued=0, processing=0, oldest_age_s=0.0, error="no answer"
    )
    assert view().jobs is None


def test_the_screen_shows_it_all_and_no_control_characters() -> None:
    console = Console(width=120, force_terminal=False, record=True, file=StringIO())
    console.print(drawn(view(jobs={"error": "no\x1b[31m answer"})))
    text = console.export_text()
    assert "no\\x1b[31m answer" in text
    for words in ("resize", "panic", "5.0", "unknown", "resize does not start.", "Mend it."):
        assert words in text
