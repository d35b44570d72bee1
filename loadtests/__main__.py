"""`python -m loadtests`: starts a Darkroom on this machine, or uses that of --host; runs locust with the shape; writes
the report. With --compare it runs nothing, and lays two recorded runs side by side.

Exits with 0 when the ledger is clean and the objective was met, with 1 when not, and reports which; with 2 when the run
could not be evaluated.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from loadtests import compare_page, recording
from loadtests.compare import compared
from loadtests.errors import LoadTestError
from loadtests.locust_process import Target, interrupted_by_termination, local_runtime, run_locust
from loadtests.objective import Objective
from loadtests.options import DEFAULT_FOLDER, SHAPES_HELP
from loadtests.shapes import SHAPES

_WIDTH = max(map(len, SHAPES))
_SHAPES_HELP = "\n".join(f"  {name:<{_WIDTH}} {meaning}" for name, meaning in SHAPES_HELP.items())
_POSITIVE = click.FloatRange(0, min_open=True)


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
  python -m loadtests --shape ramp --workers 2
  DARKROOM_API_KEY=drk_... python -m loadtests --shape ramp --host https://pictures.example.com
  python -m loadtests --compare load-report/before.html load-report/burst.html
"""
)
@click.option("--shape", type=click.Choice(list(SHAPES)), default="steady", show_default=True, help="Who comes when.")
@click.option("--scale", type=_POSITIVE, default=1.0, show_default=True, help="Multiplies every rate of the shape.")
@click.option("--stretch", type=_POSITIVE, default=1.0, show_default=True, help="Multiplies how long each stage lasts.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of arrivals that are drawn: those of heavy-tailed."
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
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that send the load; one ledger."
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="A B",
    help="Run nothing: compare two runs, by their reports or recordings. [writes load-report/compare.html]",
)
def main(
    shape: str,
    scale: float,
    stretch: float,
    seed: int,
    host: str | None,
    broker_host: str | None,
    metrics_url: str | None,
    objective: str,
    settle: float,
    report: Path | None,
    data: Path | None,
    max_instances: int | None,
    workers: int,
    compare: tuple[Path, Path] | None,
) -> None:
    if compare is not None:
        _compare(*compare, page=report or DEFAULT_FOLDER / "compare.html")
        return
    if find_spec("locust") is None:
        raise click.ClickException(
            "locust is not installed: run `make load`, or in a checkout `pip install -e '.[load]'`"
        )
    try:
        wanted = str(Objective.parse(objective))
    except LoadTestError as exc:
        raise click.UsageError(str(exc)) from exc
    options = ["--shape", shape, "--scale", str(scale), "--stretch", str(stretch), "--seed", str(seed)]
    options += ["--objective", wanted, "--settle", str(settle)]
    options += ["--report", str(report)] if report else []
    with interrupted_by_termination(), ExitStack() as cleanups:
        if host is not None:
            target = Target(host=host, broker_url=broker_host, metrics_url=metrics_url)
        else:
            folder = data or Path(cleanups.enter_context(TemporaryDirectory(prefix="darkroom-load-")))
            target = cleanups.enter_context(local_runtime(folder, max_instances))
        exit_code = run_locust(target, options, workers=workers)
    sys.exit(exit_code)


def _compare(first: Path, second: Path, *, page: Path) -> None:
    try:
        comparison = compared(recording.read(first), recording.read(second))
    except LoadTestError as exc:
        raise click.ClickException(str(exc)) from exc
    compare_page.write(comparison, page)
    click.echo("\n".join([*compare_page.lines(comparison), f"report      {page}"]))


if __name__ == "__main__":
    main()
