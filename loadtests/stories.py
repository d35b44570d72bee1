"""The stories of visitors. Each class is one kind of client, and its `visit` is its story."""

from __future__ import annotations

import gevent

from darkroom.contract.jobs import JobInput, JobMessage, JobMetadata
from darkroom.events.cloudevents import encode_batch, encode_binary, encode_structured, new_event
from loadtests.visitor import Visitor

BATCH_SIZE = 10


class UploadAndWait(Visitor):
    """Posts a picture, and waits for its end with one long request."""

    def visit(self) -> None:
        order = self.load.next_order()
        submission = self.submission(order)
        self.post_picture(submission, order)
        self.wait_for(submission.job_ids)


class UploadAndPoll(Visitor):
    """Posts a picture, and polls it every second, as many clients do."""

    def visit(self) -> None:
        order = self.load.next_order()
        submission = self.submission(order)
        self.post_picture(submission, order)
        self.poll(submission.job_ids)


class EventSender(Visitor):
    """Uploads a picture to storage by a signed URL, and requests the job by a CloudEvent."""

    def visit(self) -> None:
        order = self.load.next_order()
        storage_key = self.upload(order)
        if storage_key is None:
            return
        submission = self.submission(order)
        headers, body = encode_structured(self.event(submission, 0, order, storage_key))
        self.post_events(submission, "POST event", headers, body)
        self.wait_for(submission.job_ids)


class BrokerRepeater(Visitor):
    """Sends the event of an accepted job straight to the Broker once more, as an at-least-once sender does.

    A job begins with ingest, which writes its record: an event for a job that nobody accepted is a dead letter. A
    second event for an accepted job must change nothing.
    """

    def visit(self) -> None:
        order = self.load.next_order()
        storage_key = self.upload(order)
        if storage_key is None:
            return
        submission = self.submission(order)
        event = self.event(submission, 0, order, storage_key)
        headers, body = encode_binary(event)
        self.post_events(submission, "POST event", headers, body)
        for job_id in submission.job_ids:
            message = JobMessage(
                job_id=job_id,
                type=order.job_type.name,
                parameters=dict(order.parameters),
                input=JobInput(storage_key=storage_key),
                metadata=JobMetadata(created_at=event.time, request_id=submission.key),
            )
            again = new_event(event.type, event.source, message.model_dump(mode="json"), subject=job_id)
            headers, body = encode_binary(again)
            self.client.post(self.load.broker_url, data=body, headers=headers, name="POST event at the Broker")
        self.wait_for(submission.job_ids)


class DuplicateSender(Visitor):
    """Posts the same picture twice at once with one Idempotency-Key: an impatient client. It must become one job."""

    def visit(self) -> None:
        order = self.load.next_order()
        submission = self.submission(order)
        gevent.joinall([gevent.spawn(self.post_picture, submission, order) for _ in range(2)])
        self.wait_for(submission.job_ids)


class DuplicateEventSender(Visitor):
    """Sends the same CloudEvent, by source and id, twice at once. It must become one job."""

    def visit(self) -> None:
        order = self.load.next_order()
        storage_key = self.upload(order)
        if storage_key is None:
            return
        submission = self.submission(order)
        headers, body = encode_binary(self.event(submission, 0, order, storage_key))
        sends = [gevent.spawn(self.post_events, submission, "POST event, twice", headers, body) for _ in range(2)]
        gevent.joinall(sends)
        self.wait_for(submission.job_ids)


class BatchImporter(Visitor):
    """Uploads ten pictures to storage and requests all of them with one batch of CloudEvents."""

    def visit(self) -> None:
        brought = []
        for _ in range(BATCH_SIZE):
            order = self.load.next_order()
            storage_key = self.upload(order)
            if storage_key is not None:
                brought.append((order, storage_key))
        if not brought:
            return
        submission = self.submission(*(order for order, _ in brought))
        wanted = [self.event(submission, number, *one) for number, one in enumerate(brought)]
        headers, body = encode_batch(wanted)
        self.post_events(submission, "POST batch of events", headers, body)
        self.wait_for(submission.job_ids)


STORIES: dict[str, type[Visitor]] = {
    story.__name__: story
    for story in (
        UploadAndWait,
        UploadAndPoll,
        EventSender,
        BrokerRepeater,
        DuplicateSender,
        DuplicateEventSender,
        BatchImporter,
    )
}
