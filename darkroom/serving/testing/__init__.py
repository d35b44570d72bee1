"""A kit for testing functions in memory: no environment variables, no servers, no waiting.

For a function that does jobs, `MemoryPipeline` accepts a job with its picture, delivers it to the function as the
Broker would, and returns the response, the record, the result and the events:

    # functions/thumbnail/main.py
    from darkroom.contract.parameters.resize import ResizeParameters
    from darkroom.imaging import Rendition
    from darkroom.serving import Job, Picture, event_function

    @event_function("dev.darkroom.resize.requested")
    def thumbnail(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        return picture.render(job.parameters)

    # tests/test_thumbnail.py
    from darkroom.contract.jobs import JobStatus
    from darkroom.imaging.photograph import make_photograph
    from darkroom.serving.testing import MemoryPipeline

    def test_a_thumbnail_has_the_width_that_was_asked_for() -> None:
        pipeline = MemoryPipeline("thumbnail")
        job_id = pipeline.accept({"width": 32}, picture=make_photograph(64, 48))

        delivery = pipeline.deliver(thumbnail, job_id)

        assert (delivery.status, delivery.reply_type) == (200, "dev.darkroom.job.completed")
        record = pipeline.record(job_id)
        assert record.status is JobStatus.COMPLETED
        assert record.result is not None
        assert (record.result.width, record.result.height) == (32, 24)
        assert len(pipeline.stored_result(job_id)) == record.result.bytes

    def test_a_file_that_is_no_picture_fails_its_job_at_the_first_attempt() -> None:
        pipeline = MemoryPipeline("thumbnail")
        job_id = pipeline.accept({"width": 32}, picture=b"GIF? no")

        assert pipeline.deliver(thumbnail, job_id).reply_type == "dev.darkroom.job.failed"
        assert pipeline.record(job_id).attempts == 1

For a function that takes events of any type, `deliver` is enough:

    # functions/confirm/main.py
    from cloudevents.http import CloudEvent
    from darkroom.serving import on_event

    @on_event("shop.order.placed")
    def confirm(event: CloudEvent) -> CloudEvent | None:
        if event.data["total"] == 0:
            return None
        return CloudEvent({"type": "shop.order.confirmed", "source": "/shop/confirm"}, {"order": event.data["order"]})

    # tests/test_confirm.py
    from cloudevents.http import CloudEvent
    from darkroom.serving.testing import deliver

    def placed(order: int, total: int) -> CloudEvent:
        return CloudEvent({"type": "shop.order.placed", "source": "/shop"}, {"order": order, "total": total})

    def test_an_order_is_confirmed() -> None:
        delivery = deliver(confirm, placed(7, total=30))

        assert delivery.status == 200
        assert delivery.reply["type"] == "shop.order.confirmed"
        assert delivery.reply.data == {"order": 7}

    def test_an_order_of_nothing_gets_no_reply() -> None:
        assert deliver(confirm, placed(8, total=0)).status == 204

For HTTP functions, `HttpClient` sends requests to what their `build` makes. It requires httpx, which the extra `client`
installs.

The kit imports no test framework. A test runs these examples.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.serving.testing.deliveries import Delivery, deliver, post
    from darkroom.serving.testing.http_client import HttpClient
    from darkroom.serving.testing.pipeline import MemoryPipeline

_HOMES = {
    "Delivery": "darkroom.serving.testing.deliveries",
    "HttpClient": "darkroom.serving.testing.http_client",
    "MemoryPipeline": "darkroom.serving.testing.pipeline",
    "deliver": "darkroom.serving.testing.deliveries",
    "post": "darkroom.serving.testing.deliveries",
}

__all__ = ["Delivery", "HttpClient", "MemoryPipeline", "deliver", "post"]


def __getattr__(name: str) -> Any:
    """Import on first use: a function without pictures needs neither pydantic nor httpx."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
