"""What follows from each answer of a foreign subscriber: the table of `delivery_matrix`, run all at once.

It runs in a `darkroom up` of its own, or against a cluster by address; see tests/README.md.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.delivery_matrix import (
    BROKER,
    CASES,
    KINDS,
    NAMESPACE,
    RELEASED,
    RETRY,
    Case,
    Kind,
    Letter,
    manifests,
)
from tests.scripted_http import Received, Reply, answering_server
from tests.stack import RunningStack, eventually, running_stack

BROKER_URL = os.environ.get("DARKROOM_MATRIX_BROKER_URL", "")
"""Of a cluster's Broker `delivery-matrix/matrix`, as the test reaches it. Unset: a `darkroom up` of the test's own."""
CHANNEL_URL = os.environ.get("DARKROOM_MATRIX_CHANNEL_URL", "")
"""Of the channels' dispatcher, which tells them apart by the Host header. Unset: no Subscriptions on a cluster."""
SUBSCRIBER = os.environ.get("DARKROOM_MATRIX_SUBSCRIBER", "127.0.0.1:0")
"""Host and port at which the test's subscriber listens."""
SETTLED_WITHIN_S = 60.0
QUIET_S = 5.0
"""On a cluster: how long nothing must come until nothing more is expected. It is longer than any backoff or timeout."""
ERROR_ATTRIBUTES = ("ce-knativeerrordest", "ce-knativeerrorcode", "ce-knativeerrordata")

BY_NAME = {case.name: case for case in CASES}


@dataclass
class Subscriber:
    """Answers as the table says, and knows what it was sent in this run."""

    run: str = field(default_factory=lambda: uuid4().hex)
    url: str = ""
    received: list[Received] = field(default_factory=list)
    last_at: float = field(default_factory=time.monotonic)

    def id(self, kind: Kind, case: Case) -> str:
        return f"{self.run}-{kind}-{case.name}"

    def answer(self, request: Received) -> Reply:
        _, place, *rest = request.path.split("/")
        if not request.headers.get("ce-id", "").startswith(self.run):
            return Reply(status=204)  # Of an earlier run.
        self.received.append(request)
        self.last_at = time.monotonic()
        if place == "letters":
            return Reply(status=BY_NAME[rest[1]].sink_status)
        if place == "replies":
            return Reply(status=204)
        case = BY_NAME[rest[0]]
        attempt = sum(request.path == each.path for each in self.received)
        return _fresh(case.replies[min(attempt, len(case.replies)) - 1], f"{request.headers['ce-id']}-reply")

    def deliveries(self, kind: Kind, case: Case) -> list[Received]:
        return self._at(f"/{kind}/{case.name}")

    def letters(self, kind: Kind, case: Case) -> list[Received]:
        return self._at(f"/letters/{kind}/{case.name}")

    def replies(self, kind: Kind, case: Case) -> list[Received]:
        id = f"{self.id(kind, case)}-reply"
        return [each for each in self._at(f"/replies/{kind}") if each.headers["ce-id"] == id]

    def _at(self, path: str) -> list[Received]:
        return [each for each in list(self.received) if each.path == path]


def _fresh(reply: Reply, id: str) -> Reply:
    """Give the event in a reply, if there is one, an id of its own: a Broker drops what comes twice."""
    if "ce-id" in reply.headers:
        return replace(reply, headers={**reply.headers, "ce-id": id})
    if reply.headers.get("content-type") == "application/cloudevents+json":
        return replace(reply, body=json.dumps({**json.loads(reply.body), "id": id}).encode())
    return reply


# --- where it runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    subscriber: Subscriber
    broker_url: str
    channel_url: str
    """Empty: there are no channels."""
    stack: RunningStack | None

    def kinds(self) -> tuple[Kind, ...]:
        return KINDS if self.channel_url else ("trigger",)

    def send(self, kind: Kind, case: Case) -> None:
        headers = {
            "ce-specversion": "1.0",
            "ce-id": self.subscriber.id(kind, case),
            "ce-source": "/matrix",
            "ce-type": case.event_type,
            "content-type": "application/json",
        }
        url = self.broker_url
        if kind == "subscription":
            url = f"{self.channel_url.rstrip('/')}/"
            headers["host"] = f"{case.channel}-kn-jsm-channel.{NAMESPACE}.svc.cluster.local"
        answer = httpx.post(url, headers=headers, content=b'{"a":1}', timeout=30)
        assert answer.status_code == 202, (case.name, answer.status_code, answer.text)

    def has_ended(self) -> bool:
        """Whether nothing more is to come. The runtime's own counts say so; on a cluster, that all is quiet."""
        if self.stack is None:
            return time.monotonic() - self.subscriber.last_at > QUIET_S
        status = self.stack.status()
        rows = {(kind, row["name"]): row for kind in KINDS for row in status[f"{kind}s"]}
        return all(_has_ended(rows[kind, case.name]) for kind in KINDS for case in CASES)


def _has_ended(row: dict[str, Any]) -> bool:
    is_taken = int(row["delivered"]) > int(row["retried"])
    return is_taken and (row["backlog"], row["in_flight"]) == (0, 0)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The whole table, run."""
    subscriber = Subscriber()
    host, _, port = SUBSCRIBER.rpartition(":")
    with answering_server(subscriber.answer, host=host, port=int(port)) as subscriber.url:
        try:
            with _place(subscriber, tmp_path_factory.mktemp("matrix")) as place:
                rows = [(kind, case) for kind in place.kinds() for case in CASES]
                with ThreadPoolExecutor(8) as threads:
                    list(threads.map(lambda row: place.send(*row), rows))
                eventually(place.has_ended, within_s=SETTLED_WITHIN_S, what="all rows have ended")
                yield place
        finally:
            RELEASED.set()


def _place(subscriber: Subscriber, folder: Path) -> AbstractContextManager[Place]:
    if BROKER_URL:
        return _cluster(subscriber)
    return _own_stack(subscriber, folder)


@contextmanager
def _cluster(subscriber: Subscriber) -> Iterator[Place]:
    yield Place(subscriber=subscriber, broker_url=BROKER_URL, channel_url=CHANNEL_URL, stack=None)


@contextmanager
def _own_stack(subscriber: Subscriber, folder: Path) -> Iterator[Place]:
    text = "\n---\n".join(json.dumps(manifest) for manifest in manifests(subscriber.url))
    (folder / "matrix.yaml").write_text(text)
    with running_stack(folder / "data", cwd=folder) as stack:
        ingress = stack.addresses["broker"]
        yield Place(
            subscriber=subscriber,
            broker_url=f"{ingress}/{NAMESPACE}/{BROKER}",
            channel_url=ingress,
            stack=stack,
        )


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_follows_from_an_answer(outcome: Place, case: Case, kind: Kind) -> None:
    if kind not in outcome.kinds():
        pytest.skip("DARKROOM_MATRIX_CHANNEL_URL is not set")
    expected, subscriber = case.expected_for(kind), outcome.subscriber
    letters = subscriber.letters(kind, case) if case.sink_status < 300 else []
    assert len(subscriber.deliveries(kind, case)) == expected.deliveries
    assert len(subscriber.replies(kind, case)) == expected.replies
    assert len(letters) == (expected.letter is not None)
    if expected.letter is not None:
        _check_letter(letters[0], expected.letter, case, kind, subscriber)
    if outcome.stack is not None:
        row = next(row for row in outcome.stack.status()[f"{kind}s"] if row["name"] == case.name)
        assert (row["dead_lettered"], row["lost"]) == (len(letters), int(expected.lost))
        assert row["delivered"] == (expected.deliveries or RETRY + 1)


def _check_letter(letter: Received, expected: Letter, case: Case, kind: Kind, subscriber: Subscriber) -> None:
    assert letter.headers["ce-id"] == subscriber.id(kind, case)
    assert letter.body == b'{"a":1}'
    if expected.code is None:
        assert not set(ERROR_ATTRIBUTES) & set(letter.headers)
        return
    assert letter.headers["ce-knativeerrorcode"] == expected.code
    assert letter.headers["ce-knativeerrordest"] == (case.subscriber or f"{subscriber.url}/{kind}/{case.name}")
    if expected.data is not None:
        assert base64.b64decode(letter.headers["ce-knativeerrordata"]) == expected.data


def test_deliveries_carry_the_event_in_binary_mode_and_ask_for_a_reply(outcome: Place) -> None:
    for kind in outcome.kinds():
        [delivery] = outcome.subscriber.deliveries(kind, BY_NAME["204"])
        assert delivery.method == "POST"
        assert delivery.headers["prefer"] == "reply"
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["ce-type"] == "matrix.204"
        assert "ce-knativebrokerttl" not in delivery.headers
