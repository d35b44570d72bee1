"""The account of a run: which events are its own, how they end, and what the reckoning makes of it."""

from __future__ import annotations

from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.local.chaos.account import VANISHED, Account, Again, End, Turn, reckoning

BROKER = ("shop", "orders")
BEGAN = "2026-01-01T00:00:10.000Z"


def event(number: int, *, second: int = 20) -> CloudEvent:
    placed = new_event("shop.order.placed", "/test", {}, id=f"order-{number}")
    return placed.with_extensions(knativearrivaltime=f"2026-01-01T00:00:{second}.000Z", knativebrokerttl=255)


def attempted(account: Account, number: int) -> Turn:
    turn = account.begin_attempt("confirm", event(number))
    assert turn is not None
    return turn


def test_events_are_numbered_by_their_first_attempts_and_attempts_by_their_order() -> None:
    account = Account(began=BEGAN)
    turns = [attempted(account, number) for number in (5, 3, 5, 4, 5)]
    assert [(turn.course.number, turn.attempt) for turn in turns] == [(1, 1), (2, 1), (1, 2), (3, 1), (1, 3)]


def test_events_from_before_the_run_and_after_it_are_left_alone() -> None:
    account = Account(began=BEGAN)
    assert account.begin_attempt("confirm", event(1, second=10)) is None
    account.close("2026-01-01T00:00:30.000Z")
    assert account.begin_attempt("confirm", event(2, second=40)) is None
    account.stored(BROKER, event(2, second=40), ["confirm"])
    assert (account.accepted, account.unfinished, account.left_out) == (0, 0, 0)


def test_a_reply_to_an_event_of_the_run_belongs_to_it_even_after_its_end() -> None:
    account = Account(began=BEGAN)
    account.close("2026-01-01T00:00:30.000Z")
    account.adopt("order-2")
    account.stored(BROKER, event(2, second=40), ["confirm"])
    assert (account.accepted, account.unfinished) == (1, 1)


def test_an_event_is_expected_at_each_trigger_that_it_passes_and_ends_at_each() -> None:
    account = Account(began=BEGAN)
    account.stored(BROKER, event(1), ["confirm", "audit"])
    assert account.unfinished_by_trigger() == {"confirm": 1, "audit": 1}
    account.end("confirm", "order-1", End.ACKNOWLEDGED)
    account.end("audit", "order-1", End.DEAD_LETTERED)
    account.end("audit", "unknown", End.LOST)
    assert account.unfinished == 0
    sums = {row.trigger: row for row in reckoning(account, []).triggers}
    assert (sums["confirm"].acknowledged, sums["audit"].dead_lettered) == (1, 1)
    assert reckoning(account, []).is_clean


def test_a_delivery_before_the_streams_confirmation_is_the_same_event() -> None:
    account = Account(began=BEGAN)
    turn = attempted(account, 1)
    account.stored(BROKER, event(1), ["confirm"])
    assert account.accepted == 1
    assert (turn.record.broker, turn.record.ttl) == (BROKER, 255)
    assert account.unfinished == 1


def test_what_never_ended_is_stuck_where_its_trigger_has_work_and_lost_elsewhere() -> None:
    account = Account(began=BEGAN)
    account.stored(BROKER, event(1), ["confirm", "audit"])
    account.note_failure("confirm", "order-1", "503 not now")
    found = reckoning(account, pending=["confirm"])
    assert [(row.trigger, row.why) for row in found.stuck] == [("confirm", "503 not now")]
    assert [(row.trigger, row.why) for row in found.lost] == [("audit", VANISHED)]
    assert not found.is_clean


def test_a_loss_that_was_reported_is_told_with_its_reason_and_what_had_been_done() -> None:
    account = Account(began=BEGAN)
    account.stored(BROKER, event(1), ["confirm"])
    account.executed(attempted(account, 1))
    account.end("confirm", "order-1", End.LOST, "the retries are spent")
    [row] = reckoning(account, []).lost
    assert (row.why, row.executions, row.attempts) == ("the retries are spent", 1, 1)


def test_what_was_acknowledged_once_stays_so() -> None:
    account = Account(began=BEGAN)
    account.stored(BROKER, event(1), ["confirm"])
    account.end("confirm", "order-1", End.ACKNOWLEDGED)
    account.end("confirm", "order-1", End.LOST, "a redelivery after a lost ack")
    assert reckoning(account, []).is_clean


def test_a_repeated_execution_is_told_by_its_cause() -> None:
    account = Account(began=BEGAN)
    twice = attempted(account, 1)
    account.executed(twice)
    account.executed(twice)
    withheld = attempted(account, 2)
    account.executed(withheld)
    withheld.course.answer_lost = True
    account.executed(attempted(account, 2))
    account.executed(attempted(account, 3))
    account.executed(attempted(account, 3))
    [row] = reckoning(account, []).triggers
    assert row.again == {Again.DUPLICATE: 1, Again.LOST_ANSWER: 1, Again.REDELIVERY: 1}


def test_the_account_is_bounded_and_says_how_much_it_left_out() -> None:
    account = Account(began=BEGAN, max_events=2)
    for number in range(5):
        account.stored(BROKER, event(number), ["confirm"])
    assert (account.accepted, account.left_out, account.unfinished) == (2, 3, 2)
    assert account.begin_attempt("confirm", event(4)) is None
    assert reckoning(account, ["confirm"]).left_out == 3
