"""The promises of every store of dead letters, tested against a JetStream stream and the fake."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from darkroom.adapters.deadletters import DeadLetter, DeadLetters
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.contract.errors import DependencyUnavailableError, InternalError
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.telemetry.platform_metrics import STREAM_LIMIT, STREAM_MESSAGES, STREAM_SIZE
from tests.listener import listening, threads_of_this_process
from tests.servers import Server, nats_server, running

DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "nats-eventing" / "deadletter-stream.json").read_text()
)


def stream_on(server: Server, **changes: Any) -> JetStreamDeadLetters:
    """Use one stream per test; two streams must not listen to the same subjects."""
    name = f"DEAD_{uuid.uuid4().hex}"
    subject = f"dead.{name}"
    definition = {**DEFINITION, "subjects": [f"{subject}.>"]}
    return JetStreamDeadLetters(server.url, stream=name, subject=subject, definition=definition, **changes)


@pytest.fixture
def stream(nats: Server) -> Iterator[JetStreamDeadLetters]:
    made = stream_on(nats)
    made.prepare()
    yield made
    made.close()


@pytest.fixture(params=["memory", "jetstream"])
def letters(request: pytest.FixtureRequest) -> DeadLetters:
    if request.param == "memory":
        return MemoryDeadLetters()
    made: DeadLetters = request.getfixturevalue("stream")
    return made


def a_letter(**changes: Any) -> DeadLetter:
    defaults: dict[str, Any] = {
        "reason": "image.crashed",
        "detail": "the worker died on each of 3 attempts",
        "event": {"specversion": "1.0", "id": "1.3", "source": "/darkroom/ingest", "type": "t", "data": {"a": "ü"}},
        "job_id": str(uuid.uuid4()),
        "job_type": "resize",
        "attempts": 3,
        "origin": "sweep",
    }
    return DeadLetter(**{**defaults, **changes})


def test_what_is_kept_is_counted(letters: DeadLetters) -> None:
    assert letters.readings()[DEAD_LETTERS] == {(): 0}
    sequences = [letters.keep(a_letter(), key=key) for key in ("a", "b", "b")]

    assert letters.readings()[DEAD_LETTERS] == {(): 2}

    letters.drop(sequences[0])
    assert letters.readings()[DEAD_LETTERS] == {(): 1}


def test_a_stream_tells_how_full_it_is(nats: Server) -> None:
    stream = stream_on(nats)
    stream._definition = {**(stream._definition or {}), "max_bytes": 100_000}
    stream.prepare()
    stream.keep(a_letter(), key="a")

    readings = stream.readings()

    assert list(readings[STREAM_MESSAGES].values()) == [1]
    assert list(readings[STREAM_LIMIT].values()) == [100_000]
    (size,) = readings[STREAM_SIZE].values()
    assert isinstance(size, int)
    assert 100 < size < 100_000
    stream.close()


def test_a_full_stream_refuses_the_next_letter_and_drops_none(nats: Server) -> None:
    stream = stream_on(nats)
    stream._definition = {**(stream._definition or {}), "max_bytes": 2_000}
    stream.prepare()
    first = stream.keep(a_letter(), key="first")

    def fill() -> None:
        for number in range(20):
            stream.keep(a_letter(), key=str(number))

    with pytest.raises(DependencyUnavailableError):
        fill()

    assert stream.get(first) is not None
    stream.close()


def test_a_kept_letter_is_found_as_it_was(letters: DeadLetters) -> None:
    letter = a_letter()

    sequence = letters.keep(letter, key="k")

    kept = letters.get(sequence)
    assert kept is not None
    assert (kept.sequence, kept.letter) == (sequence, letter)
    assert abs(datetime.now(UTC) - kept.kept_at) < timedelta(minutes=1)


def test_a_letter_without_a_job_is_kept_too(letters: DeadLetters) -> None:
    letter = a_letter(job_id=None, job_type=None, reason="event.rejected")

    kept = letters.get(letters.keep(letter, key="k"))

    assert kept is not None
    assert kept.letter == letter


def test_the_same_key_is_kept_once(letters: DeadLetters) -> None:
    first = letters.keep(a_letter(), key="k")
    second = letters.keep(a_letter(), key="k")
    other = letters.keep(a_letter(), key="another")

    assert (second, len(letters.list())) == (first, 2)
    assert other > first


def test_letters_are_listed_oldest_first_and_page_by_page(letters: DeadLetters) -> None:
    sequences = [letters.keep(a_letter(), key=str(number)) for number in range(5)]

    first = letters.list(limit=2)
    rest = letters.list(limit=10, after=first[-1].sequence)

    assert [kept.sequence for kept in first + rest] == sequences
    assert letters.list(after=sequences[-1]) == []
    assert letters.list(limit=0) == []


def test_a_dropped_letter_is_gone_and_its_number_with_it(letters: DeadLetters) -> None:
    first, second, third = (letters.keep(a_letter(), key=str(number)) for number in range(3))

    assert letters.drop(second)
    assert not letters.drop(second)

    assert letters.get(second) is None
    assert [kept.sequence for kept in letters.list()] == [first, third]
    assert letters.drop(third)
    assert letters.keep(a_letter(), key="later") > third


@pytest.mark.parametrize("sequence", [0, -1, 999])
def test_what_was_never_kept_is_none(letters: DeadLetters, sequence: int) -> None:
    assert letters.get(sequence) is None
    assert not letters.drop(sequence)
    assert letters.list() == []


def test_preparing_again_loses_nothing(letters: DeadLetters) -> None:
    sequence = letters.keep(a_letter(), key="k")

    letters.prepare()
    letters.prepare()

    assert letters.get(sequence) is not None
    letters.check()


def test_letters_from_many_threads_are_all_kept(letters: DeadLetters) -> None:
    with ThreadPoolExecutor(8) as pool:
        sequences = list(pool.map(lambda number: letters.keep(a_letter(), key=str(number)), range(40)))

    assert len(set(sequences)) == 40
    assert {kept.sequence for kept in letters.list()} == set(sequences)


# --- the stream ------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_not_there_is_unavailable(nats: Server) -> None:
    letters = stream_on(nats)
    try:
        for call in (letters.check, lambda: letters.keep(a_letter(), key="k"), lambda: letters.list()):
            with pytest.raises(DependencyUnavailableError, match="deadletters: "):
                call()
    finally:
        letters.close()


def test_a_stream_cannot_be_prepared_without_its_definition(nats: Server) -> None:
    with pytest.raises(InternalError, match="definition"):
        JetStreamDeadLetters(nats.url).prepare()


def test_the_deployments_definition_fits_the_adapters_defaults(tmp_path: Path) -> None:
    with running(nats_server(tmp_path)) as server:
        letters = JetStreamDeadLetters(server.url, definition=DEFINITION)
        letters.prepare()

        assert letters.get(letters.keep(a_letter(job_type=None), key="k")) is not None
        letters.close()


def test_an_event_too_large_for_a_message_is_kept_without_its_payload(stream: JetStreamDeadLetters) -> None:
    letter = a_letter()
    huge = a_letter(event={**letter.event, "data": "x" * 2_000_000})

    kept = stream.get(stream.keep(huge, key="k"))

    assert kept is not None
    assert "data" not in kept.letter.event
    assert kept.letter.event["id"] == letter.event["id"]
    assert "the limit is 1047552" in kept.letter.detail


def test_letters_outlive_the_server_and_the_adapter_finds_it_again(tmp_path: Path) -> None:
    with running(nats_server(tmp_path)) as server:
        letters = stream_on(server)
        letters.prepare()
        sequence = letters.keep(a_letter(), key="k")

        server.restart()
        assert letters.get(sequence) is not None

        server.kill()
        with pytest.raises(DependencyUnavailableError):
            letters.keep(a_letter(), key="while it is down")
        server.start()
        assert letters.keep(a_letter(), key="afterwards") == sequence + 1
        letters.close()


def test_a_server_that_does_not_answer_is_given_up_within_the_deadline(tmp_path: Path) -> None:
    with running(nats_server(tmp_path)) as server:
        letters = stream_on(server, answer_timeout_s=0.2, deadline_s=0.6)
        letters.prepare()
        with server.paused():
            for _ in range(2):
                with pytest.raises(DependencyUnavailableError, match="TimeoutError"):
                    letters.keep(a_letter(), key="k")

        assert _eventually_kept(letters) == 1
        letters.close()


def _eventually_kept(letters: JetStreamDeadLetters) -> int:
    give_up_at = time.monotonic() + 10
    while True:
        try:
            return letters.keep(a_letter(), key="k")
        except DependencyUnavailableError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)


def test_nothing_is_connected_or_started_before_the_first_call() -> None:
    with listening() as server:
        before = threads_of_this_process()
        letters = JetStreamDeadLetters(f"nats://{server.address}", answer_timeout_s=0.2)
        assert threads_of_this_process() <= before
        assert not server.was_connected_to()

        with pytest.raises(DependencyUnavailableError):
            letters.check()
        assert server.was_connected_to()
        letters.close()


def test_what_was_never_used_can_be_closed() -> None:
    JetStreamDeadLetters("nats://127.0.0.1:9").close()


def test_letters_of_erased_jobs_are_erased_wherever_the_job_is_named(letters: DeadLetters) -> None:
    job, other = str(uuid.uuid4()), str(uuid.uuid4())
    letters.keep(a_letter(job_id=job), key="1")
    letters.keep(a_letter(job_id=None, event={"subject": "x", "data": {"job_id": job}}), key="2")
    letters.keep(a_letter(job_id=other), key="3")

    assert letters.erase([job, str(uuid.uuid4())]) == 2

    assert [kept.letter.job_id for kept in letters.list()] == [other]
    assert letters.erase([job]) == 0


def test_an_erased_letter_is_overwritten_on_disk(tmp_path: Path) -> None:
    job_id = str(uuid.uuid4())
    with running(nats_server(tmp_path)) as server:
        stream = stream_on(server)
        stream.prepare()
        stream.keep(a_letter(job_id=job_id), key=f"{job_id}:1")
        stream.keep(a_letter(), key="another")
        stream.erase([job_id])
        stream.close()
    on_disk = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"the worker died" in path.read_bytes() for path in on_disk), "the other letter"
    assert not [path for path in on_disk if job_id.encode() in path.read_bytes()]
