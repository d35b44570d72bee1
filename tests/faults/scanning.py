"""Everything that a running stack keeps, read as a whole, to look for what should be gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import nats
import psycopg
from redis import Redis

from tests.faults.faulty_stack import BUCKET, FaultyStack

OF_SERVERS = {"s3.log"}
"""The storage's own log names each object that it deletes."""


@dataclass(frozen=True)
class Scan:
    """What is kept, as text by where it is kept."""

    places: dict[str, bytes]
    logs: dict[str, bytes]

    def naming(self, texts: Sequence[str]) -> list[str]:
        wanted = [text.encode() for text in texts]
        return [
            place
            for place, content in self.places.items()
            if any(text in content or text in place.encode() for text in wanted)
        ]

    def __str__(self) -> str:
        kinds = [place.partition(":")[0] for place in self.places]
        seen = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        return f"{seen}, {len(self.logs)} log files, {sum(map(len, self.places.values())):,} bytes"


def scan(faulty: FaultyStack) -> Scan:
    """Read storage with its versions and unfinished uploads, the job store, and every stream of NATS."""
    with faulty.s3_client() as s3:
        places = dict(_objects(s3))
    if faulty.stack.addresses.get("redis"):
        with faulty.redis_client() as redis:
            places |= dict(_keys(redis))
    if url := faulty.stack.addresses.get("postgres"):
        places |= dict(_rows(url))
    places |= asyncio.run(_messages(faulty.stack.addresses["nats"]))
    found = [faulty.stack.log, *(faulty.stack.data / "logs").glob("*.log*")]
    files = [path for path in found if path.name not in OF_SERVERS]
    logs = {path.name: path.read_bytes() for path in files}
    return Scan(places=places, logs=logs)


def _objects(s3: Any) -> Iterator[tuple[str, bytes]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for marker in page.get("DeleteMarkers", ()):
            yield f"delete marker:{marker['Key']} {marker['VersionId']}", b""
        for version in page.get("Versions", ()):
            yield f"object version:{version['Key']} {version['VersionId']}", _body_of(s3, version)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET):
        for upload in page.get("Uploads", ()):
            yield f"multipart upload:{upload['Key']} {upload['UploadId']}", b""


def _body_of(s3: Any, version: Any) -> bytes:
    """Empty for one that was erased since it was listed."""
    try:
        body = s3.get_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])["Body"]
        return bytes(body.read())
    except s3.exceptions.NoSuchKey:
        return b""


def _keys(redis: Redis) -> Iterator[tuple[str, bytes]]:
    readers: dict[str, Callable[[str], object]] = {
        "string": redis.get,
        "hash": redis.hgetall,
        "set": redis.smembers,
        "zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        "list": lambda key: redis.lrange(key, 0, -1),
    }
    for key in redis.scan_iter("*"):
        kind = str(redis.type(key))
        yield f"Redis key:{key}", b"" if kind == "none" else repr(readers[kind](key)).encode()


def _rows(url: str) -> Iterator[tuple[str, bytes]]:
    with psycopg.connect(url, autocommit=True) as client:
        tables = client.execute(
            "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'darkroom' AND c.relkind = 'r'"
        ).fetchall()
        for (table,) in tables:
            for number, (row,) in enumerate(client.execute(f"SELECT t::text FROM darkroom.{table} AS t")):
                yield f"row:{table} {number}", row.encode()


async def _messages(url: str) -> dict[str, bytes]:
    found = {}
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            name = stream.config.name or ""
            # They begin at 1; a stream that has never had a message says 0.
            for sequence in range(max(stream.state.first_seq, 1), stream.state.last_seq + 1):
                try:
                    message = await jetstream.get_msg(name, sequence)
                except nats.js.errors.NotFoundError:
                    continue
                text = repr((message.subject, message.headers)).encode() + (message.data or b"")
                found[f"message:{name} {sequence}"] = text
    finally:
        await client.close()
    return found
