"""Authenticates requests by their API key, against the file of key hashes.

Off only where the settings say so. The file is checked for changes at least every half second, so a revoked key is
refused within a second, without a restart. A new key works at once, because an unknown key triggers a check. A file
that can no longer be read admits nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from darkroom.contract.api_keys import StoredKey, digest_of, key_id_of
from darkroom.contract.errors import AuthInvalidError, AuthMissingError, DependencyUnavailableError
from darkroom.errors import SettingsError
from darkroom.serving.key_file import KeyFileError, read_key_file
from darkroom.serving.log import get_logger
from darkroom.serving.settings import Settings

NOBODY = ""
"""The owner of all jobs where keys are off."""
LOOK_EVERY_S = 0.5
LOOK_FOR_UNKNOWN_EVERY_S = 0.02
"""The shortest time between checks caused by unknown keys, so that guessed keys do not cause a file access each."""

log = get_logger()


class Authenticator(Protocol):
    def owner_of(self, headers: Mapping[str, str]) -> str:
        """Return the key's id. Raises AuthMissingError, AuthInvalidError, and DependencyUnavailableError without a list
        of keys.
        """

    def is_current(self, owner: str) -> bool:
        """Return whether the key of this id, which was accepted before, would be accepted again."""

    def weight_of(self, owner: str) -> float:
        """Return the share of the turns that this key's jobs get where jobs wait, compared with other keys'."""


class NoKeys:
    """Admits everybody as the same owner; for loopback."""

    def owner_of(self, headers: Mapping[str, str]) -> str:
        return NOBODY

    def is_current(self, owner: str) -> bool:
        return True

    def weight_of(self, owner: str) -> float:
        return 1.0


class KeyFileAuthenticator:
    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._version: tuple[int, ...] = ()
        self._keys: dict[str, StoredKey] = {}
        self._problem: KeyFileError | None = None

    def load(self) -> None:
        """Load the file at start. Raises KeyFileError."""
        self._look()
        if self._problem is not None:
            raise self._problem

    def owner_of(self, headers: Mapping[str, str]) -> str:
        key = _bearer(headers)
        with self._lock:
            stored = self._stored(key_id_of(key))
        # An unknown id is compared with a dummy key, so that both cases take the same time.
        is_right = (stored or _NO_KEY).matches(key)
        if stored is None or not is_right or stored.revoked_at is not None:
            raise AuthInvalidError("the API key is unknown or was revoked")
        return stored.id

    def is_current(self, owner: str) -> bool:
        with self._lock:
            try:
                stored = self._stored(owner)
            except DependencyUnavailableError:
                return False
        return stored is not None and stored.revoked_at is None

    def weight_of(self, owner: str) -> float:
        with self._lock:
            stored = self._keys.get(owner)
        return 1.0 if stored is None else stored.weight

    def _stored(self, key_id: str | None) -> StoredKey | None:
        is_unknown = key_id is not None and key_id not in self._keys
        if self._clock() - self._looked_at >= (LOOK_FOR_UNKNOWN_EVERY_S if is_unknown else LOOK_EVERY_S):
            self._look()
        if self._problem is not None:
            raise DependencyUnavailableError("keys", "the list of API keys cannot be read")
        return self._keys.get(key_id or "")

    def _look(self) -> None:
        self._looked_at = self._clock()
        try:
            # A Secret is replaced by a link to another folder, a file of ours by another file.
            found = self._path.stat()
            version = (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns)
            if version == self._version and self._problem is None:
                return
            keys = {key.id: key for key in read_key_file(self._path)}
        except (OSError, KeyFileError) as exc:
            problem = exc if isinstance(exc, KeyFileError) else KeyFileError(f"{self._path}: {exc.strerror}")
            if self._problem is None:
                log.error("keys.unreadable", error=str(problem))
            self._problem, self._keys = problem, {}
            return
        self._version, self._keys, self._problem = version, keys, None
        log.info("keys.loaded", valid=sum(key.revoked_at is None for key in keys.values()), all=len(keys))


def authenticator(settings: Settings) -> Authenticator:
    """Return the authenticator for these settings. Raises SettingsError when keys are on and their file cannot be
    read.
    """
    if settings.api_keys == "off":
        return NoKeys()
    if settings.api_keys_file is None:
        raise SettingsError("not set: API_KEYS_FILE (or say API_KEYS=off, and let in whoever comes)")
    made = KeyFileAuthenticator(Path(settings.api_keys_file))
    try:
        made.load()
    except KeyFileError as exc:
        raise SettingsError(f"API_KEYS_FILE: {exc}") from exc
    return made


def _bearer(headers: Mapping[str, str]) -> str:
    """Return the bearer token (RFC 6750, section 2.1). Keys are accepted nowhere else, so that none ends up in the log
    of a query string.
    """
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthMissingError("send the API key as Authorization: Bearer drk_...")
    return key.strip()


_NO_KEY = StoredKey(id="", sha256=digest_of(""), name="", created_at=datetime.fromtimestamp(0, UTC))
