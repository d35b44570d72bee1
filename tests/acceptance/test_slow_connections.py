"""Hundreds of connections that trickle, and bodies that are not what their heads say, over raw sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from redis import Redis

from benchmarks.front_door import large_jpeg
from benchmarks.slow_connections import SlowCrowd, post_steadily
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.imaging.photograph import make_photograph
from tests.front import BUCKET, function_server
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server, redis_server, running, s3_server
from tests.stack import eventually

PICTURE = make_photograph(200, 150)
MAX_INPUT_BYTES = 200_000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder: Path = tmp_path_factory.mktemp("servers")
    with running(redis_server(folder / "redis")) as redis, running(s3_server(folder / "s3")) as s3:
        storage = S3Storage(
            endpoint=s3.url, public_endpoint=None, access_key=S3_ACCESS_KEY, secret_key=S3_SECRET_KEY, bucket=BUCKET
        )
        storage.prepare()
        storage.close()
        yield redis, s3


@pytest.fixture(scope="module")
def ingest(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    redis, s3 = servers
    folder: Path = tmp_path_factory.mktemp("ingest")
    settings = {"redis_url": redis.url, "s3_url": s3.url, "MAX_INPUT_BYTES": str(MAX_INPUT_BYTES)}
    with running(function_server("ingest", folder, **settings)) as server:
        yield server


def raw(url: str, *pieces: bytes, half_close: bool = False) -> tuple[int, dict[str, Any]]:
    """Status and document of the first answer; (0, {}) when the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=40) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was answered before all was sent
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass  # closed with our bytes unread
    if not received:
        return 0, {}
    head, _, body = received.partition(b"\r\n\r\n")
    is_problem = b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body) if is_problem else {}


def head(length: int | str, *more: str) -> bytes:
    lines = ["POST /api/v1/resize?width=10 HTTP/1.1", "Host: ingest", "Connection: close", "Content-Type: image/jpeg"]
    return "\r\n".join([*lines, f"Content-Length: {length}", *more, "", ""]).encode()


def chunked(*chunks: bytes) -> list[bytes]:
    lines = ["POST /api/v1/resize?width=10 HTTP/1.1", "Host: ingest", "Connection: close", "Content-Type: image/jpeg"]
    start = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode()
    return [start, *(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)]


def jobs(servers: tuple[Server, Server]) -> int:
    client: Redis = Redis.from_url(servers[0].url)
    with client:
        return sum(1 for _ in client.scan_iter("darkroom:job:*"))


def test_a_length_that_says_too_little_leaves_what_it_says(ingest: Server, servers: tuple[Server, Server]) -> None:
    before = jobs(servers)
    status, document = raw(ingest.url, head(100), PICTURE)
    assert (status, document["code"]) in {(422, "image.truncated"), (422, "image.corrupt")}
    assert jobs(servers) == before


def test_a_length_that_says_too_much_is_given_up_with_the_connection(
    ingest: Server, servers: tuple[Server, Server]
) -> None:
    before = jobs(servers)
    status, _ = raw(ingest.url, head(len(PICTURE) + 1000), PICTURE, half_close=True)
    assert status in {0, 400, 408}
    assert jobs(servers) == before


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "10, 20", "99999999999999999999999", ""])
def test_a_length_that_is_none_is_refused(ingest: Server, servers: tuple[Server, Server], length: str) -> None:
    before = jobs(servers)
    status, _ = raw(ingest.url, head(length), PICTURE, half_close=True)
    assert status in {0, 400, 413}
    assert jobs(servers) == before


def test_length_and_chunks_at_once_never_make_two_requests(ingest: Server, servers: tuple[Server, Server]) -> None:
    """What one server takes for a body another takes for a second request (request smuggling)."""
    smuggled = b"0\r\n\r\nPOST /api/v1/uploads HTTP/1.1\r\nHost: ingest\r\nContent-Length: 0\r\n\r\n"
    start = head(len(smuggled), "Transfer-Encoding: chunked").replace(b"Connection: close\r\n", b"")
    before = jobs(servers)
    with socket.create_connection(("127.0.0.1", urlsplit(ingest.url).port or 0), timeout=10) as connection:
        connection.sendall(start + smuggled)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass  # closed with our bytes unread
    assert b"201 Created" not in received
    assert jobs(servers) == before


def test_chunks_beyond_the_limit_are_refused_before_they_end(ingest: Server, servers: tuple[Server, Server]) -> None:
    before = jobs(servers)
    status, document = raw(ingest.url, *chunked(*[b"\xff" * 10_000] * 30))
    assert (status, document["code"]) == (413, "input.too_large")
    assert jobs(servers) == before


@pytest.mark.parametrize("size", [b"zz", b"-1", b"ffffffffffffffffff", b""])
def test_a_chunk_whose_size_is_none_is_refused(ingest: Server, servers: tuple[Server, Server], size: bytes) -> None:
    before = jobs(servers)
    status, _ = raw(ingest.url, chunked()[0], size + b"\r\nabc\r\n0\r\n\r\n", half_close=True)
    assert status in {0, 400, 413}
    assert jobs(servers) == before


def test_a_request_line_of_a_megabyte_is_no_burden(ingest: Server, servers: tuple[Server, Server]) -> None:
    line = b"POST /api/v1/resize?fit=" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: ingest\r\nConnection: close\r\n"
    before = jobs(servers)
    status, _ = raw(ingest.url, line + b"Content-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nabc")
    assert status in {0, 400, 414, 431}
    assert jobs(servers) == before
    assert httpx.get(f"{ingest.url}/health/live").status_code == 200


def test_a_header_with_a_line_break_never_reaches_an_answer(ingest: Server) -> None:
    for value in (b"a\rb", b"a\nb", b"a\r\n b", b"a\x00b"):
        with socket.create_connection(("127.0.0.1", urlsplit(ingest.url).port or 0), timeout=10) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: " + value)
            connection.sendall(b"\r\n\r\n")
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except ConnectionResetError:
                pass  # closed with our bytes unread
        assert value not in received


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hundreds_of_slow_connections_for_a_minute_keep_nobody_out(ingest: Server) -> None:
    """No figure of time is held here: `benchmarks/slow_connections.py` tells the ratio."""
    alone = post_steadily(ingest, PICTURE, 5.0)
    with SlowCrowd(ingest.url, 512):
        beside = post_steadily(ingest, PICTURE, 60.0)
        assert httpx.get(f"{ingest.url}/health/live", timeout=10).status_code == 200
    print(  # noqa: T201 - the figures
        f"p99 alone {alone.percentile_ms(0.99):.1f} ms, beside {beside.percentile_ms(0.99):.1f} ms; "
        f"{alone.memory_mb:.0f} MB alone, {beside.memory_mb:.0f} MB beside"
    )
    assert len(beside.latencies_ms) > 100
    assert beside.memory_mb - alone.memory_mb < 100, "a slow connection costs less than 200 KB"


def test_health_answers_while_redis_hangs(ingest: Server, servers: tuple[Server, Server]) -> None:
    redis, _ = servers
    with redis.paused():
        started = time.monotonic()
        assert httpx.get(f"{ingest.url}/health/live", timeout=10).status_code == 200
        ready = httpx.get(f"{ingest.url}/health/ready", timeout=10)
        assert ready.status_code == 503
        assert ready.json()["dependency"] == "jobs"
        assert time.monotonic() - started < 9, "bounded, whatever hangs"
    assert httpx.get(f"{ingest.url}/health/ready", timeout=10).status_code == 200


def uploads_under_way(servers: tuple[Server, Server]) -> list[str]:
    """The keys of uploads in parts that were neither completed nor aborted."""
    s3 = boto3.client(
        "s3",
        endpoint_url=servers[1].url,
        aws_access_key_id=S3_ACCESS_KEY,
        aws_secret_access_key=S3_SECRET_KEY,
        region_name="us-east-1",
    )
    return [str(upload["Key"]) for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def test_a_large_upload_whose_client_goes_away_leaves_nothing(servers: tuple[Server, Server], tmp_path: Path) -> None:
    redis, s3 = servers
    picture = large_jpeg(12 * 1024 * 1024)
    with running(function_server("ingest", tmp_path, redis_url=redis.url, s3_url=s3.url)) as roomy:
        before = jobs(servers)
        with socket.create_connection(("127.0.0.1", urlsplit(roomy.url).port or 0), timeout=40) as connection:
            connection.sendall(head(len(picture)) + picture[:-1])
            eventually(lambda: uploads_under_way(servers), within_s=30, what="its parts are in storage")
        eventually(lambda: not uploads_under_way(servers), within_s=30, what="its parts are gone")
        assert jobs(servers) == before
        answer = httpx.post(
            f"{roomy.url}/api/v1/resize?width=10", content=picture, headers={"content-type": "image/jpeg"}, timeout=60
        )
        assert answer.status_code == 202, answer.text
        assert jobs(servers) == before + 1
        assert uploads_under_way(servers) == []


def test_parts_that_a_killed_process_leaves_expire(servers: tuple[Server, Server]) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=servers[1].url,
        aws_access_key_id=S3_ACCESS_KEY,
        aws_secret_access_key=S3_SECRET_KEY,
        region_name="us-east-1",
    )
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1
    assert rule["Expiration"]["Days"] == 8
