"""JetStream's own figures of its streams, as readings of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.telemetry import platform_metrics as metrics
from darkroom.telemetry.metric import Readings

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

_NO_LIMIT = -1


def stream_readings(streams: Sequence[StreamInfo], *, dead_letters: str, server_limit_bytes: int = 0) -> Readings:
    """A stream without a limit of its own is full when all together have reached the server's; 0: nobody knows it."""
    used = sum(stream.state.bytes for stream in streams)
    shared = {(_name(stream),): server_limit_bytes - used + stream.state.bytes for stream in streams}
    limits = {(_name(stream),): stream.config.max_bytes or _NO_LIMIT for stream in streams}
    limits = {labels: limit if limit > 0 else shared[labels] for labels, limit in limits.items()}
    messages: dict[tuple[str, ...], float] = {(_name(stream),): stream.state.messages for stream in streams}
    kept = messages.get((dead_letters,))
    return {
        DEAD_LETTERS: {} if kept is None else {(): kept},
        metrics.STREAM_MESSAGES: messages,
        metrics.STREAM_SIZE: {(_name(stream),): stream.state.bytes for stream in streams},
        metrics.STREAM_LIMIT: {labels: limit for labels, limit in limits.items() if limit > 0},
    }


def _name(stream: StreamInfo) -> str:
    return stream.config.name or ""
