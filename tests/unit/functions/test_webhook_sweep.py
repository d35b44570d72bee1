"""What recovery's sweep does for webhooks, and that ingest gives each job its key's endpoints."""

from __future__ import annotations

from darkroom.adapters.deadletters import WEBHOOK
from darkroom.adapters.jobs.owed import SendOutcome
from darkroom.contract import events
from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.webhooks import subscribers
from darkroom.events.cloudevents import from_json_object, new_event
from darkroom.serving.answers import Done
from darkroom.serving.testing import MemoryPipeline
from functions.recovery.app import build
from functions.recovery.recovery import WAKE_UP

ONE, ANOTHER = "we_aaaaaaaaaaa1", "we_aaaaaaaaaaa2"


class World(MemoryPipeline):
    def __init__(self) -> None:
        super().__init__("recovery")
        self.recovery = build(self.resources)

    def sweep(self) -> None:
        assert self.recovery.handle(new_event(WAKE_UP, "/ping", {})) == Done()

    def failed(self, webhooks: str = ONE) -> str:
        job_id = self.accept(webhooks=webhooks)
        self.jobs.fail(self.claim(job_id), ImageCorruptError("not a picture"))
        return str(job_id)


def test_an_end_whose_event_was_lost_is_found_by_the_sweep() -> None:
    world = World()
    for _ in range(3):
        world.failed()
    world.failed(ANOTHER)
    world.sweep()
    told = [events.webhook_endpoints(event) for event in world.emitted(events.WEBHOOK_DUE)]
    assert sorted(told) == [(ONE,), (ONE,), (ONE,), (ANOTHER,)]
    assert len({event.id for event in world.emitter.events}) == 4


def test_the_sweep_wakes_no_more_senders_than_may_send_at_once() -> None:
    world = World()
    for _ in range(20):
        world.failed()
    world.sweep()
    assert len(world.emitted(events.WEBHOOK_DUE)) == 4


def test_nothing_is_emitted_where_nothing_is_due() -> None:
    world = World()
    world.failed("")
    world.failed()
    owed = world.jobs.owed.take(ONE)
    assert owed is not None
    world.sweep()
    assert world.emitter.events == []


def test_what_is_given_up_is_kept_with_all_that_a_redrive_needs() -> None:
    world = World()
    job_id = world.failed()
    owed = world.jobs.owed.take(ONE)
    assert owed is not None
    world.jobs.owed.settle(owed, SendOutcome.GIVEN_UP, error="webhook.timeout")
    for _ in range(2):
        world.sweep()
    (kept,) = world.dead_letters.list()
    letter = kept.letter
    assert (letter.origin, letter.reason, letter.job_id, letter.job_type) == (WEBHOOK, "webhook.timeout", job_id, None)
    event = from_json_object(letter.event)
    assert (event.id, event.json()) == (owed.webhook_id, owed.body)
    assert events.webhook_endpoints(event) == (ONE,)


def test_a_dead_letter_that_only_wakes_is_not_kept() -> None:
    world = World()
    job_id = world.failed()
    end = events.ended(world.record(job_id), source="/darkroom/resize")
    for letter in (
        events.webhook_due(ONE, source="/darkroom/recovery"),
        end.with_extensions(knativeerrordest="http://notify.darkroom.svc.cluster.local/"),
        end,
    ):
        assert world.recovery.handle(letter) == Done()
    assert world.dead_letters.list() == []


def test_a_dead_letter_of_another_subscriber_to_an_end_is_kept() -> None:
    world = World()
    job_id = world.failed()
    end = events.ended(world.record(job_id), source="/darkroom/resize")
    world.recovery.handle(end.with_extensions(knativeerrordest="http://audit.darkroom.svc.cluster.local/"))
    assert len(world.dead_letters.list()) == 1


def test_a_job_that_recovery_gives_up_is_told_too() -> None:
    world = World()
    job_id = world.accept(webhooks=f"{ONE},{ANOTHER}:c")
    for _ in range(3):
        world.claim(job_id, worker="dies")
        world.advance(60)
    world.sweep()
    (event,) = world.emitted(events.JOB_FAILED)
    assert events.webhook_endpoints(event) == (ONE,)
    assert [state.endpoint_id for state in world.jobs.owed.of_job(job_id)] == [ONE]


def test_which_endpoints_want_which_end() -> None:
    both = f"{ONE},{ANOTHER}:f"
    assert subscribers(both, completed=True) == (ONE,)
    assert subscribers(both, completed=False) == (ONE, ANOTHER)
    assert subscribers("", completed=True) == ()
