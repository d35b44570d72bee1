"""The webhook endpoints and secrets as files say now: a change is noticed within half a second, without a restart.

A file that cannot be read any more leaves what was read before in force, and the log says so: an end that is told to an
endpoint too many can be ignored by it, one that is not owed is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from darkroom.contract.webhooks import SECRETS_AT_ONCE, Endpoint, subscriptions
from darkroom.serving.log import get_logger
from darkroom.serving.webhook_file import WebhookFileError, WebhookSecret, read_endpoints, read_secrets

LOOK_EVERY_S = 0.5

log = get_logger()
ContentT = TypeVar("ContentT")


class _WatchedFile(Generic[ContentT]):
    """Reads a file again when it has changed."""

    def __init__(
        self, path: Path | None, read: Callable[[Path], ContentT], empty: ContentT, clock: Callable[[], float]
    ) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._version: tuple[int, ...] | None = None
        self._problem = ""
        self._content = empty

    def content(self) -> ContentT:
        with self._lock:
            if self._path is not None and self._clock() - self._looked_at >= LOOK_EVERY_S:
                self._looked_at = self._clock()
                self._look(self._path)
            return self._content

    def _look(self, path: Path) -> None:
        # A Secret is replaced by a link to another folder, a file of ours by another file.
        version = _version(path)
        if version == self._version:
            return
        try:
            self._content = self._read(path)
        except WebhookFileError as exc:
            if str(exc) != self._problem:
                log.error("webhooks.unreadable", error=str(exc))
            self._problem = str(exc)
            return
        self._version, self._problem = version, ""
        log.info("webhooks.loaded", file=path.name)


def _version(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return (0,)
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns


class WebhookEndpoints:
    def __init__(
        self, endpoints: Path | None, secrets: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`endpoints` and `secrets` are files that may not exist yet."""
        self._endpoints: _WatchedFile[list[Endpoint]] = _WatchedFile(endpoints, read_endpoints, [], clock)
        self._secrets: _WatchedFile[dict[str, list[WebhookSecret]]] = _WatchedFile(secrets, read_secrets, {}, clock)

    def subscriptions(self, owner: str) -> str:
        """Return the endpoints of the owner's key as a job's record has them."""
        return subscriptions(endpoint for endpoint in self._endpoints.content() if endpoint.key_id == owner)

    def get(self, endpoint_id: str) -> Endpoint | None:
        return next((one for one in self._endpoints.content() if one.id == endpoint_id), None)

    def secrets(self, endpoint_id: str) -> Sequence[str]:
        """Return the secrets to sign with, the newest first: one, or two while they are rotated."""
        return valid_secrets(self._secrets.content().get(endpoint_id, []), datetime.now(UTC))


def valid_secrets(secrets: Sequence[WebhookSecret], now: datetime) -> list[str]:
    valid = [one.secret for one in secrets if one.valid_until is None or one.valid_until > now]
    return valid[:SECRETS_AT_ONCE]
