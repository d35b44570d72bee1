"""Checks whether a NATS, Redis-protocol, PostgreSQL or S3 server answers, with one bare exchange and no client library.

A client library's own connection logic (waits, retries, pools) would obscure whether the server is ready now.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import aiohttp

from darkroom.errors import DependencyUnavailableError

NATS_PORT = 4222
REDIS_PORT = 6379
POSTGRES_PORT = 5432
_OWN_TROUBLE = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.ENOSPC,
        errno.EDQUOT,
    }
)
"""What a socket call says when this process or this machine has run out of something, before it reaches the server."""


class InconclusiveError(DependencyUnavailableError):
    """The check failed without showing that the server has failed. A restart of the server would mend nothing.

    Either the check itself found no descriptor, port, memory or time here; or the server answers, and says what it
    waits for.
    """


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
    with _translated("nats", monitor_url):
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/healthz") as response:
            status, text = response.status, await response.text()
    if status != 200:
        raise DependencyUnavailableError("nats", f"{monitor_url}/healthz answers {status}: {text[:300]}")


async def nats_storage_limit_bytes(monitor_url: str) -> int:
    """Return the storage limit of all the server's streams together."""
    with _translated("nats", monitor_url):
        async with aiohttp.ClientSession() as session, session.get(f"{monitor_url}/jsz") as response:
            return int((await response.json())["config"]["max_storage"])


async def check_redis(url: str) -> None:
    """Send PING, after AUTH if the URL has a password. Fails while the server is loading its data."""
    request = _auth_command(url) + _redis_command("PING")
    line = await _exchange("redis", url, default_port=REDIS_PORT, request=request, until=b"+PONG")
    if line.startswith(b"-"):
        # -LOADING, -BUSY, -MISCONF (it cannot write to its disk): whoever says so does not hang.
        raise InconclusiveError("redis", f"{_address(url)} answers {line[:80]!r} to PING")
    if not line.startswith(b"+PONG"):
        raise DependencyUnavailableError("redis", f"{_address(url)} answers {line[:80]!r} to PING")


async def check_postgres(url: str) -> None:
    """Begin a session as far as the server's question for a password, which it asks only when it takes clients.

    It says so, or asks for TLS, for which a client library is needed: both are an answer.
    """
    parts = urlsplit(url)
    with _translated("postgres", _address(url)):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or POSTGRES_PORT)
        try:
            writer.write(_postgres_startup(unquote(parts.username or ""), parts.path.lstrip("/")))
            kind, size = await reader.read(1), await reader.read(4)
            said = await reader.read(max(int.from_bytes(size), 4) - 4) if size else b""
        finally:
            writer.transport.abort()
    if kind == b"E" and b"C57P03" in said:
        # It starts, recovers or shuts down.
        raise InconclusiveError("postgres", f"{_address(url)} answers {_postgres_message(said)!r}")
    if kind not in {b"R", b"E"}:
        raise DependencyUnavailableError("postgres", f"{_address(url)} answers {kind + said[:40]!r}")


def _postgres_startup(user: str, database: str) -> bytes:
    """Encode a StartupMessage of protocol 3.0 (PostgreSQL's documentation, Message Formats)."""
    words = [b"user", user.encode(), b"database", database.encode()]
    body = (196608).to_bytes(4) + b"".join(word + b"\0" for word in words) + b"\0"
    return (len(body) + 4).to_bytes(4) + body


def _postgres_message(fields: bytes) -> str:
    """Return the text among an error's fields."""
    texts = [field[1:] for field in fields.split(b"\0") if field.startswith(b"M")]
    return (texts or [fields])[0].decode(errors="replace")[:200]


async def check_s3(url: str, *, path: str = "/") -> None:
    """Accept any HTTP status below 500: without credentials, the server is right to refuse the request."""
    with _translated("s3", url):
        async with aiohttp.ClientSession() as session, session.get(url.rstrip("/") + path) as response:
            status = response.status
    if status >= 500:
        raise DependencyUnavailableError("s3", f"{url}{path} answers {status}")


async def _exchange(name: str, url: str, *, default_port: int, request: bytes, until: bytes = b"") -> bytes:
    """Send a request and return the first response line that starts with `until`, an error line, or b"" at the end."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme in ("rediss", "tls") and name == "redis" else None
    with _translated(name, _address(url)):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or default_port, ssl=tls)
        try:
            writer.write(request)
            line = await reader.readline()
            while line.startswith(b"+") and not line.startswith(until):
                line = await reader.readline()
            return line
        finally:
            writer.transport.abort()


@contextmanager
def _translated(name: str, address: str) -> Iterator[None]:
    """Translate errors of a connection. Raises InconclusiveError and DependencyUnavailableError."""
    try:
        yield
    except (OSError, aiohttp.ClientError, ValueError) as error:
        kind = InconclusiveError if _is_own_trouble(error) else DependencyUnavailableError
        raise kind(name, f"{address}: {error}") from error


def _is_own_trouble(error: BaseException | None) -> bool:
    """Whether this error, or one that caused it, is a want of ours. aiohttp wraps the system's errors."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, TimeoutError) and error.errno in _OWN_TROUBLE:
            return True
        error = error.__cause__
    return False


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
