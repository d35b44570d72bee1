"""Webhooks that are owed: which endpoint must still be told of which end of a job.

An end is owed from the step that ends the job, so none is lost, whatever dies afterwards. What is owed contains all
that is sent, and so it outlives the job's record. It is kept until the endpoint is told, or until it is given up and
with the dead letters, or until its job is erased.

    (job ends) ──▶ due ──take──▶ leased ──settle──▶ told: forgotten
                    ▲                │ the lease runs out      │
                    └────────────────┴──────── later ◀─────────┤
                                                               └──▶ given up ──kept──▶ a dead letter ──owe_again──▶ due
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

SEND_LEASE_S = 30.0
"""How long a sender has; three times what one try may take, so that two never send the same at once."""
AT_ONCE_PER_ENDPOINT = 4
"""Tries that are under way to one endpoint, over all instances. A slow one takes no more of those that send."""


class SendOutcome(StrEnum):
    TOLD = "told"
    LATER = "later"
    GIVEN_UP = "given-up"
    REVOKED = "revoked"
    """The endpoint is no longer there: nobody is to be told."""


@dataclass(frozen=True, kw_only=True)
class OwedWebhook:
    webhook_id: str
    """The same for all tries, and new for each end of a job: `<job id>-<number>`."""
    endpoint_id: str
    body: dict[str, Any]
    """The job as its end event shows it."""
    tries: int
    """How many tries have failed."""
    owed_since: datetime
    error: str = ""
    """The code of the last try's failure."""
    token: str = ""
    """Names the lease."""

    @property
    def job_id(self) -> UUID:
        return UUID(self.webhook_id[:36])


@dataclass(frozen=True, kw_only=True)
class OwedState:
    """What is known about one owed webhook, for people."""

    webhook_id: str
    endpoint_id: str
    tries: int
    owed_since: datetime
    next_try_at: datetime | None
    """None: given up."""
    error: str


class OwedWebhooks(Protocol):
    """Every method raises DependencyUnavailableError("jobs", ...) when the store cannot serve it. All are idempotent
    where a lost answer could make a caller repeat them."""

    def take(self, endpoint_id: str) -> OwedWebhook | None:
        """Lease what is due longest, for SEND_LEASE_S. None: nothing is due, or AT_ONCE_PER_ENDPOINT are under way."""

    def settle(self, owed: OwedWebhook, outcome: SendOutcome, *, error: str = "", delay_s: float = 0.0) -> None:
        """Record how a try ended. LATER makes it due again after `delay_s`. No effect on what was settled or dropped
        meanwhile."""

    def due(self) -> dict[str, int]:
        """Return the endpoints to which something is due, and how much. The sweep calls this."""

    def given_up(self, *, limit: int) -> list[OwedWebhook]:
        """Hand out what was given up and is not yet kept; each is handed out again after a while until `kept`."""

    def kept(self, owed: OwedWebhook) -> None:
        """Record that it is with the dead letters, and forget it."""

    def owe_again(self, webhook_id: str, endpoint_id: str, body: dict[str, Any]) -> bool:
        """Owe it anew with all its tries. False: it is owed already."""

    def of_job(self, job_id: UUID) -> Sequence[OwedState]:
        """Return what is owed for the job, the longest owed first."""

    def drop_owed(self, job_id: UUID) -> int:
        """Forget what is owed for a job that is erased. Returns how many there were. A try that is under way can no
        longer be stopped; it is over within ten seconds, and leaves nothing."""
