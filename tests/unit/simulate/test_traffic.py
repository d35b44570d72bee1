"""Each source of traffic becomes the same arrivals, and what is none is refused with its line."""

from __future__ import annotations

import json

import pytest

from darkroom.arrivals import SHAPES
from darkroom.simulate.traffic import Traffic, TrafficError
from darkroom.simulate.traffic.access_log import read_access_log
from darkroom.simulate.traffic.model import traffic_of_rates
from darkroom.simulate.traffic.prometheus import read_range
from darkroom.simulate.traffic.shapes import read_shape
from darkroom.simulate.traffic.tables import read_table

COMBINED = """\
203.0.113.7 - - [30/Nov/2026:12:00:00 +0000] "POST /api/v1/resize HTTP/1.1" 202 61 "-" "curl/8"
203.0.113.7 - - [30/Nov/2026:12:00:00 +0000] "POST /api/v1/resize HTTP/1.1" 202 61 "-" "curl/8"
203.0.113.7 - - [30/Nov/2026:12:00:02 +0000] "GET /api/v1/jobs/1 HTTP/1.1" 200 310 "-" "curl/8"
203.0.113.8 - bob [30/Nov/2026:12:00:03 +0000] "POST /api/v1/crop HTTP/2.0" 202 - "-" "a \\"b\\""
"""


def table(text: str) -> Traffic:
    return read_table(text, source="t.csv", seed=1)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,bytes\n2026-11-30T12:00:00Z,10\n2026-11-30T12:00:01.5Z,30\n",
        "2026-11-30 12:00:00;10\n2026-11-30 12:00:01.5;30\n",
        "at\tsize\n1764504000\t10\n1764504001.5\t30\n",
        "1764504001500,30\n1764504000000,10\n",
        "id,size,time\na,10,0\nb,30,1.5\n",
    ],
)
def test_a_table_of_times_and_sizes_is_read_in_any_usual_form(text: str) -> None:
    traffic = table(text)
    assert traffic.arrivals_s == pytest.approx((0.0, 1.5))
    assert traffic.sizes == (10, 30)


def test_a_size_that_one_row_lacks_makes_the_line_wrong_rather_than_the_size_zero() -> None:
    with pytest.raises(TrafficError, match=r"t\.csv, line 3: '5,' is not a time and a size"):
        table("time,bytes\n1,10\n5,\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("time,bytes\nyesterday,1\n", "line 2: 'yesterday,1'"), ("time\nnan\n", "line 2: 'nan'")],
)
def test_what_is_no_table_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        table(text)


def test_a_rate_over_time_becomes_as_many_arrivals_as_it_says_within_chance() -> None:
    # Grafana names the value after the query, and leaves missing ones empty.
    rows = "\n".join(f"{1764504000 + 15 * step},{'' if step == 3 else 20}" for step in range(20))
    traffic = table(f'"Time","sum(rate(x[1m]))"\n{rows}\n')
    assert traffic.seconds == 300
    assert 5700 - 4 * 75 < len(traffic.arrivals_s) < 5700 + 4 * 75
    assert not [at for at in traffic.arrivals_s if 45 < at < 60]


def test_the_same_seed_draws_the_same_arrivals_of_a_rate() -> None:
    rates = [(0.0, 5.0), (10.0, 50.0), (20.0, 0.0)]
    first, again, other = (traffic_of_rates(rates, source="r", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.arrivals_s != other.arrivals_s
    assert max(first.arrivals_s) < 20


# --- Prometheus ------------------------------------------------------------------------------------------------------


def test_series_of_a_range_are_added_up() -> None:
    series = [
        {"metric": {"pod": pod}, "values": [[0, "10"], [30, rate], [60, "0"]]}
        for pod, rate in (("a", "NaN"), ("b", "4"))
    ]
    text = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})
    traffic = read_range(text, source="p", seed=1)
    early = [at for at in traffic.arrivals_s if at < 30]
    late = [at for at in traffic.arrivals_s if at >= 30]
    assert 600 - 100 < len(early) < 600 + 100
    assert 120 - 45 < len(late) < 120 + 45


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"status": "error", "error": "parse error at char 3"}, "parse error at char 3"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, "query_range"),
        ({"data": 1}, "no data.resultType"),
    ],
)
def test_another_answer_of_prometheus_is_refused_with_the_reason(document: object, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        read_range(json.dumps(document), source="p", seed=1)


# --- access logs -----------------------------------------------------------------------------------------------------


def test_requests_of_one_second_are_spread_over_it_and_reads_do_not_count() -> None:
    assert read_access_log(COMBINED, source="access.log").arrivals_s == (0.0, 0.5, 3.0)


def test_a_path_selects_requests() -> None:
    assert len(read_access_log(COMBINED, source="access.log", path="/api/v1/crop").arrivals_s) == 1
    with pytest.raises(TrafficError, match="no request whose path begins with /images"):
        read_access_log(COMBINED, source="access.log", path="/images")


def test_a_functions_log_is_read_by_the_moment_at_which_requests_began() -> None:
    lines = [
        {"action": "request.answered", "method": "POST", "path": "/api/v1/resize", "status": 202, "duration_ms": 500,
         "timestamp": "2026-11-30T12:00:01.500000Z"},
        {"action": "job.accepted", "timestamp": "2026-11-30T12:00:01Z", "path": "/"},
        {"action": "request.answered", "method": "POST", "path": "/api/v1/resize", "status": 202, "duration_ms": 100,
         "timestamp": "2026-11-30T12:00:03.100000Z"},
    ]  # fmt: skip
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot a log line\n"
    assert read_access_log(text, source="ingest.log").arrivals_s == pytest.approx((0.0, 2.0))


def test_a_log_of_an_unknown_format_is_refused_with_its_first_line() -> None:
    with pytest.raises(TrafficError, match=r"2 of 2 lines are no requests .* 'Nov 30 12:00:00 host nginx: hello'"):
        read_access_log("Nov 30 12:00:00 host nginx: hello\nand more\n", source="x.log")


# --- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SHAPES))
def test_each_shape_sends_as_many_as_its_stages_say_in_order(name: str) -> None:
    traffic = read_shape(name, seed=1)
    assert len(traffic.arrivals_s) == pytest.approx(SHAPES[name].visitors, abs=1)
    assert list(traffic.arrivals_s) == sorted(traffic.arrivals_s)
    assert traffic.arrivals_s[-1] <= traffic.seconds == SHAPES[name].seconds


def test_a_shape_is_scaled_and_stretched() -> None:
    traffic = read_shape("burst*0.5@100", seed=1)
    assert (len(traffic.arrivals_s), traffic.seconds) == (2500, 100)


@pytest.mark.parametrize(("text", "said"), [("bursts", "there are steady, burst"), ("burst*0", "0.0 requests")])
def test_a_shape_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        read_shape(text, seed=1)
