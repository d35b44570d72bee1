"""What every visitor can do: arrive at his moment, submit, follow his jobs, leave. What he does with it is his story.

A visitor lives through his story once. Locust keeps its users until the end, so he sleeps after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser, task

from darkroom.client import JobState
from darkroom.events.cloudevents import CloudEvent, new_event
from loadtests.ledger import Submission
from loadtests.load import Load
from loadtests.orders import PICTURES, Order
from loadtests.polling import POLL_EVERY_S, WAIT_S
from loadtests.recording import POLLING, WAITING

TRIES = 8
"""How often one POST that is refused temporarily is sent, as a good client would."""
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_FOR_NOW = {0, 429, 502, 503, 504}
"""Answers that call for a retry; 0 is none at all."""
_SOURCE = "/darkroom/loadtests"


class Visitor(FastHttpUser):
    abstract = True
    network_timeout = WAIT_S + 30.0
    load: ClassVar[Load]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._has_been_here = False

    def visit(self) -> None:
        raise NotImplementedError

    @task
    def come_and_go(self) -> None:
        if self._has_been_here:
            # Also after a story that broke: locust would begin it anew.
            gevent.sleep(float("inf"))
        self._has_been_here = True
        places = self.load.places
        moment = places.next_moment()
        if moment is None:
            return
        gevent.sleep(max(0.0, moment - self.load.clock()))
        places.arrived(moment)
        try:
            self.visit()
        finally:
            places.left()

    def submission(self, *orders: Order) -> Submission:
        return self.load.submission(*orders, story=type(self).__name__)

    # --- submitting --------------------------------------------------------------------------------------------------

    def post_picture(self, submission: Submission, order: Order) -> None:
        """Post the picture as the body, with the parameters in the query; the same submission again is the same job."""
        path = f"{order.job_type.path}?{order.query}"
        headers = {"content-type": PICTURES[order.picture].content_type, "idempotency-key": submission.key}
        self._insist(submission, f"POST {order.job_type.name}", path, headers, self.load.pictures[order.picture])

    def post_events(self, submission: Submission, name: str, headers: Mapping[str, str], body: bytes) -> None:
        self._insist(submission, name, "/api/v1/events", headers, body)

    def _insist(self, submission: Submission, name: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send the same POST, as a good client would, until it is accepted, refused permanently, or was tried often
        enough.
        """
        for tried in range(TRIES):
            request_id = self.load.ledger.sent(submission)
            all_headers = {**self.load.headers, **headers, "x-request-id": request_id}
            answer = self.client.post(path, data=body, headers=all_headers, name=name)
            if answer.status_code == 202:
                self.load.ledger.accepted(submission, _job_ids(answer.json()))
                return
            self.load.ledger.refused(submission, _refusal(answer))
            if answer.status_code not in _FOR_NOW:
                break
            gevent.sleep(_pause_s(answer, tried))
        self.load.ledger.given_up(submission)

    def upload(self, order: Order) -> str | None:
        """Upload straight to storage by a signed URL. Returns the storage key, if that worked."""
        signed = self.client.post("/api/v1/uploads", headers=dict(self.load.headers), name="POST uploads")
        if signed.status_code != 201:
            return None
        place = signed.json()
        upload = place["upload"]
        stored = self.client.request(
            upload["method"],
            upload["url"],
            data=self.load.pictures[order.picture],
            headers=upload["headers"],
            name=f"{upload['method']} signed upload",
        )
        return str(place["storage_key"]) if stored.status_code in {200, 201, 204} else None

    def event(self, submission: Submission, number: int, order: Order, storage_key: str) -> CloudEvent:
        """Make the event that requests the submission's picture of that number."""
        data = {"parameters": dict(order.parameters), "input": {"storage_key": storage_key}}
        return new_event(order.job_type.event_type, _SOURCE, data, id=f"{submission.key}.{number}")

    # --- following ---------------------------------------------------------------------------------------------------

    def wait_for(self, job_ids: Iterable[str]) -> None:
        """Wait with one long request after the other."""
        for job_id in job_ids:
            self._follow(job_id, query=f"?wait={WAIT_S}", pause_s=0)

    def poll(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._follow(job_id, query="", pause_s=POLL_EVERY_S)

    def _follow(self, job_id: str, *, query: str, pause_s: float) -> None:
        while not self._look(job_id, query):
            gevent.sleep(pause_s)

    def _look(self, job_id: str, query: str) -> bool:
        """Return whether there is nothing more to see: the job has ended, or cannot be read, which the audit will find
        out.
        """
        name, by = ("GET job, waiting", WAITING) if query else ("GET job", POLLING)
        answer = self.client.get(f"/api/v1/jobs/{job_id}{query}", headers=dict(self.load.headers), name=name)
        if answer.status_code in _FOR_NOW:
            gevent.sleep(_pause_s(answer, 0))
            return self.load.is_over
        if answer.status_code != 200:
            return True
        return self.load.seen(JobState(document=answer.json()), by) or self.load.is_over


def _job_ids(document: Mapping[str, Any]) -> list[str]:
    return [str(job["job_id"]) for job in document.get("jobs", [document])]


def _refusal(answer: Any) -> str:
    """Return the status with the problem's code: `429 rate.limited`."""
    if not answer.status_code:
        return "no answer"
    try:
        code = answer.json().get("code", "")
    except (ValueError, AttributeError):
        # Not a problem document: of a proxy, say.
        code = ""
    return f"{answer.status_code} {code}".rstrip()


def _pause_s(answer: Any, tried: int) -> float:
    asked = (answer.headers or {}).get("retry-after", "")
    return min(float(asked) if asked.isdecimal() else _PAUSE_S * 2**tried, _LONGEST_PAUSE_S)
