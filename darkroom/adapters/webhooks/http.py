"""Sends webhooks by HTTP/1.1. Each try has a connection of its own, and one deadline for everything.

No redirects are followed, no proxy is used, and of the answer only the status counts. Its body is read for the sender's
good manners, up to a bound.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import httpcore
from standardwebhooks import Webhook

from darkroom import __version__
from darkroom.adapters.webhooks import SEND_WITHIN_S, Message, Sent
from darkroom.adapters.webhooks.guarded_network import GuardedNetwork, NameUnknownError, Resolve
from darkroom.adapters.webhooks.names import NameLookups
from darkroom.contract.webhook_addresses import AllowedPrivate, Target, WebhookTargetError, parse_target

MAX_ANSWER_BYTES = 16 * 1024
"""More of an answer's body is not read."""


class HttpWebhookSender:
    """Safe to share between threads. Its event loop runs in a thread that begins with the first message."""

    def __init__(
        self,
        allowed: AllowedPrivate,
        *,
        within_s: float = SEND_WITHIN_S,
        resolve: Resolve | None = None,
        trust: Callable[[], ssl.SSLContext] = httpcore.default_ssl_context,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`resolve` is the operating system's by default. `trust` makes the TLS context with the certificate
        authorities that are trusted.
        """
        self._allowed = allowed
        self._within_s = within_s
        self._lookups = NameLookups()
        self._resolve = resolve or self._lookups
        self._trust = trust
        self._now = now
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def send(self, url: str, message: Message, secrets: Sequence[str]) -> Sent:
        if not secrets:
            return Sent(failure="webhook.no_secret", detail="the endpoint has no secret to sign with")
        try:
            target = parse_target(url, self._allowed)
        except WebhookTargetError as exc:
            return Sent(failure="webhook.address_refused", detail=str(exc))
        headers = sign(message, secrets, self._now())
        return self._run(self._try(target, message.body, {"host": target.authority, **headers}))

    def close(self) -> None:
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            self._lookups.close()
            loop.close()

    async def _try(self, target: Target, body: bytes, headers: dict[str, str]) -> Sent:
        try:
            async with asyncio.timeout(self._within_s):
                return _judged(await self._status(target, body, headers), target)
        except TimeoutError:
            return Sent(failure="webhook.timeout", detail=f"no answer within {self._within_s:g} s")
        except WebhookTargetError as exc:
            return Sent(failure="webhook.address_refused", detail=str(exc))
        except NameUnknownError as exc:
            return Sent(failure="webhook.name_unknown", detail=str(exc))
        except httpcore.TimeoutException:
            return Sent(failure="webhook.timeout", detail=f"no connection within {self._within_s:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as exc:
            return _failed(exc, target)

    async def _status(self, target: Target, body: bytes, headers: dict[str, str]) -> int:
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        network = GuardedNetwork(target, self._allowed, self._resolve)
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._context, network_backend=network, retries=0) as pool,
            pool.stream("POST", url, headers=[*headers.items()], content=body) as answer,
        ):
            received = 0
            async for chunk in answer.aiter_stream():
                received += len(chunk)
                if received > MAX_ANSWER_BYTES:
                    break
            return int(answer.status)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._trust()

    def _run(self, coroutine: Coroutine[Any, Any, Sent]) -> Sent:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="webhooks", daemon=True)
                self._thread.start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def sign(message: Message, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of a message, with one signature per secret."""
    body = message.body.decode()
    signatures = [Webhook(secret).sign(message.webhook_id, now, body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": f"darkroom/{__version__}",
        "webhook-id": message.webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _judged(status: int, target: Target) -> Sent:
    if 200 <= status < 300:
        return Sent()
    if 300 <= status < 400:
        return Sent(failure="webhook.redirected", detail=f"{target.host} answered {status}; redirects are not followed")
    return Sent(failure="webhook.answered", detail=f"{target.host} answered {status}")


def _failed(exc: Exception, target: Target) -> Sent:
    """Of the error only its kind is told: texts of libraries may have more of the URL."""
    if _is_tls(exc):
        return Sent(failure="webhook.tls", detail=f"{target.host} has no certificate that is valid for it")
    if isinstance(exc, httpcore.ProtocolError):
        return Sent(failure="webhook.no_http", detail=f"{target.host} did not answer in HTTP")
    return Sent(failure="webhook.unreachable", detail=f"{target.host}:{target.port} could not be reached")


def _is_tls(exc: BaseException | None) -> bool:
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
