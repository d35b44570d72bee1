"""Sends what is owed to the endpoints that an event names, until nothing is due.

The events only wake it: what is owed is in the job store. So an event that is lost costs time, until the sweep's next
one, and an event that is repeated finds nothing to do.
"""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

from darkroom.adapters.jobs.owed import OwedWebhook, SendOutcome
from darkroom.adapters.webhooks import Message, Sent
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.webhooks import MAX_ENDPOINTS_PER_KEY
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import Done, EventAnswer, TryAgain
from darkroom.serving.delivery_spans import Arrival
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

SEND_FOR_S = 20.0
"""How long one event keeps sending to an endpoint; what is still due then has the next event. With the last try's ten
seconds it stays below the Service's timeoutSeconds."""
JITTER = 0.2
"""The part of a delay by which it varies, so that what failed together does not come back together."""

log = get_logger()


class Notifications:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def handle(self, event: CloudEvent) -> EventAnswer:
        with Arrival(event).processing(None) as span:
            try:
                self._drain_all(events.webhook_endpoints(event)[:MAX_ENDPOINTS_PER_KEY])
            except DependencyUnavailableError as exc:
                log.warning("notify.deferred", event_type=event.type, error=exc.detail)
                span.failed("try_again", exc.detail)
                return TryAgain(reason=exc.detail, retry_after_s=exc.retry_after_s)
        return Done()

    def _drain_all(self, endpoint_ids: tuple[str, ...]) -> None:
        """Send to each endpoint for itself: one that is slow does not hold up the others."""
        if len(endpoint_ids) < 2:
            for endpoint_id in endpoint_ids:
                self._drain(endpoint_id)
            return
        with ThreadPoolExecutor(len(endpoint_ids), thread_name_prefix="notify") as pool:
            for draining in [pool.submit(self._drain, endpoint_id) for endpoint_id in endpoint_ids]:
                draining.result()

    def _drain(self, endpoint_id: str) -> None:
        give_up_at = time.monotonic() + SEND_FOR_S
        while time.monotonic() < give_up_at:
            owed = self._resources.jobs.owed.take(endpoint_id)
            if owed is None:
                return
            self._tell(owed)

    def _tell(self, owed: OwedWebhook) -> None:
        sent = self._send(owed)
        ids = {"webhook_id": owed.webhook_id, "endpoint_id": owed.endpoint_id, "job_id": str(owed.job_id)}
        if sent.is_taken:
            self._resources.jobs.owed.settle(owed, SendOutcome.TOLD)
            log.info("webhook.sent", tries=owed.tries + 1, **ids)
            return
        delay_s = self._delay_s(owed.tries)
        outcome = SendOutcome.GIVEN_UP if delay_s is None else SendOutcome.LATER
        if sent.failure == "webhook.revoked":
            outcome = SendOutcome.REVOKED
        self._resources.jobs.owed.settle(owed, outcome, error=sent.failure, delay_s=delay_s or 0.0)
        log.warning(
            "webhook.failed", tries=owed.tries + 1, outcome=outcome.value, error=sent.failure, detail=sent.detail, **ids
        )

    def _send(self, owed: OwedWebhook) -> Sent:
        endpoints = self._resources.webhook_endpoints
        endpoint = endpoints.get(owed.endpoint_id)
        if endpoint is not None and endpoint.revoked_at is not None:
            return Sent(failure="webhook.revoked", detail="the endpoint was revoked")
        if endpoint is None:
            # Perhaps not yet: a Secret reaches the pods in its own time.
            return Sent(failure="webhook.no_secret", detail="the endpoint is not in WEBHOOKS_FILE")
        body = json.dumps(owed.body, separators=(",", ":"), allow_nan=False).encode()
        message = Message(webhook_id=owed.webhook_id, body=body)
        return self._resources.webhook_sender.send(endpoint.url, message, endpoints.secrets(endpoint.id))

    def _delay_s(self, tries: int) -> float | None:
        """Return how long to wait after one more failed try, or None if it was the last."""
        delays_s = self._resources.settings.webhook_retry_delays_s
        if tries >= len(delays_s):
            return None
        # Jitter needs no secrecy.
        return delays_s[tries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
