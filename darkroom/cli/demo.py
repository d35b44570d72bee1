"""`darkroom demo`: runs the main job from start to end, as an outside client would, on a temporary stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.cli.api import Api
from darkroom.cli.folders import make_folder
from darkroom.cli.status import fetch_status
from darkroom.cli.temporary_stack import temporary_stack
from darkroom.cli.terminal import progress, write, write_records
from darkroom.imaging.photograph import make_photograph
from darkroom.local.addresses import Addresses

DONE_WITHIN_S = 30.0
IDLE_WITHIN_S = 40.0
PICTURE_SIZE_PX = (4000, 3000)
WINDOW = "6s"
"""The shortest autoscaling window that Knative allows, so that scaling to zero can be watched."""

JOBS: dict[str, dict[str, int]] = {
    "resize": {"width": 1200, "height": 900},
    "crop": {"x": 1000, "y": 600, "width": 1600, "height": 1200},
}
EXPECTED_PX = {"resize": (1200, 900), "crop": (1600, 1200)}


class _DemoError(click.ClickException):
    """The demo did not go as it should."""


@dataclass(frozen=True, kw_only=True)
class _FinishedJob:
    job: dict[str, Any]
    accepted_ms: int
    cold_start_ms: int | None
    total_ms: int


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the pictures.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".darkroom/demo"),
    show_default=True,
    help="Folder for the servers' data and logs.",
)
@click.option("--keep-up", is_flag=True, help="Keep the stack running at the end, until Ctrl-C.")
def command(out: Path, data: Path, keep_up: bool) -> None:
    """Run the main job: functions that start from zero resize and crop a 12-megapixel picture.

    Starts NATS, Redis, S3 and the functions on free ports, posts the picture over plain HTTP, follows both jobs, saves
    their results, and waits until the functions have scaled back to zero.
    """
    make_folder(out, "--out")
    started = time.monotonic()
    with ExitStack() as stack:
        with progress("starting NATS, Redis, S3, the Broker and the functions"):
            addresses = stack.enter_context(temporary_stack(data, "--window", WINDOW))
        _expect_instances(addresses, 0)
        _write_step(1, f"the stack is up at {addresses.api}; resize and crop have 0 instances")
        picture = _make_picture(out)
        _write_step(3, "POST it twice, to functions that are not running yet")
        finished = {job_type: _run_job(addresses, picture, job_type, out) for job_type in JOBS}
        _write_timelines(finished)
        _write_step(4, "each function scaled 0 → 1; without work it scales back to 0")
        idle_s = _wait_for_zero(addresses)
        write(f"   resize and crop are at 0 instances again, {idle_s:.0f} s later")
        write(("done", "green"), f" in {time.monotonic() - started:.1f} s: {out}/resize.jpg, {out}/crop.jpg")
        if keep_up:
            write("press Ctrl-C to stop")
            _wait_for_interrupt()


def _write_step(number: int, text: str) -> None:
    write((f"{number}.", "bold"), f" {text}")


def _make_picture(out: Path) -> Path:
    picture = out / "original.jpg"
    width_px, height_px = PICTURE_SIZE_PX
    picture.write_bytes(make_photograph(width_px, height_px))
    megapixels = width_px * height_px / 1e6
    size_mb = picture.stat().st_size / 1e6
    _write_step(2, f"made a picture of {megapixels:g} megapixels, {size_mb:.1f} MB: {picture}")
    return picture


def _run_job(addresses: Addresses, picture: Path, job_type: str, out: Path) -> _FinishedJob:
    api = Api(addresses.api)
    last_event = _last_event(addresses)
    posted = time.monotonic()
    job_id = api.submit(picture, job_type, JOBS[job_type])
    accepted_ms = _since_ms(posted)
    job = api.follow(job_id, timeout_s=DONE_WITHIN_S)
    total_ms = _since_ms(posted)
    if job["status"] != "completed":
        raise _DemoError(f"{job_type} failed: {job['error']}")
    result = job["result"]
    if (result["width"], result["height"]) != EXPECTED_PX[job_type]:
        raise _DemoError(f"{job_type}: expected {EXPECTED_PX[job_type]}, got {result['width']}x{result['height']}")
    (out / f"{job_type}.jpg").write_bytes(api.download(result["url"]))
    cold_start_ms = _cold_start_ms(addresses, job_type, last_event)
    return _FinishedJob(job=job, accepted_ms=accepted_ms, cold_start_ms=cold_start_ms, total_ms=total_ms)


def _write_timelines(finished: dict[str, _FinishedJob]) -> None:
    rows: dict[str, Callable[[_FinishedJob], str]] = {
        "accepted (202)": lambda one: f"{one.accepted_ms} ms",
        "queued": lambda one: f"{one.job['timings_ms']['queued']} ms",
        "  incl. cold start": lambda one: "none" if one.cold_start_ms is None else f"{one.cold_start_ms} ms",
        "fetched": lambda one: f"{one.job['timings_ms']['fetch']} ms",
        "rendered": lambda one: f"{one.job['timings_ms']['render']} ms",
        "stored": lambda one: f"{one.job['timings_ms']['store']} ms",
        "POST to result": lambda one: f"{one.total_ms} ms",
        "result": lambda one: "{width}x{height}, {bytes:,} bytes".format(**one.job["result"]),
    }
    cells = [(label, *(cell(one) for one in finished.values())) for label, cell in rows.items()]
    write_records(("", *finished), cells)


def _cold_start_ms(addresses: Addresses, service: str, after: int) -> int | None:
    """Return the time from the start of the function's process until it was ready; None if it was running already."""
    for event in _events(addresses, after):
        if event["action"] == "instance.ready" and event["service"] == service:
            return round(float(event["ready_s"]) * 1000)
    return None


def _last_event(addresses: Addresses) -> int:
    return max((event["number"] for event in _events(addresses, 0)), default=0)


def _events(addresses: Addresses, after: int) -> list[dict[str, Any]]:
    # trust_env: a proxy would look for the runtime on its own machine.
    answer = httpx.get(f"{addresses.admin}/events", params={"since": after}, trust_env=False)
    events: list[dict[str, Any]] = answer.json()
    return events


def _expect_instances(addresses: Addresses, count: int) -> None:
    running = _instances(addresses)
    if set(running.values()) != {count}:
        raise _DemoError(f"expected {count} instances of resize and crop, found {running}")


def _instances(addresses: Addresses) -> dict[str, int]:
    functions = fetch_status(addresses.admin)["functions"]
    return {row["service"]: row["ready"] + row["starting"] for row in functions if row["service"] in JOBS}


def _wait_for_zero(addresses: Addresses) -> float:
    started = time.monotonic()
    while any(_instances(addresses).values()):
        if time.monotonic() - started > IDLE_WITHIN_S:
            raise _DemoError(f"still {_instances(addresses)} instances after {IDLE_WITHIN_S:g} s without work")
        time.sleep(0.2)
    return time.monotonic() - started


def _since_ms(moment: float) -> int:
    return round((time.monotonic() - moment) * 1000)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
