"""How notify sends what is owed, with fakes for the outside systems, and real files of endpoints."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from darkroom.adapters.webhooks import Message, Sent
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError, ImageCorruptError
from darkroom.contract.jobs import JobResult
from darkroom.contract.webhooks import Endpoint
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import Done, TryAgain
from darkroom.serving.settings import WEBHOOK_RETRY_DELAYS_S
from darkroom.serving.testing import MemoryPipeline
from darkroom.serving.webhook_endpoints import LOOK_EVERY_S, WebhookEndpoints
from darkroom.serving.webhook_file import WebhookSecret, write_endpoints, write_secrets
from functions.notify.app import build
from functions.notify.notifications import JITTER

ONE, ANOTHER = "we_aaaaaaaaaaa1", "we_aaaaaaaaaaa2"
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Recorder:
    """A sender that answers as a test says, and records what it was given."""

    def __init__(self) -> None:
        self.answer: Callable[[str], Sent] = lambda _: Sent()
        self.sent: list[tuple[str, Message, list[str]]] = []

    def send(self, url: str, message: Message, secrets: Sequence[str]) -> Sent:
        self.sent.append((url, message, list(secrets)))
        return self.answer(url)

    def close(self) -> None:
        """Nothing is open."""


class World(MemoryPipeline):
    def __init__(self, folder: Path, **settings: str) -> None:
        self.files = {"WEBHOOKS_FILE": str(folder / "w.json"), "WEBHOOK_SECRETS_FILE": str(folder / "s.json")}
        super().__init__("notify", settings={**self.files, **settings})
        self.sender = self.resources.webhook_sender = Recorder()
        self.elapsed_s = 0.0
        self.resources.webhook_endpoints = WebhookEndpoints(
            Path(self.files["WEBHOOKS_FILE"]), Path(self.files["WEBHOOK_SECRETS_FILE"]), clock=lambda: self.elapsed_s
        )
        self.put(endpoint(ONE), endpoint(ANOTHER))
        self.notify = build(self.resources)

    def put(self, *endpoints: Endpoint, secrets: Sequence[WebhookSecret] = (WebhookSecret(secret=SECRET),)) -> None:
        write_endpoints(Path(self.files["WEBHOOKS_FILE"]), endpoints)
        write_secrets(Path(self.files["WEBHOOK_SECRETS_FILE"]), {one.id: list(secrets) for one in endpoints})
        self.elapsed_s += LOOK_EVERY_S

    def ended(self, webhooks: str = ONE) -> tuple[UUID, CloudEvent]:
        job_id = self.accept(webhooks=webhooks)
        lease = self.claim(job_id)
        self.jobs.complete(lease, JobResult(storage_key="k", content_type="image/png", width=1, height=1, bytes=1), {})
        return job_id, events.ended(self.record(job_id), source="/darkroom/resize")

    def due(self, endpoint_id: str = ONE) -> CloudEvent:
        return events.webhook_due(endpoint_id, source="/darkroom/recovery")


def endpoint(endpoint_id: str) -> Endpoint:
    url = f"https://{endpoint_id.replace('_', '-')}.example.com/hook"
    return Endpoint(id=endpoint_id, key_id="", url=url, events=("job.completed", "job.failed"), created_at=NOW)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_ends_event_has_the_job_told_to_its_endpoints(world: World) -> None:
    job_id, event = world.ended(f"{ONE},{ANOTHER}")
    assert world.notify.handle(event) == Done()
    assert sorted(url for url, _, _ in world.sender.sent) == [endpoint(ONE).url, endpoint(ANOTHER).url]
    for _, message, secrets in world.sender.sent:
        assert json.loads(message.body) == world.record(job_id).view() == event.json()
        assert message.webhook_id == world.record(job_id).webhook_id
        assert secrets == [SECRET]
    assert world.jobs.owed.of_job(job_id) == []


def test_an_event_that_is_repeated_tells_nobody_again(world: World) -> None:
    _, event = world.ended()
    for _ in range(3):
        assert world.notify.handle(event) == Done()
    assert len(world.sender.sent) == 1


def test_a_due_event_sends_everything_that_is_due(world: World) -> None:
    for _ in range(5):
        world.ended()
    assert world.notify.handle(world.due()) == Done()
    assert len({message.webhook_id for _, message, _ in world.sender.sent}) == 5


def test_a_failed_try_is_repeated_with_the_same_bytes_after_each_delay_and_then_given_up(world: World) -> None:
    world.sender.answer = lambda _: Sent(failure="webhook.answered", detail="answered 500")
    job_id, event = world.ended()
    world.notify.handle(event)
    for number, delay_s in enumerate(WEBHOOK_RETRY_DELAYS_S, start=1):
        assert len(world.sender.sent) == number
        world.advance(delay_s * (1 - JITTER) - 0.1)
        world.notify.handle(world.due())
        assert len(world.sender.sent) == number, "it was tried before its delay was over"
        world.advance(delay_s * 2 * JITTER + 0.2)
        world.notify.handle(world.due())
    assert len(world.sender.sent) == 1 + len(WEBHOOK_RETRY_DELAYS_S)
    assert len({(message.webhook_id, message.body) for _, message, _ in world.sender.sent}) == 1
    (state,) = world.jobs.owed.of_job(job_id)
    assert (state.next_try_at, state.tries, state.error) == (None, 9, "webhook.answered")


def test_eight_retries_take_28_hours() -> None:
    assert len(WEBHOOK_RETRY_DELAYS_S) == 8
    assert round(sum(WEBHOOK_RETRY_DELAYS_S) / 3600) == 28


def test_an_endpoint_that_fails_does_not_keep_another_from_being_told(world: World) -> None:
    world.sender.answer = lambda url: Sent(failure="webhook.timeout") if "1." in url else Sent()
    job_id, event = world.ended(f"{ONE},{ANOTHER}")
    assert world.notify.handle(event) == Done()
    assert [state.endpoint_id for state in world.jobs.owed.of_job(job_id)] == [ONE]


def test_a_revoked_endpoint_is_told_nothing_and_what_it_was_owed_is_dropped(world: World) -> None:
    job_id, event = world.ended()
    world.put(replace(endpoint(ONE), revoked_at=NOW))
    assert world.notify.handle(event) == Done()
    assert world.sender.sent == []
    assert world.jobs.owed.of_job(job_id) == []


def test_an_endpoint_that_is_not_yet_in_the_file_is_told_later(world: World) -> None:
    world.put(endpoint(ANOTHER))
    job_id, event = world.ended()
    world.notify.handle(event)
    assert [state.error for state in world.jobs.owed.of_job(job_id)] == ["webhook.no_secret"]
    world.put(endpoint(ONE))
    world.advance(10)
    world.notify.handle(world.due())
    assert len(world.sender.sent) == 1


def test_a_new_secret_is_used_within_a_second_and_an_expired_one_no_more(world: World) -> None:
    old = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    expired = WebhookSecret(secret=old, valid_until=NOW)
    world.put(endpoint(ONE), secrets=[WebhookSecret(secret=SECRET), expired])
    world.notify.handle(world.ended()[1])
    both = [WebhookSecret(secret=SECRET), WebhookSecret(secret=old, valid_until=datetime(2100, 1, 1, tzinfo=UTC))]
    world.put(endpoint(ONE), secrets=both)
    world.notify.handle(world.ended()[1])
    assert [secrets for _, _, secrets in world.sender.sent] == [[SECRET], [SECRET, old]]


def test_a_file_that_cannot_be_read_any_more_leaves_what_was_read(world: World) -> None:
    world.notify.handle(world.ended()[1])
    Path(world.files["WEBHOOKS_FILE"]).write_text("{")
    world.elapsed_s += LOOK_EVERY_S
    world.notify.handle(world.ended()[1])
    assert len(world.sender.sent) == 2


def test_while_the_job_store_is_away_the_event_comes_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, event = world.ended()

    def away(endpoint_id: str) -> None:
        raise DependencyUnavailableError("jobs", "away")

    monkeypatch.setattr(world.jobs.owed, "take", away)
    assert isinstance(world.notify.handle(event), TryAgain)


def test_a_failed_job_is_told_with_its_error(world: World) -> None:
    job_id = world.accept(webhooks=ONE)
    world.jobs.fail(world.claim(job_id), ImageCorruptError("not a picture"))
    world.notify.handle(events.ended(world.record(job_id), source="/darkroom/resize"))
    ((_, message, _),) = world.sender.sent
    assert json.loads(message.body)["error"]["code"] == "image.corrupt"
