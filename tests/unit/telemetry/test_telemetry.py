"""Spans, on and off: what is recorded, what is sent, what never is, and that a missing collector delays nobody."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from darkroom import telemetry
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import SettingsError
from darkroom.events import tracing
from darkroom.serving.traced_storage import TracedStorage
from darkroom.telemetry import names, sdk_warnings
from darkroom.telemetry.switch import traces_are_wanted
from tests.collector import Collector, running_collector
from tests.interpreter import python
from tests.spans import Recorded, recorded_spans, trace_id_of

SOMEWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
FUNCTION_SETTINGS = {
    "REDIS_URL": "redis://127.0.0.1:1",
    "NATS_URL": "nats://127.0.0.1:1",
    "STORAGE_ENDPOINT": "http://127.0.0.1:1",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "secret",
    "K_SINK": "http://127.0.0.1:1",
    "API_KEYS": "off",
}
REMOTE = tracing.new_root(sampled=True)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recorded_spans() as recorded:
        yield recorded


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


# --- on and off ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (SOMEWHERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({**SOMEWHERE, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**SOMEWHERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**SOMEWHERE, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_traces_are_on_where_an_endpoint_is_set_and_nothing_says_otherwise(
    environment: dict[str, str], wanted: bool
) -> None:
    assert traces_are_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
def test_what_we_do_not_have_is_refused_at_start_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        traces_are_wanted({**SOMEWHERE, name: value})


@pytest.mark.parametrize("function", ["ingest", "status", "resize", "crop", "recovery", "notify"])
def test_no_function_imports_anything_of_opentelemetry_when_off(function: str) -> None:
    program = """
import functions_framework, json, sys
functions_framework.create_app(sys.argv[1], f"functions/{sys.argv[1]}/main.py")
print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry")]))
"""
    done = python(program, function, **FUNCTION_SETTINGS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_off_a_span_is_nothing_and_an_entry_still_has_its_trace() -> None:
    with telemetry.span("render", format="webp") as span:
        span.set(width=1)
        span.failed("code")
        assert tracing.current() is None
    with telemetry.entry("process", REMOTE):
        assert tracing.current() == REMOTE
    with telemetry.entry("process", None):
        begun = tracing.current()
        assert begun is not None
        assert not begun.sampled
    assert tracing.current() is None


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_spans_hang_together_and_below_the_callers(recorded: Recorded) -> None:
    with telemetry.entry("process", REMOTE, kind="consumer"), telemetry.span("render", format="webp") as span:
        current = tracing.current()
        span.set({names.HTTP_STATUS: 200}, width_px=400, nothing=None)
    process, render = recorded.one("process"), recorded.one("render")
    assert {trace_id_of(process), trace_id_of(render)} == {REMOTE.trace_id}
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == REMOTE.span_id
    assert recorded.parent_of(render) == "process"
    assert render.attributes == {"darkroom.format": "webp", "http.response.status_code": 200, "darkroom.width_px": 400}
    assert current is not None
    assert render.context is not None
    assert current.span_id == f"{render.context.span_id:016x}"
    assert tracing.current() is None


def test_an_entry_without_a_caller_begins_a_trace(recorded: Recorded) -> None:
    with telemetry.entry("sweep", None):
        pass
    assert recorded.one("sweep").parent is None


def test_what_the_caller_does_not_sample_is_not_recorded_and_stays_in_its_trace(recorded: Recorded) -> None:
    unsampled = tracing.new_root()
    with telemetry.entry("process", unsampled), telemetry.span("render"):
        current = tracing.current()
    assert recorded.spans == []
    assert current is not None
    assert (current.trace_id, current.sampled) == (unsampled.trace_id, False)


def test_an_error_that_leaves_a_span_is_recorded_by_its_code_and_without_its_secrets(recorded: Recorded) -> None:
    detail = "connecting to redis://user:canary@host failed"
    with pytest.raises(DependencyUnavailableError), telemetry.span("claim"):
        raise DependencyUnavailableError("jobs", detail)
    claim = recorded.one("claim")
    assert not claim.status.is_ok
    assert claim.attributes is not None
    assert claim.attributes[names.ERROR_TYPE] == "dependency.unavailable"
    assert "canary" not in claim.to_json()


def test_a_secret_in_an_attribute_of_anybodys_is_hidden(recorded: Recorded) -> None:
    with telemetry.span("call") as span:
        span.set({"url.full": "http://s3/b/k?X-Amz-Signature=canary1234"}, said="Bearer canarycanary")
    shown = recorded.one("call").to_json()
    assert "canary" not in shown
    assert "[hidden]" in shown


def test_finished_spans_are_recorded_with_their_own_times(recorded: Recorded) -> None:
    with telemetry.entry("process", REMOTE):
        telemetry.past("queued", 1_000_000_000, 3_000_000_000, attempt=2)
        telemetry.past("attempt lost", 2_000_000_000, 1_000_000_000, error="image.crashed")
    queued, lost = recorded.one("queued"), recorded.one("attempt lost")
    assert (queued.start_time, queued.end_time) == (1_000_000_000, 3_000_000_000)
    assert recorded.parent_of(queued) == "process"
    assert lost.end_time == lost.start_time, "clocks that disagree make no negative span"
    assert not lost.status.is_ok


def test_nothing_is_sent_of_work_that_has_not_ended(recorded: Recorded) -> None:
    """A worker that is killed midway leaves no span without its parent."""
    with telemetry.entry("process", REMOTE):
        with telemetry.span("fetch"):
            pass
        assert recorded.spans == []
    assert [span.name for span in recorded.spans] == ["fetch", "process"]


def test_a_librarys_call_outside_any_work_is_not_recorded(recorded: Recorded) -> None:
    with telemetry.span("EVALSHA", kind="client"):
        pass
    with telemetry.entry("process", None), telemetry.span("EVALSHA", kind="client"):
        pass
    assert [span.name for span in recorded.spans] == ["EVALSHA", "process"]


def test_sdk_warnings_are_reported_once_a_minute_and_without_secrets() -> None:
    reported: list[str] = []
    logger = logging.getLogger("opentelemetry")
    before = (logger.propagate, logger.handlers)
    try:
        sdk_warnings.report_sdk_warnings(reported.append)
        for _ in range(50):
            logging.getLogger("opentelemetry.exporter").error("no answer from http://user:canary@collector")
    finally:
        logger.propagate, logger.handlers = before
    assert reported == ["no answer from http://user:[hidden]@collector"]


# --- what is sent ----------------------------------------------------------------------------------------------------

TWO_SPANS = """
import sys
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.events import tracing
from darkroom import telemetry
telemetry.begin("resize", report=lambda error: print("reported:", error))
for _ in range(int(sys.argv[1])):
    with telemetry.entry("process", tracing.parse(sys.argv[2])):
        with telemetry.span("render", format="webp"):
            pass
"""


def test_a_process_sends_what_it_has_at_its_exit(collector: Collector) -> None:
    environment = {
        **collector.environment,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=darkroom",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "K_REVISION": "resize-00001",
    }
    done = python(TWO_SPANS, "1", REMOTE.traceparent, **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    process, render = sorted(
        (span for span in collector.spans() if span.trace_id == REMOTE.trace_id), key=lambda span: span.name
    )
    assert (process.name, process.parent_id, render.parent_id) == ("process", REMOTE.span_id, process.span_id)
    assert process.service == "resize"
    assert process.resource["deployment.environment.name"] == "test"
    assert process.resource["faas.version"] == "resize-00001"
    assert collector.headers[-1]["x-tenant"] == "darkroom"


def test_the_service_name_of_the_environment_wins(collector: Collector) -> None:
    root = tracing.new_root(sampled=True)
    python(TWO_SPANS, "1", root.traceparent, **collector.environment, OTEL_SERVICE_NAME="mine")
    assert {span.service for span in collector.spans() if span.trace_id == root.trace_id} == {"mine"}


def test_the_sampler_of_the_environment_decides(collector: Collector) -> None:
    before = len(collector.bodies)
    done = python(TWO_SPANS, "1", "", **collector.environment, OTEL_TRACES_SAMPLER="always_off")
    assert done.returncode == 0, done.stderr
    assert len(collector.bodies) == before


@pytest.mark.parametrize("answers", [True, False])
def test_a_process_does_not_wait_for_a_collector_that_does_not_answer(answers: bool) -> None:
    """A port that takes connections and says nothing, and one where nobody listens. The exporter's own patience is set
    so high that the run would be cut off if anybody had it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen(16)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        done = python(TWO_SPANS, "2000", "", **environment)
        if answers:
            # It did try.
            silent.settimeout(5)
            silent.accept()[0].close()
    assert done.returncode == 0, done.stderr
    reports = len(done.stdout.splitlines())
    assert reports == 1 or (answers and reports == 0), "reported once, however often it fails"
    assert done.stderr == ""


def test_the_workers_of_one_master_have_senders_of_their_own(collector: Collector) -> None:
    program = """
import os, sys
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.events import tracing
from darkroom import telemetry
from darkroom.telemetry import instance_start
telemetry.begin("resize", report=print)
for _ in range(2):
    if (child := os.fork()) == 0:
        with telemetry.entry("process", tracing.parse(sys.argv[1])) as span:
            birth = instance_start.take()
            span.set(startup_ms=(birth.ready_ns - birth.started_ns) / 1e6, again=instance_start.take() is None)
        sys.exit(0)
    os.waitpid(child, 0)
"""
    root = tracing.new_root(sampled=True)
    done = python(program, root.traceparent, **collector.environment)
    assert (done.returncode, done.stderr) == (0, "")
    spans = [span for span in collector.spans() if span.trace_id == root.trace_id]
    assert len(spans) == 2
    assert len({span.resource["service.instance.id"] for span in spans}) == 2
    for span in spans:
        assert 0 < span.attributes["darkroom.startup_ms"] < 60_000
        assert span.attributes["darkroom.again"]


def test_each_s3_call_is_a_span_and_signing_is_none(recorded: Recorded) -> None:
    storage = TracedStorage(MemoryStorage(), bucket="b")
    with telemetry.entry("process", REMOTE):
        storage.put("k", b"123", content_type="image/png")
        assert storage.get("k", max_bytes=3) == b"123"
        assert storage.info("k") is not None
        storage.sign_download("k", content_type="image/png", filename="k.png", lifetime_s=60)
        storage.check()
        storage.delete("k")
    calls = ["S3.PutObject", "S3.GetObject", "S3.HeadObject", "S3.ListObjectsV2", "S3.DeleteObject", "process"]
    assert [span.name for span in recorded.spans] == calls
    put = recorded.spans[0]
    assert put.attributes is not None
    assert (put.attributes["rpc.method"], put.attributes["aws.s3.key"]) == ("PutObject", "k")
