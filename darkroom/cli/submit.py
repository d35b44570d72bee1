"""`darkroom submit`: submits a picture, follows its job, and saves the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from darkroom.cli.api import Api
from darkroom.cli.job import api_of, url_option
from darkroom.cli.runtime_file import data_option
from darkroom.contract.job_types import JOB_TYPES, NAMES

_FIELDS = list(dict.fromkeys(name for job_type in JOB_TYPES for name in job_type.parameters.model_fields))
_KINDS = "\n".join(f"  {job_type.name:<10} {job_type.summary}" for job_type in JOB_TYPES)


def _parameter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option per parameter of any type of job. The API validates the values."""
    for name in reversed(_FIELDS):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, metavar="VALUE", help=_parameter_help(name))(command)
    return command


def _parameter_help(name: str) -> str:
    """Return the descriptions of a parameter, with the types of jobs that have it where not all do."""
    takers: dict[str, list[str]] = {}
    for job_type in JOB_TYPES:
        field = job_type.parameters.model_fields.get(name)
        if field is not None:
            takers.setdefault(field.description or "", []).append(job_type.name)
    if list(map(len, takers.values())) == [len(JOB_TYPES)]:
        return next(iter(takers))
    return " ".join(f"{', '.join(names)}: {description}" for description, names in takers.items())


@click.command("submit", epilog=f"\b\nKinds of jobs:\n{_KINDS}")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("job_type", metavar="|".join(NAMES), type=click.Choice(NAMES))
@_parameter_options
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to save the result.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(1, 3600), default=120, show_default=True, help="Seconds.")
@url_option
@data_option
def command(
    file: Path, job_type: str, out: Path | None, timeout_s: float, url: str | None, data: Path, **fields: str | None
) -> None:
    """Have a job done on the picture FILE, and save the result.

    \b
      darkroom submit picture.jpg resize --width 400 -o small.jpg
      darkroom submit picture.jpg resize --width 300 --height 300 --fit cover --format webp -o square.webp
      darkroom submit picture.jpg crop --x 100 --y 50 --width 400 --height 300 -o part.jpg
    """
    api, console = api_of(url, data), Console(stderr=True)
    parameters = {name: value for name, value in fields.items() if value is not None}
    started = time.monotonic()
    job_id = api.submit(file, job_type, parameters)
    console.print(f"accepted as job [bold]{job_id}[/]")
    with console.status(f"{job_type} is in progress"):
        job = api.follow(job_id, timeout_s=timeout_s)
    if job["status"] == "failed":
        raise click.ClickException(f"{job['error']['code']}: {job['error']['message']}")
    _print_summary(console, job, time.monotonic() - started)
    _save(api, job, out, console)


def _print_summary(console: Console, job: dict[str, Any], took_s: float) -> None:
    result, steps = job["result"], job["timings_ms"]
    shown = ", ".join(f"{step} {duration} ms" for step, duration in steps.items())
    size = f"{result['width']}x{result['height']}"
    console.print(f"completed in {took_s:.2f} s ({shown}): {size} {result['content_type']}, {result['bytes']:,} bytes")


def _save(api: Api, job: dict[str, Any], out: Path | None, console: Console) -> None:
    if out is None:
        click.echo(job["result"]["url"])
        return
    out.write_bytes(api.download(job["result"]["url"]))
    console.print(f"saved to {out}")
