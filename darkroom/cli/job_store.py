"""`darkroom up --job-store postgres`: job records in PostgreSQL, without Redis. And opens those that there are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.cli.runtime_file import runtime_addresses, runtime_redis
from darkroom.manifests.project import Project, ProjectServer

JOB_STORES = ("redis", "postgres")
_VARIABLES = {"POSTGRES_URL": "{url}"}


@dataclass(frozen=True, kw_only=True)
class JobStoreChoice:
    project: Project
    """With the server of its job store, and without the other."""
    settings: Mapping[str, str]


def choose_job_store(
    project: Project, name: str | None, *, redis_url: str | None, postgres_url: str | None
) -> JobStoreChoice:
    """Return what the choice makes of the project's servers. Raises click.UsageError for a contradiction."""
    if name == "redis" and postgres_url is not None:
        raise click.UsageError("--postgres names a PostgreSQL server, but --job-store is redis; choose one of them")
    if name != "postgres" and postgres_url is None:
        return JobStoreChoice(project=project, settings={})
    if redis_url is not None:
        raise click.UsageError("--redis names a Redis server, but the job store is postgres; choose one of them")
    redis = project.resources.redis
    resources = project.resources.model_copy(
        update={"redis": None, "postgres": project.resources.postgres or ProjectServer(env=_VARIABLES)}
    )
    without_redis = dict.fromkeys(redis.env if redis is not None else (), "")
    return JobStoreChoice(
        project=replace(project, resources=resources), settings={**without_redis, "JOB_STORE": "postgres"}
    )


def open_job_store(redis_url: str | None, data: Path) -> RedisJobStore | PostgresJobStore:
    """Open the job records: at this Redis, else where POSTGRES_URL says, else those of the running `darkroom up`.

    Raises click.ClickException if there are none.
    """
    if redis_url is not None:
        return RedisJobStore(redis_url)
    postgres_url = os.environ.get("POSTGRES_URL") or None
    if postgres_url is None:
        postgres_url = runtime_addresses(data).postgres
    return PostgresJobStore(postgres_url) if postgres_url is not None else RedisJobStore(runtime_redis(data))
