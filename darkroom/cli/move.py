"""`darkroom jobs move`: moves all jobs from Redis to PostgreSQL while the pipeline runs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from darkroom.adapters.jobs.moving.mover import Delivered, Mover
from darkroom.adapters.jobs.moving.source import RedisSource
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.cli.backends import usable_url
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import tell, write, write_json
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.durations import parse_go

_PAUSE_S = 1.0
_ALL = 100_000
"""Jobs on their way: more than movers that died have left."""
_TOLD_EVERY_S = 5.0
_ANSWER_TIMEOUT_S = 30.0
"""A batch waits for whoever has one of its jobs at that moment. Nobody waits for the mover."""


@click.command("move")
@click.option("--from", "source", type=click.Choice(("redis",)), required=True, help="The store that jobs leave.")
@click.option("--to", "target", type=click.Choice(("postgres",)), required=True, help="The store that they move to.")
@click.option("--redis", "redis_url", envvar="REDIS_URL", help="Redis with the job records (redis://...).")
@click.option("--postgres", "postgres_url", envvar="POSTGRES_URL", help="The PostgreSQL server (postgresql://...).")
@click.option(
    "--stopped",
    is_flag=True,
    help="No function runs. Without it, functions must accept jobs into PostgreSQL before any is moved.",
)
@click.option(
    "--within",
    default="30m",
    show_default=True,
    help="How long to wait for jobs that are under way in Redis, once all others have moved.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def command(
    source: str,
    target: str,
    redis_url: str | None,
    postgres_url: str | None,
    stopped: bool,
    within: str,
    as_json: bool,
    data: Path,
) -> None:
    """Move all jobs from Redis to PostgreSQL, with their idempotency keys, owed webhooks and counts, while the pipeline
    runs.

    First have every function run with JOB_STORE=postgres and JOB_STORE_FROM=redis, ingest last: from then on new jobs
    go to PostgreSQL, and a job that is still in Redis is brought when it is needed. Then run this. It may be killed and
    run again at any time, and by several at once. When it has ended, unset JOB_STORE_FROM.

    \b
      darkroom up --job-store postgres --move-from redis
      darkroom jobs move --from redis --to postgres
    """
    try:
        within_s = parse_go(within)
    except ValueError as exc:
        raise click.UsageError(f"--within: {exc}") from exc
    with _open_mover(redis_url, postgres_url, data) as mover:
        try:
            _require_readiness(mover, stopped=stopped)
            total = _move_all(mover, within_s)
        except DependencyUnavailableError as exc:
            raise click.ClickException(f"{exc.detail}. What was moved stays moved; run it again.") from exc
    if as_json:
        write_json({"moved": total.moved, "already_there": total.already_there, "unreadable": total.unreadable})
    else:
        write(f"moved {total.moved} jobs; nothing is left in Redis. Now unset JOB_STORE_FROM.")
    if total.unreadable:
        raise click.ClickException(
            f"{total.unreadable} records are of another version, or damaged; they stay in Redis as darkroom:moving:*"
        )


@contextmanager
def _open_mover(redis_url: str | None, postgres_url: str | None, data: Path) -> Iterator[Mover]:
    if redis_url is None or postgres_url is None:
        addresses = runtime_addresses(data)
        redis_url, postgres_url = redis_url or addresses.redis, postgres_url or addresses.postgres
    if redis_url is None or postgres_url is None:
        missing = "--redis" if redis_url is None else "--postgres"
        raise click.UsageError(f"what runs in {data} has only one job store; give the other one with {missing}")
    usable_url("--redis", redis_url)
    usable_url("--postgres", postgres_url)
    window = os.environ.get("BROKER_WINDOW", "")
    target = PostgresJobStore(
        postgres_url,
        answer_timeout_s=_ANSWER_TIMEOUT_S,
        # Whoever is in the window of Redis stays in that of PostgreSQL.
        broker_window=int(window) if window.isdecimal() else 1,
    )
    source = RedisJobStore(redis_url, answer_timeout_s=_ANSWER_TIMEOUT_S)
    try:
        yield Mover(RedisSource(source), target)
    finally:
        source.close()
        target.close()


def _require_readiness(mover: Mover, *, stopped: bool) -> None:
    mover.check()
    if stopped:
        mover.source.known([])
    elif not mover.source.remaining().other_store_accepts:
        raise click.ClickException(
            "no function has accepted a job into PostgreSQL yet, so jobs would disappear from functions that know "
            "Redis only. Have them run with JOB_STORE=postgres and JOB_STORE_FROM=redis first; or stop them all, and "
            "use --stopped"
        )


def _move_all(mover: Mover, within_s: float) -> Delivered:
    """Pass over Redis until nothing is left. Raises click.ClickException when something stays."""
    total, ends_at, told_at = Delivered(), math.inf, time.monotonic()
    mover.prepare()
    while True:
        passed = mover.finish(limit=_ALL)
        passed.add(mover.move(mover.source.all_jobs()))
        total.moved += passed.moved
        total.already_there += passed.already_there
        total.unreadable = passed.unreadable
        mover.move_statistics()
        left = mover.source.remaining()
        if not passed.moved and not passed.held and not left.erasures and left.on_their_way <= passed.unreadable:
            return total
        if time.monotonic() - told_at > _TOLD_EVERY_S:
            tell(f"moved {total.moved}; {passed.held} are under way in Redis, {left.erasures} erasures are not done")
            told_at = time.monotonic()
        if passed.moved:
            continue
        ends_at = min(ends_at, time.monotonic() + within_s)
        if time.monotonic() > ends_at:
            raise click.ClickException(
                f"{passed.held} jobs are still under way in Redis, and {left.erasures} erasures are not done; are "
                "resize, crop, renditions and recovery running? Run it again"
            )
        time.sleep(_PAUSE_S)
