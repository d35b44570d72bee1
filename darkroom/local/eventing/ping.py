"""PingSources: send an event to a sink on a cron schedule, with or without seconds."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from darkroom.errors import DarkroomError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.reporting import Report
from darkroom.manifests import PingSource

EVENT_TYPE = "dev.knative.sources.ping"

Send = Callable[[CloudEvent], Awaitable[None]]


def ping_event(source: PingSource, *, at: datetime) -> CloudEvent:
    return CloudEvent(
        id=f"{source.namespace}.{source.name}.{int(at.timestamp() * 1000)}",
        source=f"/apis/v1/namespaces/{source.namespace}/pingsources/{source.name}",
        type=EVENT_TYPE,
        time=at,
        datacontenttype=source.spec.content_type,
        data=_data(source),
        extensions=dict(source.spec.ce_overrides.extensions) if source.spec.ce_overrides else {},
    )


def _data(source: PingSource) -> bytes | None:
    if source.spec.data_base64 is not None:
        return base64.b64decode(source.spec.data_base64)
    return None if source.spec.data is None else source.spec.data.encode()


async def run_ping_source(source: PingSource, send: Send, report: Report) -> None:
    """Run a PingSource until cancelled. If the sink fails, report it and wait for the next time, as Knative does."""
    zone = ZoneInfo(source.spec.zone)
    times = CronSim(source.spec.cron, datetime.now(zone))
    for due in times:
        await asyncio.sleep(max(0.0, (due - datetime.now(zone)).total_seconds()))
        try:
            await send(ping_event(source, at=datetime.now(UTC)))
        except DarkroomError as exc:
            report("ping.failed", source=f"{source.namespace}/{source.name}", error=exc.detail)
