"""When a function is wired: where functions-framework is about to serve it, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from darkroom.contract.events import JOB_COMPLETED
from darkroom.imaging import probe
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import MemoryPipeline
from functions.crop.main import crop
from functions.resize.main import resize
from tests.stack import ROOT

FUNCTIONS = ["ingest", "status", "recovery", "notify", "resize", "crop"]
NEEDS = {
    "ingest": "REDIS_URL, STORAGE_ACCESS_KEY, STORAGE_ENDPOINT, STORAGE_SECRET_KEY",
    "status": "REDIS_URL, STORAGE_ACCESS_KEY, STORAGE_ENDPOINT, STORAGE_SECRET_KEY",
    "recovery": "NATS_URL, REDIS_URL, STORAGE_ACCESS_KEY, STORAGE_ENDPOINT, STORAGE_SECRET_KEY",
    "notify": "REDIS_URL",
    "resize": "REDIS_URL, STORAGE_ACCESS_KEY, STORAGE_ENDPOINT, STORAGE_SECRET_KEY",
    "crop": "REDIS_URL, STORAGE_ACCESS_KEY, STORAGE_ENDPOINT, STORAGE_SECRET_KEY",
}
SETTINGS = {
    "REDIS_URL": "redis://127.0.0.1:1",
    "NATS_URL": "nats://127.0.0.1:1",
    "STORAGE_ENDPOINT": "http://127.0.0.1:1",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "secret",
    "K_SINK": "http://127.0.0.1:1",
    "API_KEYS": "off",
}


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in an interpreter of its own, with no other variables than these."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


SERVE = """
    import json, sys, threading
    reached = []
    watched = ("socket.connect", "socket.bind", "socket.getaddrinfo")
    sys.addaudithook(lambda name, arguments: reached.append(name) if name in watched else None)
    import functions_framework
    app = functions_framework.create_app(sys.argv[1], sys.argv[2])
    print(json.dumps([type(app).__name__, reached, threading.active_count()]))
"""
"""Load the function as `python -m functions_framework` does in gunicorn's master, before it forks."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_is_loaded_to_be_served_connects_to_nothing_and_starts_no_thread(function: str) -> None:
    done = run(SERVE, function, f"functions/{function}/main.py", **SETTINGS)
    assert done.returncode == 0, done.stderr
    server = "Starlette" if function in {"ingest", "status"} else "Flask"
    assert json.loads(done.stdout.splitlines()[-1]) == [server, [], 1]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_missing_setting_stops_a_function_at_its_start_and_is_named(function: str) -> None:
    done = run(SERVE, function, f"functions/{function}/main.py")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == f"darkroom.errors.SettingsError: not set: {NEEDS[function]}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_setting_stops_a_function_at_its_start_and_is_named(function: str) -> None:
    done = run(SERVE, function, f"functions/{function}/main.py", **SETTINGS, JOB_TIMEOUT="soon")
    assert done.returncode != 0
    assert "SettingsError: JOB_TIMEOUT" in done.stderr.splitlines()[-1]


def test_a_wrong_setting_of_telemetry_stops_a_function_too() -> None:
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "zipkin"}
    done = run(SERVE, "resize", "functions/resize/main.py", **SETTINGS, **telemetry)
    assert "SettingsError" in done.stderr
    assert "OTEL_TRACES_EXPORTER" in done.stderr


IMPORT_ALL = """
    import importlib, json, pathlib
    files = sorted(pathlib.Path("functions").rglob("*.py"))
    # The entry points of the functions that are not decorated: they are the one call that serves.
    serving = {f"functions/{name}/main.py" for name in ("ingest", "status", "recovery", "notify")}
    names = [".".join(file.with_suffix("").parts) for file in files if str(file) not in serving]
    for name in names:
        importlib.import_module(name)
    print(json.dumps(names))
"""


def test_a_functions_modules_can_be_imported_without_an_environment() -> None:
    done = run(IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert {"functions.ingest.app", "functions.resize.main"} <= set(json.loads(done.stdout))


def test_a_decorated_function_that_is_imported_is_built_when_somebody_asks_for_it() -> None:
    pipeline, picture = MemoryPipeline("pixels"), make_photograph(64, 48)
    resized = pipeline.accept({"width": 32}, picture=picture)
    cropped = pipeline.accept({"x": 1, "y": 2, "width": 10, "height": 8}, picture=picture, type="crop")

    assert pipeline.deliver(resize, resized).reply_type == pipeline.deliver(crop, cropped).reply_type == JOB_COMPLETED

    limits = pipeline.resources.settings.limits
    sizes = [probe(pipeline.stored_result(job_id), limits) for job_id in (resized, cropped)]
    assert [(facts.width, facts.height) for facts in sizes] == [(32, 24), (10, 8)]


PLACED, PAID = "shop.order.placed", "shop.order.paid"
SHOP = """
    from cloudevents.http import CloudEvent
    from darkroom.serving import on_event

    @on_event("shop.order.placed")
    def confirm(event: CloudEvent) -> CloudEvent | None:
        return None

    @on_event("shop.order.paid")
    def ship(event: CloudEvent) -> CloudEvent | None:
        return None
"""
SERVE_AND_SHOW = """
    import json, sys
    import functions_framework
    before = set(sys.modules)
    app = functions_framework.create_app(sys.argv[1], sys.argv[2])
    module = sys.modules["main"]
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop"}
    answers = {
        type: app.test_client().post("/", headers={**headers, "ce-type": type}).status_code
        for type in ("shop.order.placed", "shop.order.paid")
    }
    types = {name: type(getattr(module, name)).__name__ for name in ("confirm", "ship")}
    print(json.dumps([types, answers, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture
def shop(tmp_path: Path) -> str:
    file = tmp_path / "main.py"
    file.write_text(textwrap.dedent(SHOP))
    return str(file)


@pytest.mark.parametrize(
    ("target", "types", "answers"),
    [
        (
            "confirm",
            {"confirm": "function", "ship": "EventHandler"},
            {"shop.order.placed": 204, "shop.order.paid": 500},
        ),
        ("ship", {"confirm": "EventHandler", "ship": "function"}, {"shop.order.placed": 500, "shop.order.paid": 204}),
    ],
)
def test_of_several_functions_in_a_module_the_one_that_is_asked_for_is_served(
    shop: str, target: str, types: dict[str, str], answers: dict[str, int]
) -> None:
    done = run(SERVE_AND_SHOW, target, shop)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])[:2] == [types, answers]


def test_a_function_of_anybodys_needs_no_setting_and_imports_nothing_of_the_pipeline(shop: str) -> None:
    ours = {"REDIS_URL": "", "RATE_LIMIT": "whatever", "MAX_RETRIES": "many", "API_KEYS": "mine"}
    done = run(SERVE_AND_SHOW, "confirm", shop, **ours)
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout.splitlines()[-1])[2]
    assert "darkroom.serving.event_handler" in imported
    roots = {"pydantic", "redis", "obstore", "botocore", "pyvips", "nats", "opentelemetry", "httpx"}
    assert not roots & {name.partition(".")[0] for name in imported}
    parts = ("darkroom.contract", "darkroom.adapters", "darkroom.imaging", "darkroom.serving.settings")
    assert not [name for name in imported if name.startswith(parts)]


@pytest.mark.parametrize("level", ["DEBUG", "warning", ""])
def test_other_projects_may_write_their_log_level_as_they_like(shop: str, level: str) -> None:
    done = run(SERVE_AND_SHOW, "confirm", shop, LOG_LEVEL=level)
    assert done.returncode == 0, done.stderr


def test_a_log_level_that_is_none_is_named(shop: str) -> None:
    done = run(SERVE_AND_SHOW, "confirm", shop, LOG_LEVEL="loud")
    assert "SettingsError: LOG_LEVEL: must be debug, info, warning, error, was 'loud'" in done.stderr
