"""Whether a NATS, a Redis-protocol or an S3 server answers: one bare exchange each, without its client library.

A client library's own connection logic (waits, retries, pools) would blur what is asked here: is it ready now?
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import unquote, urlsplit

import aiohttp

from darkroom.errors import DependencyUnavailableError

NATS_PORT = 4222
REDIS_PORT = 6379


async def check_nats(url: str) -> None:
    """The server speaks first: `INFO {...}`, once its streams are recovered."""
    line = await _exchange("nats", url, default_port=NATS_PORT, request=b"")
    if not line.startswith(b"INFO "):
        raise DependencyUnavailableError("nats", f"{_address(url)} answers {line[:40]!r}, which is no NATS server")


async def check_nats_streams(monitor_url: str) -> None:
    """The server's own word on its streams. One that met a full disk refuses every write until it is started again,
    also when there is room again, and greets its clients as if nothing were wrong."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/healthz") as answer:
            status, said = answer.status, await answer.text()
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("nats", f"{monitor_url}: {error}") from error
    if status != 200:
        raise DependencyUnavailableError("nats", f"{monitor_url}/healthz answers {status}: {said[:300]}")


async def nats_storage_limit_bytes(monitor_url: str) -> int:
    """What all streams of the server may take together."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/jsz") as answer:
            return int((await answer.json())["config"]["max_storage"])
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("nats", f"{monitor_url}: {error}") from error


async def check_redis(url: str) -> None:
    """PING, after AUTH where the URL bears a password; refused while the data is being loaded."""
    request = _auth_command(url) + _redis_command("PING")
    line = await _exchange("redis", url, default_port=REDIS_PORT, request=request, until=b"+PONG")
    if not line.startswith(b"+PONG"):
        raise DependencyUnavailableError("redis", f"{_address(url)} answers {line[:80]!r} to PING")


async def check_s3(url: str, *, path: str = "/") -> None:
    """Any HTTP answer below 500: without credentials a refusal is the right one."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url.rstrip("/") + path) as answer:
            status = answer.status
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("s3", f"{url}: {error}") from error
    if status >= 500:
        raise DependencyUnavailableError("s3", f"{url}{path} answers {status}")


async def _exchange(name: str, url: str, *, default_port: int, request: bytes, until: bytes = b"") -> bytes:
    """The first line of the answer that starts with `until`, an error's line, or b"" when the server closed."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme in ("rediss", "tls") and name == "redis" else None
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or default_port, ssl=tls)
        try:
            writer.write(request)
            line = await reader.readline()
            while line.startswith(b"+") and not line.startswith(until):
                line = await reader.readline()
            return line
        finally:
            writer.transport.abort()
    except (OSError, ValueError) as error:
        raise DependencyUnavailableError(name, f"{_address(url)}: {error}") from error


def _auth_command(url: str) -> bytes:
    parts = urlsplit(url)
    if not parts.password:
        return b""
    user = [unquote(parts.username)] if parts.username else []
    return _redis_command("AUTH", *user, unquote(parts.password))


def _redis_command(*words: str) -> bytes:
    """The RESP array that every Redis-protocol server takes."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def _address(url: str) -> str:
    """Without the password that a URL may bear."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
