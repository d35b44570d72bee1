"""Converts JetStream's own statistics of its streams to readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from darkroom.telemetry.metric import Readings
from darkroom.telemetry.platform_metrics import STREAM_LIMIT, STREAM_MESSAGES, STREAM_SIZE

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

_NO_LIMIT = -1


def stream_readings(streams: Sequence[StreamInfo], *, server_limit_bytes: int = 0) -> Readings:
    """Convert stream infos to readings.

    A stream without its own limit is full when all streams together reach the server's limit; 0 means unknown.
    """
    used = sum(stream.state.bytes for stream in streams)
    shared = {(_name(stream),): server_limit_bytes - used + stream.state.bytes for stream in streams}
    limits = {(_name(stream),): stream.config.max_bytes or _NO_LIMIT for stream in streams}
    limits = {labels: limit if limit > 0 else shared[labels] for labels, limit in limits.items()}
    return {
        STREAM_MESSAGES: {(_name(stream),): stream.state.messages for stream in streams},
        STREAM_SIZE: {(_name(stream),): stream.state.bytes for stream in streams},
        STREAM_LIMIT: {labels: limit for labels, limit in limits.items() if limit > 0},
    }


def _name(stream: StreamInfo) -> str:
    return stream.config.name or ""
