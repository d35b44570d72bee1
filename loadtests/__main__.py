"""`python -m loadtests`: starts a Darkroom on this machine, or uses that of --host; runs locust with the shape; writes
the report.

Exits with 0 when the ledger is clean and the objective was met, with 1 when not, and reports which; with 2 when the run
could not be evaluated.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click

from darkroom.cli.backends import BROKER_PATH
from darkroom.cli.temporary_stack import guarded_command, temporary_stack
from loadtests.errors import LoadTestError
from loadtests.objective import Objective
from loadtests.shapes import SHAPES
from loadtests.summary import NOT_EVALUATED

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_SHAPES_HELP = "\n".join(f"  {shape.name:<8} {shape.meaning} ({shape.seconds:g} s)" for shape in SHAPES.values())


@dataclass(frozen=True, kw_only=True)
class Target:
    """The Darkroom under load."""

    host: str
    broker_url: str | None = None
    admin_url: str | None = None
    metrics_url: str | None = None


@click.command(
    help=f"""Load a Darkroom, and report whether it lost anything and was fast enough.

Without --host, a `darkroom up` is started for the run, from zero, and stopped after it. Ctrl-C ends the load early;
what was accepted until then is still followed to its end (Ctrl-C again: it is not).

\b
Shapes:
{_SHAPES_HELP}

\b
  python -m loadtests --shape burst
  python -m loadtests --shape burst --scale 0.1
  python -m loadtests --shape soak --stretch 6
  DARKROOM_API_KEY=drk_... python -m loadtests --shape ramp --host https://pictures.example.com
"""
)
@click.option("--shape", type=click.Choice(list(SHAPES)), default="steady", show_default=True, help="Who comes when.")
@click.option(
    "--scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Multiplies every rate of the shape.",
)
@click.option(
    "--stretch",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Multiplies how long each stage lasts.",
)
@click.option("--host", help="Load this Darkroom (http://...) instead. Its API key is taken from DARKROOM_API_KEY.")
@click.option("--broker-host", help="With --host: the Broker's address with its path, for the events straight at it.")
@click.option("--metrics-url", help="With --host: where its metrics are served for Prometheus.")
@click.option("--objective", default=str(Objective()), show_default=True, help="What the run is held to.")
@click.option(
    "--settle", type=click.FloatRange(0), default=120.0, show_default=True, help="Seconds that every job has to end in."
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="[default: load-report/SHAPE.html]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the local runtime, to read its logs afterwards. [default: one that is removed]",
)
@click.option("--max-instances", type=click.IntRange(1), help="Of the local runtime. [default: that of `darkroom up`]")
def main(
    shape: str,
    scale: float,
    stretch: float,
    host: str | None,
    broker_host: str | None,
    metrics_url: str | None,
    objective: str,
    settle: float,
    report: Path | None,
    data: Path | None,
    max_instances: int | None,
) -> None:
    if find_spec("locust") is None:
        raise click.ClickException(
            "locust is not installed: run `make load`, or in a checkout `pip install -e '.[load]'`"
        )
    try:
        wanted = str(Objective.parse(objective))
    except LoadTestError as exc:
        raise click.UsageError(str(exc)) from exc
    options = ["--shape", shape, "--scale", str(scale), "--stretch", str(stretch)]
    options += ["--objective", wanted, "--settle", str(settle)]
    options += ["--report", str(report)] if report else []
    with _interrupted_by_termination(), ExitStack() as cleanups:
        if host is not None:
            target = Target(host=host, broker_url=broker_host, metrics_url=metrics_url)
        else:
            folder = data or Path(cleanups.enter_context(TemporaryDirectory(prefix="darkroom-load-")))
            target = cleanups.enter_context(_local_runtime(folder, max_instances))
        exit_code = _run_locust(target, options)
    sys.exit(exit_code)


@contextmanager
def _local_runtime(folder: Path, max_instances: int | None) -> Iterator[Target]:
    click.echo(f"starting a Darkroom in {folder}")
    options = [] if max_instances is None else ["--max-instances", str(max_instances)]
    with temporary_stack(folder, *options) as addresses:
        yield Target(host=addresses.api, broker_url=f"{addresses.broker}/{BROKER_PATH}", admin_url=addresses.admin)


def _run_locust(target: Target, options: list[str]) -> int:
    """Run locust and return its exit code. Locust dies with this process, however this one ends."""
    known = {"--broker-host": target.broker_url, "--admin-url": target.admin_url, "--metrics-url": target.metrics_url}
    where = [word for option, url in known.items() if url is not None for word in (option, url)]
    arguments = [
        "-f",
        str(_LOCUSTFILE),
        "--headless",
        "--only-summary",
        "--loglevel",
        "WARNING",
        "--host",
        target.host,
        *where,
        *options,
    ]
    root = _LOCUSTFILE.parent.parent
    process = subprocess.Popen(
        guarded_command("locust", *arguments),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "")},
        start_new_session=True,
    )
    try:
        return _exit_code_of(process)
    finally:
        process.kill()
        process.wait()


def _exit_code_of(process: subprocess.Popen[bytes]) -> int:
    try:
        return _code(process.wait())
    except KeyboardInterrupt:
        click.echo("no more visitors; what was accepted is followed to its end (Ctrl-C again to leave it)")
        process.send_signal(signal.SIGINT)
    try:
        return _code(process.wait())
    except KeyboardInterrupt:
        return NOT_EVALUATED


def _code(returned: int) -> int:
    """Return the exit code. That of a killed locust is the negative number of a signal."""
    return returned if returned >= 0 else NOT_EVALUATED


@contextmanager
def _interrupted_by_termination() -> Iterator[None]:
    """Make SIGTERM end the run as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
