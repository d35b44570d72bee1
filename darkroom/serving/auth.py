"""Who is calling: the API key of a request, held against the file of hashes.

Off only where the settings say so. The file is looked at again at least every half second, so a key that was revoked in
it is refused within a second, without a restart; a new key is let in at once, because an unknown one is reason enough
to look. A file that cannot be read any more lets nobody in.
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
"""So that strangers who make up keys do not have the file looked at for each."""

log = get_logger()


class Authenticator(Protocol):
    def owner_of(self, headers: Mapping[str, str]) -> str:
        """The key's id. Raises AuthMissingError, AuthInvalidError, and DependencyUnavailableError without a list."""


class NoKeys:
    """For loopback: everybody is the same nobody."""

    def owner_of(self, headers: Mapping[str, str]) -> str:
        return NOBODY


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
        """For the start. Raises KeyFileError."""
        self._look()
        if self._problem is not None:
            raise self._problem

    def owner_of(self, headers: Mapping[str, str]) -> str:
        key = _bearer(headers)
        with self._lock:
            stored = self._stored(key_id_of(key))
        # An unknown id is compared with something, too: both take the same time.
        is_right = (stored or _NO_KEY).matches(key)
        if stored is None or not is_right or stored.revoked_at is not None:
            raise AuthInvalidError("the API key is unknown or was revoked")
        return stored.id

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
    """Raises SettingsError when keys are on and their file cannot be read."""
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
    """RFC 6750, section 2.1. The only place where a key is looked for, so that none ends in a query string's log."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthMissingError("send the API key as Authorization: Bearer drk_...")
    return key.strip()


_NO_KEY = StoredKey(id="", sha256=digest_of(""), name="", created_at=datetime.fromtimestamp(0, UTC))
