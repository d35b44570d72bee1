"""A running `darkroom up` whose every part can be hurt: proxies before Redis and S3, a fragile resize, short timeouts.

It differs from a user's only in a copy of the manifests.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import psutil
from redis import Redis

from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.contract.jobs import JobRecord
from tests.faults.proxy import Proxy
from tests.scripted_http import Reply, scripted_server
from tests.stack import ROOT, RunningStack, eventually

BUCKET = "processed-images"
_FUNCTIONS_WITH_PROXIES = ("ingest", "resize", "crop", "renditions", "renditions-background", "recovery")
_LISTENER = """---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: listener
  namespace: darkroom
spec:
  broker: darkroom
  filters:
    - exact:
        type: dev.darkroom.job.completed
  subscriber:
    uri: {url}
"""
"""Of somebody who wants to know of each end; without one nothing would hold a reply, and none could be lost."""
_REDIS_FROM_SECRET = re.compile(
    r" *- name: REDIS_URL\n *valueFrom:\n *secretKeyRef:\n *name: \S+\n *key: REDIS_URL\n",
)


@dataclass(frozen=True, kw_only=True)
class StoreLoss:
    at: float
    """By the monotonic clock."""
    erased: frozenset[str]
    """The jobs that recovery had erased by then."""


@dataclass
class FaultyStack:
    stack: RunningStack
    redis: Proxy
    s3: Proxy
    folder: Path
    losses: list[StoreLoss] = field(default_factory=list, kw_only=True)
    """When the whole job store was lost."""

    # --- the parts, reached past the proxies -----------------------------------------------------------------------

    @property
    def store(self) -> RedisJobStore:
        return RedisJobStore(self.stack.addresses["redis"])

    @contextmanager
    def redis_client(self) -> Iterator[Redis]:
        client: Redis = Redis.from_url(self.stack.addresses["redis"], decode_responses=True)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def letters(self) -> Iterator[JetStreamDeadLetters]:
        letters = JetStreamDeadLetters(self.stack.addresses["nats"])
        try:
            yield letters
        finally:
            letters.close()

    @contextmanager
    def storage(self) -> Iterator[S3Storage]:
        keys = self._s3_keys()
        storage = S3Storage(
            endpoint=self.stack.addresses["s3"],
            public_endpoint=None,
            access_key=keys["access_key"],
            secret_key=keys["secret_key"],
            bucket=BUCKET,
        )
        with closing(storage):
            yield storage

    @contextmanager
    def s3_client(self) -> Iterator[Any]:
        """boto3's client, for what the adapter has no call for; the bucket is BUCKET."""
        keys = self._s3_keys()
        client = boto3.client(
            "s3",
            endpoint_url=self.stack.addresses["s3"],
            aws_access_key_id=keys["access_key"],
            aws_secret_access_key=keys["secret_key"],
            region_name="us-east-1",
        )
        with closing(client):
            yield client

    def _s3_keys(self) -> dict[str, str]:
        keys: dict[str, str] = json.loads((self.stack.data / "s3-credentials.json").read_text())
        return keys

    def stored(self, prefix: str) -> list[str]:
        with self.s3_client() as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
            return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def record(self, job_id: str) -> JobRecord | None:
        from uuid import UUID

        store = self.store
        try:
            return store.get(UUID(job_id))
        finally:
            store.close()

    # --- who runs --------------------------------------------------------------------------------------------------

    def worker_pid(self, job_id: str) -> int | None:
        """The process that has the job at this moment."""
        record = self.record(job_id)
        if record is None or record.status != "processing" or record.worker is None:
            return None
        return int(record.worker.rsplit(":", 2)[1])

    def at_work(self, job_id: str, *, within_s: float = 30) -> int:
        return eventually(lambda: self.worker_pid(job_id), within_s=within_s, what=f"a worker has job {job_id}")

    def instances(self, service: str) -> list[psutil.Process]:
        """gunicorn's masters."""
        return [psutil.Process(pid) for pid in self.stack.function(service)["pids"] if psutil.pid_exists(pid)]

    def workers(self, service: str) -> list[psutil.Process]:
        return [child for master in self.instances(service) for child in master.children()]

    # --- what the fragile resize is told -----------------------------------------------------------------------------

    def slow(self, seconds: float) -> None:
        draft = self.folder / "slow_s.draft"
        draft.write_text(str(seconds))
        draft.replace(self.folder / "slow_s")

    @contextmanager
    def deadly(self) -> Iterator[None]:
        (self.folder / "deadly").touch()
        try:
            yield
        finally:
            (self.folder / "deadly").unlink()

    # --- what the functions said -------------------------------------------------------------------------------------

    def said(self, action: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines of the functions' logs with this action and these fields."""
        found = []
        for path in sorted((self.stack.data / "logs").glob("*.log*")):
            for line in path.read_bytes().splitlines():
                if action.encode() not in line or not line.startswith(b"{"):
                    continue
                document = json.loads(line)
                if document.get("action") == action and all(document.get(name) == fields[name] for name in fields):
                    found.append(document)
        return found


@contextmanager
def faulty_stack(
    folder: Path,
    *options: str,
    fragile: bool = True,
    job_timeout_s: int = 30,
    sweep_s: int = 15,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    changes: Sequence[tuple[str, str, str]] = (),
    has_redis: bool = True,
) -> Iterator[FaultyStack]:
    """Each change is a file below knative/base, a text that it has, and what takes its place."""
    stack = RunningStack(data=folder / "data", cwd=cwd, environment=environment or {})
    redis = Proxy(lambda: _address(stack.addresses["redis"]))
    s3 = Proxy(lambda: _address(stack.addresses["s3"]))
    orders = folder / "orders"
    orders.mkdir(parents=True)
    proxies = ({"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"} if has_redis else {}) | {
        "STORAGE_ENDPOINT": f"http://127.0.0.1:{s3.port}"
    }
    manifests = _manifests(folder, proxies, orders, fragile=fragile, job_timeout_s=job_timeout_s, sweep_s=sweep_s)
    for file, old, new in changes:
        edit(manifests / "knative/base" / file, old, new)
    stack.options = (
        "--manifests",
        str(manifests / "knative/base"),
        "--manifests",
        str(manifests / "nats-eventing"),
        *options,
    )
    faulty = FaultyStack(stack=stack, redis=redis, s3=s3, folder=orders)
    faulty.slow(1.0)
    with scripted_server(Reply(status=204)) as listener:
        with (manifests / "knative/base/triggers.yaml").open("a") as triggers:
            triggers.write(_LISTENER.format(url=listener.url))
        try:
            stack.start()
            eventually(lambda: _is_ready(stack), within_s=30, what="the front door is ready")
            yield faulty
        finally:
            stack.kill()
            redis.close()
            s3.close()


def _is_ready(stack: RunningStack) -> bool:
    return httpx.get(f"{stack.addresses['api']}/health/ready").status_code == 200


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def _manifests(
    folder: Path, proxies: Mapping[str, str], orders: Path, *, fragile: bool, job_timeout_s: int, sweep_s: int
) -> Path:
    copy = folder / "manifests"
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, copy / name)
    base = copy / "knative/base"
    variables = {**proxies, "FAULTS_FOLDER": str(orders)}
    proxied = "".join(
        f"            - name: {name}\n              value: {value}\n" for name, value in variables.items()
    )
    for name in _FUNCTIONS_WITH_PROXIES:
        file = base / f"{name}.yaml"
        [secret] = _REDIS_FROM_SECRET.findall(file.read_text())
        edit(file, secret, proxied)
    if fragile:
        edit(base / "resize.yaml", "value: functions/resize/main.py", "value: tests/faults/fragile_resize.py")
    edit(base / "settings.yaml", "JOB_TIMEOUT: 30s", f"JOB_TIMEOUT: {job_timeout_s}s")
    edit(base / "sweep.yaml", "*/15 * * * * *", f"*/{sweep_s} * * * * *")
    return copy


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))
