"""`darkroom job`: one job, as the API shows it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from darkroom.cli.api import Api
from darkroom.cli.runtime_file import data_option, runtime_addresses

url_option = click.option(
    "--url", envvar="DARKROOM_URL", help="Address of the API; by default that of the running `darkroom up`."
)


def api_of(url: str | None, data: Path) -> Api:
    return Api(url or runtime_addresses(data).api)


@click.command("job")
@click.argument("job_id")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=0, help="Seconds to wait for the job's end.")
@url_option
@data_option
def command(job_id: str, wait_s: float, url: str | None, data: Path) -> None:
    """Show the job JOB_ID: its status, its result with a signed URL or its error, and how long each step took."""
    api = api_of(url, data)
    shown = api.follow(job_id, timeout_s=wait_s) if wait_s else api.job(job_id)
    Console().print_json(json.dumps(shown))
