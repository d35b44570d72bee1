"""A plain Celery worker that makes five renditions in one task: boto3, libvips' thumbnail, boto3.

What a team writes that has Celery already. Run as `celery -A benchmarks.measure.renditions_celery worker`; its settings
are in the environment.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3
import pyvips
from celery import Celery
from redis import Redis

from benchmarks.measure.rendition_engines import thumbnails

TASK = "renditions.make"
DONE_CHANNEL = "benchmark:done"

app = Celery("renditions", broker=os.environ.get("PEER_REDIS", "redis://127.0.0.1:6379/1"))
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)


@cache
def _storage() -> Any:
    return boto3.client(
        "s3",
        endpoint_url=os.environ["PEER_S3"],
        aws_access_key_id=os.environ["PEER_S3_KEY"],
        aws_secret_access_key=os.environ["PEER_S3_SECRET"],
        region_name="us-east-1",
    )


@cache
def _redis() -> Redis:
    return Redis.from_url(os.environ["PEER_REDIS"])


@app.task(name=TASK)  # type: ignore[untyped-decorator]
def make(bucket: str, key: str, job: str) -> None:
    pyvips.concurrency_set(1)
    body = _storage().get_object(Bucket=bucket, Key=key)["Body"].read()
    for name, rendition in thumbnails()(body).items():
        _storage().put_object(Bucket=bucket, Key=f"peers/{job}/{name}.jpg", Body=rendition, ContentType="image/jpeg")
    _redis().publish(DONE_CHANNEL, job)
