"""Each source of service times and starts, and what becomes of them in the simulator."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from darkroom.simulate.observed import InstanceStart, ObservedError
from darkroom.simulate.observed.fitting import fit_cold_start
from darkroom.simulate.observed.histograms import read_histograms
from darkroom.simulate.observed.load_run import parse_load_run
from darkroom.simulate.observed.measured import Measured, format_measured, parse_measured
from darkroom.simulate.observed.model import with_at_once
from darkroom.simulate.observed.otlp import read_otlp
from darkroom.simulate.observed.record import read_record
from darkroom.simulate.observed.recording import Recording, format_recording, parse_recording


def test_the_average_number_of_starts_under_way_is_counted() -> None:
    # Two from 0 to 2 and 0 to 4, and one alone later.
    lone, short, long = sorted(with_at_once([(2.0, 2.0), (4.0, 4.0), (9.0, 1.0)]), key=lambda start: start.took_s)
    assert (lone.at_once, short.at_once, long.at_once) == (1.0, 2.0, 1.5)


def test_starts_that_slow_each_other_down_are_brought_back_to_what_one_takes_alone() -> None:
    alone = [InstanceStart(took_s=seconds) for seconds in (0.9, 1.0, 1.1)]
    crowded = [InstanceStart(took_s=1.0 * (1 + 0.5 * 3), at_once=4.0)] * 3
    fitted = fit_cold_start([*alone, *crowded])
    assert fitted.growth == pytest.approx(0.5)
    assert fitted.alone.mean_s == pytest.approx(1.0)


# --- the runtime's record --------------------------------------------------------------------------------------------


def attempt(at: float, lasted_s: float, status: int = 204, trigger: str = "default/resize") -> dict[str, Any]:
    return {
        "kind": "attempted",
        "at": at,
        "lasted_s": lasted_s,
        "status": status,
        "trigger": trigger,
        "label": "resize",
    }


def test_attempts_that_may_have_waited_for_an_instance_are_no_service_times() -> None:
    attempts = [
        attempt(0.0, 1.4),  # waited for the start that ended at 1.0
        attempt(5.0, 0.3),
        attempt(5.1, 0.5),  # the instance was busy
        attempt(6.0, 0.2),
        attempt(7.0, 0.1, status=503),
        attempt(8.0, 0.1, trigger="default/crop") | {"label": "crop"},
    ]
    events = [
        {"action": "instance.ready", "service": "resize", "at": 1.0, "ready_s": 0.8},
        {"action": "stack.ready", "at": 0},
    ]
    observed = read_record(attempts, events, service="resize", trigger="resize", room=1, source="the record")
    assert observed.service_s == pytest.approx((0.3, 0.2))
    assert [start.took_s for start in observed.starts] == pytest.approx([0.8])


def test_a_record_without_the_trigger_is_refused() -> None:
    with pytest.raises(ObservedError, match="no attempt of the Trigger crop"):
        read_record([attempt(0, 1)], [], service="crop", trigger="crop", room=1, source="the record")


# --- OTLP ------------------------------------------------------------------------------------------------------------


def span(name: str, kind: int, began_s: float, seconds: float) -> dict[str, Any]:
    began = 1_764_504_000 + began_s
    times = {"startTimeUnixNano": str(int(began * 1e9)), "endTimeUnixNano": str(int((began + seconds) * 1e9))}
    return {"name": name, "kind": kind, **times}


def exported(service: str, *spans: dict[str, Any]) -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}]}


def test_spans_of_the_service_are_its_times_one_document_per_line() -> None:
    documents = [
        exported("resize", span("process", 5, 1, 0.25), span("S3.GET", 3, 1, 0.1), span("cold start", 1, 0, 0.9)),
        exported("crop", span("process", 5, 1, 7.0)),
    ]
    observed = read_otlp("\n".join(map(json.dumps, documents)), service="resize", source="spans.json")
    assert observed.service_s == pytest.approx((0.25,))
    assert [start.took_s for start in observed.starts] == pytest.approx([0.9])


def test_spans_of_other_services_are_not_enough() -> None:
    with pytest.raises(ObservedError, match="no SERVER or CONSUMER span of the service resize"):
        read_otlp(json.dumps(exported("crop", span("process", 5, 1, 7.0))), service="resize", source="spans.json")


# --- histograms ------------------------------------------------------------------------------------------------------


HISTOGRAMS = """\
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{service="resize",le="0.1"} 50
http_server_request_duration_seconds_bucket{service="resize",le="0.5"} 100
http_server_request_duration_seconds_bucket{service="resize",le="+Inf"} 100
http_server_request_duration_seconds_bucket{service="crop",le="0.1"} 0
http_server_request_duration_seconds_bucket{service="crop",le="+Inf"} 90
darkroom_cold_start_duration_seconds_bucket{service="resize",le="1.0"} 0
darkroom_cold_start_duration_seconds_bucket{service="resize",le="2.0"} 8
darkroom_cold_start_duration_seconds_bucket{service="resize",le="+Inf"} 8
"""


def test_a_histogram_becomes_values_that_lie_in_its_buckets_in_its_proportions() -> None:
    observed = read_histograms(HISTOGRAMS, service="resize", source="metrics")
    fast = [seconds for seconds in observed.service_s if seconds < 0.1]
    assert len(fast) == len(observed.service_s) / 2
    assert 0 < min(observed.service_s) < max(observed.service_s) <= 0.5
    assert all(1.0 < start.took_s <= 2.0 for start in observed.starts)


def test_a_histogram_that_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(ObservedError, match=r"no histogram my_seconds of resize; it has .*http_server_request"):
        read_histograms(HISTOGRAMS.partition("darkroom")[0], service="resize", source="metrics", metric="my_seconds")


# --- our own files ---------------------------------------------------------------------------------------------------


def test_a_measurement_is_read_as_it_was_written() -> None:
    measured = Measured(
        service="resize", service_s=(0.25, 0.5), starts=(InstanceStart(took_s=1.5, at_once=2.5),), trigger="resize",
        container_concurrency=2, machine="2 cores", measured_at="2026-11-30",
    )  # fmt: skip
    assert parse_measured(format_measured(measured), source="m.json") == measured


RUN = Recording(
    name="burst", service="resize", arrivals_s=[0.0, 0.5], took_s=[1.25, None], sizes=[1.0, 3.0],
    ticks=[(0.0, 0, 1), (0.5, 1, 1)],
    starts=[(0.4, 0.3)], service_s=[0.2], scaling={"max-scale": "8"}, container_concurrency=2,
    measured_starts=[(4.0, 0.9)],
)  # fmt: skip


def test_a_recorded_run_is_read_as_it_was_written() -> None:
    assert parse_recording(format_recording(RUN), source="r.json") == RUN


def test_a_recorded_run_prefers_what_was_measured_before_it_and_counts_differences_of_size_once() -> None:
    observed = RUN.observed()
    assert [(start.at_once, start.took_s) for start in observed.starts] == [(4.0, 0.9)]
    assert replace(RUN, measured_starts=[]).observed().starts[0].took_s == pytest.approx(0.3)
    assert replace(RUN, service_s=[0.1, 0.3]).observed().service_s == pytest.approx((0.2,))
    assert replace(RUN, service_s=[0.1, 0.3], sizes=()).observed().service_s == (0.1, 0.3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not a recorded run"),
        ("{}", '"format" is not'),
        (format_recording(RUN).replace('"took_s":[1.25,null]', '"took_s":[1.25]'), "2 arrivals and 1 durations"),
    ],
)
def test_what_is_no_recorded_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(ObservedError, match=said):
        parse_recording(text, source="r.json")


def load_run(**job: Any) -> str:
    """A recording of a load test with one job, by the format of loadtests/recording.py."""
    known = {
        "arrival_s": 0.0, "job_type": "resize", "outcome": "completed", "accepted_s": 0.3, "ended_s": 3.0,
        "created_s": 0.25, "finished_s": 2.0, "fetch_ms": 5, "render_ms": 60, "store_ms": 7,
        "cost_class": "standard", **job,
    }  # fmt: skip
    seen = [[0.5, "darkroom/resize", 3, 1], [0.5, "crop", 1, 1]]
    tables = {
        "jobs": {"columns": list(known), "rows": [list(known.values())]},
        "instances": {
            "columns": ["at_s", "service", "wanted", "ready"],
            "rows": seen,
        },
        "cold_starts": {"columns": ["at_s", "service", "took_s"], "rows": [[0.4, "darkroom/resize", 0.3]]},
    }
    run = {"shape": "burst", "began_at": "2026-11-30T12:00:00+00:00"}
    return json.dumps({"format": "darkroom-load-run", "version": 1, "run": run, **tables})


def test_a_load_tests_recording_is_read_by_its_records_rather_than_by_what_the_client_saw() -> None:
    recording = parse_load_run(load_run(), service="resize", source="burst.json")
    assert recording.arrivals_s == [0.25]
    assert recording.took_s == [1.75]
    assert recording.service_s == pytest.approx([0.072])
    assert recording.ticks == [(0.5, 1, 3)]
    assert recording.starts == [(0.4, 0.3)]


def test_without_the_record_the_clients_times_count() -> None:
    recording = parse_load_run(load_run(created_s=None, finished_s=None), service="resize", source="burst.json")
    assert (recording.arrivals_s, recording.took_s) == ([0.3], [2.7])


def test_expensive_jobs_belong_to_their_own_service() -> None:
    with pytest.raises(ObservedError, match="no job that resize does"):
        parse_load_run(load_run(cost_class="heavy"), service="resize", source="burst.json")
    assert parse_load_run(load_run(cost_class="heavy"), service="resize-heavy", source="b").arrivals_s == [0.25]
