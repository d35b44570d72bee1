"""`darkroom job`: shows one job from the API, and its attempts from the job record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console

from darkroom.cli.api import Api
from darkroom.cli.runtime_file import data_option, runtime_addresses, runtime_redis
from darkroom.cli.timeline import timeline
from darkroom.contract.errors import DependencyUnavailableError

url_option = click.option(
    "--url", envvar="DARKROOM_URL", help="Address of the API.  [default: that of the running `darkroom up`]"
)


def api_of(url: str | None, data: Path) -> Api:
    return Api(url or runtime_addresses(data).api)


@click.command("job")
@click.argument("job_id")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=0, help="Seconds to wait for the job's end.")
@click.option("--redis", "redis_url", envvar="REDIS_URL", help="Redis with the job records, for the timeline.")
@url_option
@data_option
def command(job_id: str, wait_s: float, redis_url: str | None, url: str | None, data: Path) -> None:
    """Show the job JOB_ID: its status, its result with a signed URL or its error, and how long each step took.

    If the job records can be read, as for the running `darkroom up`, the timeline shows each attempt: which instance
    made it, how long it had waited, how long it took, and its outcome.
    """
    api = api_of(url, data)
    shown = api.follow(job_id, timeout_s=wait_s) if wait_s else api.job(job_id)
    if redis_url is not None or url is None:
        shown |= _record_fields(redis_url or runtime_redis(data), UUID(shown["job_id"]))
    Console().print_json(json.dumps(shown))


def _record_fields(redis_url: str, job_id: UUID) -> dict[str, Any]:
    from darkroom.adapters.jobs.redis import RedisJobStore

    store = RedisJobStore(redis_url)
    try:
        record = store.get(job_id)
    except DependencyUnavailableError as exc:
        raise click.ClickException(f"{exc.code}: {exc.detail}") from exc
    finally:
        store.close()
    if record is None:
        return {}
    return {"emissions": record.emissions, "redrives": record.redrives, "timeline": timeline(record)}
