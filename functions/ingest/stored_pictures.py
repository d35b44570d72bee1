"""The pictures in storage that one request names: each is looked up once and fetched once, however many jobs use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from darkroom.adapters.storage import Storage
from darkroom.adapters.storage.rules import not_found, too_large
from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.imaging import Facts, probe, probe_overlay
from darkroom.serving.overlays import fetch_overlay

Found = TypeVar("Found")


class StoredPictures:
    """For one request. A picture that was refused is refused again without being asked for."""

    def __init__(self, storage: Storage, limits: Limits) -> None:
        self._storage = storage
        self._limits = limits
        self._sizes: dict[str, int | RejectedError | PictureError] = {}
        self._facts: dict[str, Facts | RejectedError | PictureError] = {}
        self._overlays: dict[str, Facts | RejectedError | PictureError] = {}

    def size_bytes(self, key: str) -> int:
        """Return the picture's size without fetching it. Raises InputNotFoundError and InputTooLargeError."""
        return _once(self._sizes, key, self._look_up)

    def facts(self, key: str) -> Facts:
        """Return what the picture's header says. Raises RejectedError and PictureError, as `probe` does."""
        return _once(self._facts, key, self._fetch)

    def overlay_facts(self, key: str) -> Facts:
        """Return what the header of an overlay says. Raises as `facts` does, by the limits for overlays."""
        return _once(self._overlays, key, self._fetch_overlay)

    @property
    def found_bytes(self) -> int:
        """The size of all pictures that were looked up."""
        return sum(size for size in self._sizes.values() if isinstance(size, int))

    def _look_up(self, key: str) -> int:
        found = self._storage.info(key)
        if found is None:
            raise not_found(key)
        if found.size_bytes > self._limits.max_input_bytes:
            raise too_large(found.size_bytes, self._limits.max_input_bytes)
        return found.size_bytes

    def _fetch(self, key: str) -> Facts:
        return probe(self._storage.get(key, max_bytes=self._limits.max_input_bytes), self._limits, all_frames=False)

    def _fetch_overlay(self, key: str) -> Facts:
        return probe_overlay(fetch_overlay(self._storage, key, self._limits), self._limits)


def _once(known: dict[str, Found | RejectedError | PictureError], key: str, find: Callable[[str], Found]) -> Found:
    if key not in known:
        try:
            known[key] = find(key)
        except (RejectedError, PictureError) as exc:
            known[key] = exc
    found = known[key]
    if isinstance(found, RejectedError | PictureError):
        raise found
    return found
