"""Fetches the picture of an overlay, within the limits for overlays."""

from __future__ import annotations

from darkroom.adapters.storage import Storage
from darkroom.contract.errors import RejectedError
from darkroom.contract.limits import Limits


def fetch_overlay(storage: Storage, key: str, limits: Limits) -> bytes:
    """Return the overlay's bytes. Raises InputNotFoundError, InputTooLargeError or DependencyUnavailableError."""
    try:
        return storage.get(key, max_bytes=limits.of_overlay.max_input_bytes)
    except RejectedError as exc:
        raise type(exc)(f"the overlay: {exc.detail}") from exc
