"""Webhook endpoints: who is told of which ends, and how a job remembers it.

A job's record has its owner's endpoints from its acceptance, so that whoever ends the job knows that somebody must be
told, in the same step, and needs neither the endpoints' addresses nor their secrets.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

ENDPOINT_ID = r"we_[0-9a-z]{12}"
ID_PREFIX = "we_"
MAX_ENDPOINTS_PER_KEY = 8
"""All of a job's endpoints are in its record."""
SECRETS_AT_ONCE = 2
"""While rotating, a message is signed with the new secret and with the old one."""

JOB_COMPLETED, JOB_FAILED = "job.completed", "job.failed"
EVENTS = (JOB_COMPLETED, JOB_FAILED)
FAILURES = (
    "webhook.answered",  # another status than 2xx
    "webhook.redirected",
    "webhook.timeout",
    "webhook.unreachable",
    "webhook.name_unknown",
    "webhook.tls",
    "webhook.address_refused",
    "webhook.no_http",
    "webhook.no_secret",
    "webhook.revoked",
)
"""Why a try failed."""
_LETTERS = {JOB_COMPLETED: "c", JOB_FAILED: "f"}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    id: str
    key_id: str
    """The API key whose jobs it is told of; empty: the jobs made where keys are off."""
    url: str
    events: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def host(self) -> str:
        """The host, which may be shown; paths and queries of such URLs often contain secrets."""
        return urlsplit(self.url).hostname or ""


def new_endpoint_id() -> str:
    alphabet = string.digits + string.ascii_lowercase
    return ID_PREFIX + "".join(secrets.choice(alphabet) for _ in range(12))


def subscriptions(endpoints: Iterable[Endpoint]) -> str:
    """Return the endpoints as a job's record has them: `we_...` for both kinds of end, else `we_...:c` or `we_...:f`,
    separated by commas."""
    return ",".join(_subscription(endpoint) for endpoint in endpoints if endpoint.revoked_at is None)


def subscribers(subscribed: str, *, completed: bool) -> tuple[str, ...]:
    """Return the ids of the endpoints that are told of an end of this kind."""
    wanted = ("", "c" if completed else "f")
    pairs = (entry.partition(":") for entry in subscribed.split(",") if entry)
    return tuple(endpoint_id for endpoint_id, _, letter in pairs if letter in wanted)


def _subscription(endpoint: Endpoint) -> str:
    if set(endpoint.events) == set(EVENTS):
        return endpoint.id
    return f"{endpoint.id}:{''.join(_LETTERS[event] for event in endpoint.events)}"
