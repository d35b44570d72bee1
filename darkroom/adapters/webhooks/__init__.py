"""Sends webhooks by the Standard Webhooks specification (https://www.standardwebhooks.com) to URLs of strangers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SEND_WITHIN_S = 10.0
"""For one try in total: resolving the name, connecting, TLS, sending, and the answer."""


@dataclass(frozen=True, kw_only=True)
class Message:
    webhook_id: str
    body: bytes
    """JSON in UTF-8; the same for every try, since the signature is over these bytes."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How a try ended."""

    failure: str = ""
    """Why it failed, one of `contract.webhooks.FAILURES`; empty: the endpoint has taken the message."""
    detail: str = ""
    """For people. It has no more of the URL than the host, and nothing of the answer but its status."""

    @property
    def is_taken(self) -> bool:
        return not self.failure


class WebhookSender(Protocol):
    def send(self, url: str, message: Message, secrets: Sequence[str]) -> Sent:
        """Try once, within SEND_WITHIN_S. The message is signed with each of the secrets (`whsec_...`). Never raises
        for what the endpoint does."""

    def close(self) -> None: ...
