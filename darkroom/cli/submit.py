"""`darkroom submit`: submits a picture, follows its job, and saves the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from darkroom.cli.api import Api
from darkroom.cli.deadline import deadline
from darkroom.cli.extensions import format_of, with_format_of
from darkroom.cli.folders import make_folder, require_writable_file
from darkroom.cli.job import api_of, url_option
from darkroom.cli.renditions import tell_and_save_renditions
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import printable, progress, tell, write, write_json
from darkroom.contract.job_types import JOB_TYPES, NAMES, job_type_named
from darkroom.contract.parameters.renditions import RenditionsParameters

STDOUT = Path("-")
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
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.argument("job_type", metavar="|".join(NAMES), type=click.Choice(NAMES))
@_parameter_options
@click.option(
    "--preset",
    metavar="NAME",
    help="Named parameters in the place of the others, which override them; renditions: names, separated by commas.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Where to save the result; - is standard output. Its extension chooses the format, unless --format is given. "
    "Renditions: a folder.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, 3600),
    default=120,
    show_default=True,
    help="Seconds until the command gives up, whatever it waits for. An accepted job continues.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the finished job as JSON.")
@url_option
@data_option
def command(
    file: Path,
    job_type: str,
    preset: str | None,
    out: Path | None,
    timeout_s: float,
    as_json: bool,
    url: str | None,
    data: Path,
    **fields: str | None,
) -> None:
    """Have a job done on the picture FILE, and save the result.

    \b
      darkroom submit picture.jpg resize --width 400 -o small.jpg
      darkroom submit picture.jpg resize --width 300 --height 300 --fit cover --format webp -o square.webp
      darkroom submit picture.jpg crop --x 100 --y 50 --width 400 --height 300 -o part.jpg
      darkroom submit picture.jpg renditions --preset thumb,hero -o pictures/
    """
    has_several = job_type_named(job_type).parameters is RenditionsParameters
    asked = {**fields, "preset": preset}
    parameters = {name: value for name, value in asked.items() if value is not None}
    if out is not None and has_several:
        make_folder(out, "-o")
    elif out is not None:
        if out != STDOUT:
            require_writable_file(out, "-o")
        parameters = with_format_of(out, parameters, source=file)
    api = api_of(url, data)
    started = time.monotonic()
    with deadline(timeout_s, f"the picture was not accepted within {timeout_s:g} s; nothing is known of a job"):
        job_id = api.submit(file, job_type, parameters)
    tell("accepted as job ", (job_id, "bold"))
    left_s = max(0.001, timeout_s - (time.monotonic() - started))
    late = f"job {job_id} is not done after {timeout_s:g} s; it continues, and `darkroom job {job_id}` shows it"
    with deadline(left_s, late):
        try:
            with progress(f"{job_type} is in progress"):
                job = api.follow(job_id, timeout_s=left_s + 60)
        except KeyboardInterrupt:
            tell(f"job {job_id} continues; `darkroom job {job_id}` shows it")
            raise
        if job["status"] == "failed":
            if has_several:
                tell_and_save_renditions(api, job, out, time.monotonic() - started, print_urls=False)
            raise click.ClickException(f"{job['error']['code']}: {printable(job['error']['message'])}")
        if has_several:
            tell_and_save_renditions(api, job, out, time.monotonic() - started, print_urls=not as_json)
        else:
            _tell_summary(job, time.monotonic() - started)
            _save(api, job, out, print_url=not as_json)
    if as_json:
        write_json(job)


def _tell_summary(job: dict[str, Any], took_s: float) -> None:
    result, steps = job["result"], job["timings_ms"]
    shown = ", ".join(f"{step} {duration} ms" for step, duration in steps.items())
    size = f"{result['width']}x{result['height']}"
    tell(f"completed in {took_s:.2f} s ({shown}): {size} {result['content_type']}, {result['bytes']:,} bytes")


def _save(api: Api, job: dict[str, Any], out: Path | None, *, print_url: bool) -> None:
    if out is None:
        if print_url:
            write(job["result"]["url"])
        return
    picture = api.download(job["result"]["url"])
    if out == STDOUT:
        sys.stdout.buffer.write(picture)
        return
    out.write_bytes(picture)
    tell(f"saved to {out}")
    held = job["result"]["content_type"]
    if format_of(out) not in {None, held.removeprefix("image/")}:
        tell((f"{out} holds {held}, whatever its name says", "yellow"))
