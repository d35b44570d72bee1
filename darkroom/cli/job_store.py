"""`darkroom up --job-store postgres`: job records in PostgreSQL, without Redis. And opens those that there are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import click

from darkroom.adapters.jobs.moving.store import MovingJobStore
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.cli.runtime_file import runtime_addresses, runtime_redis
from darkroom.manifests.project import Project, ProjectServer

JOB_STORES = ("redis", "postgres")
_VARIABLES = {"POSTGRES_URL": "{url}"}
OpenJobStore: TypeAlias = RedisJobStore | PostgresJobStore | MovingJobStore


@dataclass(frozen=True, kw_only=True)
class JobStoreChoice:
    project: Project
    """With the server of its job store, and without the other."""
    settings: Mapping[str, str]


def choose_job_store(
    project: Project,
    name: str | None,
    *,
    redis_url: str | None,
    postgres_url: str | None,
    move_from: str | None = None,
) -> JobStoreChoice:
    """Return what the choice makes of the project's servers. Raises click.UsageError for a contradiction."""
    if move_from is not None and name != "postgres" and postgres_url is None:
        raise click.UsageError(f"--move-from {move_from} needs the store that jobs move to: --job-store postgres")
    if name == "redis" and postgres_url is not None:
        raise click.UsageError("--postgres names a PostgreSQL server, but --job-store is redis; choose one of them")
    if name != "postgres" and postgres_url is None:
        return JobStoreChoice(project=project, settings={})
    if redis_url is not None and move_from is None:
        raise click.UsageError("--redis names a Redis server, but the job store is postgres; choose one of them")
    redis = project.resources.redis
    resources = project.resources.model_copy(
        update={
            "redis": redis if move_from is not None else None,
            "postgres": project.resources.postgres or ProjectServer(env=_VARIABLES),
        }
    )
    if move_from is not None:
        return JobStoreChoice(
            project=replace(project, resources=resources),
            settings={"JOB_STORE": "postgres", "JOB_STORE_FROM": move_from},
        )
    without_redis = dict.fromkeys(redis.env if redis is not None else (), "")
    return JobStoreChoice(
        project=replace(project, resources=resources), settings={**without_redis, "JOB_STORE": "postgres"}
    )


def open_job_store(redis_url: str | None, data: Path) -> OpenJobStore:
    """Open the job records: at this Redis, else where POSTGRES_URL says, else those of the running `darkroom up`. Both,
    while jobs are moved.

    Raises click.ClickException if there are none.
    """
    postgres_url = os.environ.get("POSTGRES_URL") or None
    if redis_url is not None:
        is_moving = os.environ.get("JOB_STORE_FROM") == "redis" and postgres_url is not None
        return _open(redis_url, postgres_url if is_moving else None)
    if postgres_url is not None:
        return _open(None, postgres_url)
    addresses = runtime_addresses(data)
    return _open(runtime_redis(data) if addresses.postgres is None else addresses.redis, addresses.postgres)


def _open(redis_url: str | None, postgres_url: str | None) -> OpenJobStore:
    if postgres_url is None:
        return RedisJobStore(redis_url or "")
    if redis_url is None:
        return PostgresJobStore(postgres_url)
    return MovingJobStore(new=PostgresJobStore(postgres_url), old=RedisJobStore(redis_url))
