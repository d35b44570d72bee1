"""Checks whether a NATS, Redis-protocol or S3 server answers, with one bare exchange and no client library.

A client library's own connection logic (waits, retries, pools) would obscure whether the server is ready now.
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
    """Check a NATS server. It speaks first: `INFO {...}`, once its streams are recovered.

    Raises DependencyUnavailableError, as the other checks do.
    """
    line = await _exchange("nats", url, default_port=NATS_PORT, request=b"")
    if not line.startswith(b"INFO "):
        raise DependencyUnavailableError("nats", f"{_address(url)} answers {line[:40]!r}, which is no NATS server")


async def check_nats_streams(monitor_url: str) -> None:
    """Check the streams through the server's own health endpoint.

    After a full disk, a server refuses every write until it is restarted, even when there is space again, but still
    greets clients as if nothing were wrong.
    """
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/healthz") as response:
            status, text = response.status, await response.text()
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("nats", f"{monitor_url}: {error}") from error
    if status != 200:
        raise DependencyUnavailableError("nats", f"{monitor_url}/healthz answers {status}: {text[:300]}")


async def nats_storage_limit_bytes(monitor_url: str) -> int:
    """Return the storage limit of all the server's streams together."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/jsz") as response:
            return int((await response.json())["config"]["max_storage"])
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("nats", f"{monitor_url}: {error}") from error


async def check_redis(url: str) -> None:
    """Send PING, after AUTH if the URL has a password. Fails while the server is loading its data."""
    request = _auth_command(url) + _redis_command("PING")
    line = await _exchange("redis", url, default_port=REDIS_PORT, request=request, until=b"+PONG")
    if not line.startswith(b"+PONG"):
        raise DependencyUnavailableError("redis", f"{_address(url)} answers {line[:80]!r} to PING")


async def check_s3(url: str, *, path: str = "/") -> None:
    """Accept any HTTP status below 500: without credentials, the server is right to refuse the request."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url.rstrip("/") + path) as response:
            status = response.status
    except aiohttp.ClientError as error:
        raise DependencyUnavailableError("s3", f"{url}: {error}") from error
    if status >= 500:
        raise DependencyUnavailableError("s3", f"{url}{path} answers {status}")


async def _exchange(name: str, url: str, *, default_port: int, request: bytes, until: bytes = b"") -> bytes:
    """Send a request and return the first response line that starts with `until`, an error line, or b"" at the end."""
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
    """Encode a command as a RESP array, which every Redis-protocol server accepts."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def _address(url: str) -> str:
    """Return host and port, without a password that the URL may contain."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
