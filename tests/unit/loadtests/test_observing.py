from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from loadtests.errors import ObservationError
from loadtests.observing import (
    ColdStart,
    LocalRuntime,
    Metrics,
    Observation,
    cold_starts_of_events,
    observation_of_metrics,
    observation_of_status,
)
from tests.scripted_http import Reply, scripted_server

METRICS = """\
# HELP darkroom_instances Processes of a function.
# TYPE darkroom_instances gauge
darkroom_instances{service="resize",state="wanted"} 4
darkroom_instances{service="resize",state="ready"} 2
darkroom_instances{service="crop",state="wanted"} 1.0
darkroom_instances{service="crop",state="starting"} 1
darkroom_trigger_backlog{trigger="resize"} 30
darkroom_trigger_backlog{trigger="a \\"quoted\\" one"} 3 1700000000000
darkroom_cold_starts_total{service="resize"} 2
"""


def status(**changes: Any) -> dict[str, Any]:
    row = {"service": "resize", "wanted": 3, "ready": 1, "capped": False}
    return {"functions": [row], "triggers": [{"backlog": 5}, {"backlog": 2}], **changes}


def test_a_status_reports_instances_and_the_trigger_that_is_furthest_behind() -> None:
    assert observation_of_status(status(), 7.0) == Observation(
        at=7.0, backlog=5, wanted={"resize": 3}, ready={"resize": 1}, cold_starts={}
    )


def test_a_backlog_that_one_trigger_does_not_know_is_not_known() -> None:
    assert observation_of_status(status(triggers=[{"backlog": 5}, {"backlog": None}]), 0).backlog is None


@pytest.mark.parametrize("document", [{}, {"functions": [{}], "triggers": []}, {"functions": 3, "triggers": []}])
def test_a_status_that_is_none_is_an_error_that_says_what_is_missing(document: dict[str, Any]) -> None:
    with pytest.raises(ObservationError, match="is not what it should be"):
        observation_of_status(document, 0)


def test_metrics_tell_the_same() -> None:
    assert observation_of_metrics(METRICS, 7.0) == Observation(
        at=7.0, backlog=30, wanted={"resize": 4, "crop": 1}, ready={"resize": 2}, cold_starts={"resize": 2}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>hello</html>", "not Prometheus' text format: .*; it begins with '<html>"),
        ("darkroom_instances", "not Prometheus' text format"),
        ('darkroom_instances{service="resize} 1', "not Prometheus' text format"),
        ('darkroom_instances{service="resize"} many', "not Prometheus' text format: .*'many'"),
        ("up 1\n", "none of its 1 samples is a darkroom metric"),
        ("", "none of its 0 samples"),
    ],
)
def test_metrics_that_are_none_are_an_error_that_says_so(text: str, said: str) -> None:
    with pytest.raises(ObservationError, match=said):
        observation_of_metrics(text, 0)


def test_cold_starts_are_the_instances_that_became_ready() -> None:
    events: list[dict[str, Any]] = [
        {"number": 1, "action": "instance.ready", "at": 5.0, "service": "resize", "ready_s": 0.4},
        {"number": 2, "action": "event.accepted", "at": 6.0},
    ]
    assert cold_starts_of_events(events) == [ColdStart(at=5.0, service="resize", took_s=0.4)]


def test_instances_that_were_ready_before_the_run_are_none_of_its_cold_starts() -> None:
    def events(number: int) -> Reply:
        event = f'{{"number": {number}, "action": "instance.ready", "at": 1, "service": "crop", "ready_s": 1}}'
        return Reply(status=200, body=f"[{event}]".encode())

    shown = Reply(status=200, body=b'{"functions": [], "triggers": []}')
    with (
        scripted_server(shown, events(4), shown, events(5)) as server,
        closing(LocalRuntime(server.url)) as runtime,
    ):
        assert runtime.look(0)[1] == []
        assert len(runtime.look(1)[1]) == 1
        assert [request.path for request in server.received][1::2] == ["/events?since=0", "/events?since=4"]


def test_a_counter_of_cold_starts_that_grew_by_two_is_two_cold_starts() -> None:
    before = Reply(status=200, body=METRICS.encode())
    after = Reply(status=200, body=METRICS.replace('_total{service="resize"} 2', '_total{service="resize"} 4').encode())
    with scripted_server(before, after) as server, closing(Metrics(server.url)) as source:
        assert source.look(0)[1] == []
        assert source.look(9)[1] == [ColdStart(at=9, service="resize", took_s=None)] * 2
