"""What the sweep does for webhooks: it wakes whoever sends them, and keeps those that were given up.

It sends none itself: recovery reaches the inside of the cluster, and webhooks go to strangers.
"""

from __future__ import annotations

from darkroom.adapters.deadletters import WEBHOOK, DeadLetter
from darkroom.adapters.jobs.owed import AT_ONCE_PER_ENDPOINT, OwedWebhook
from darkroom.contract import events
from darkroom.events.cloudevents import CloudEvent, json_object, new_event
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

KEPT_AT_ONCE = 200

log = get_logger()


class WebhookSweep:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._source = f"/darkroom/{resources.settings.service}"

    def sweep(self) -> None:
        """Raises DependencyUnavailableError; the next sweep finds what this one has not done."""
        owed = self._resources.jobs.owed
        for given_up in owed.given_up(limit=KEPT_AT_ONCE):
            self._resources.dead_letters.keep(_letter(given_up, self._source), key=_key(given_up))
            owed.kept(given_up)
            log.error("webhook.given_up", webhook_id=given_up.webhook_id, endpoint_id=given_up.endpoint_id)
        for endpoint_id, due in owed.due().items():
            for _ in range(min(due, AT_ONCE_PER_ENDPOINT)):
                self._resources.emitter.emit(events.webhook_due(endpoint_id, source=self._source))


def is_wake_up(event: CloudEvent) -> bool:
    """Report whether a dead letter only says that webhooks may be due. Nothing is lost with it, and the sweep says it
    again; a letter of another subscriber to the same event names that subscriber."""
    if not events.webhook_endpoints(event):
        return False
    subscriber = str(event.extensions.get("knativeerrordest", ""))
    return event.type == events.WEBHOOK_DUE or not subscriber or "notify" in subscriber


def _key(owed: OwedWebhook) -> str:
    return f"{owed.webhook_id}:{owed.endpoint_id}"


def _letter(owed: OwedWebhook, source: str) -> DeadLetter:
    """Its event has all that is needed to owe the webhook again; the message is its data."""
    event = new_event(
        events.JOB_COMPLETED if owed.body.get("status") == "completed" else events.JOB_FAILED,
        source,
        owed.body,
        id=owed.webhook_id,
        subject=str(owed.job_id),
        extensions={events.WEBHOOKS_EXTENSION: owed.endpoint_id},
    )
    return DeadLetter(
        reason=owed.error,
        detail=f"endpoint {owed.endpoint_id} did not take it in {owed.tries} tries",
        event=json_object(event),
        job_id=str(owed.job_id),
        attempts=owed.tries,
        origin=WEBHOOK,
    )
