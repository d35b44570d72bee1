"""What a backfill decides and remembers, without an API."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.cli.backfill.pace import Spacing, Yielding
from darkroom.cli.backfill.plan import Made, Outcome, Task, idempotency_key, lacking, outcomes_of
from darkroom.cli.backfill.report import Teller
from darkroom.cli.backfill.state import Counts, Run, State, StateUnusableError

THUMB, HERO = {"thumb": "t1"}, {"thumb": "t1", "hero": "h1"}
KEYS = ["library/a.png", "library/b.png", "library/c.png"]


def made(preset: str = "thumb", digest: str = "t1") -> Outcome:
    return Outcome(preset=preset, digest=digest, result=f"processed/x/{preset}.jpg")


def failed(preset: str = "thumb", digest: str = "t1") -> Outcome:
    return Outcome(preset=preset, digest=digest, code="image.corrupt", message="no picture")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with State(path) as opened:
        yield opened


def listed(state: State, run: Run, keys: list[str] = KEYS) -> list[Task]:
    state.begin(run)
    state.add(keys)
    state.listed()
    return list(state.left())


# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "lacks", "lacks_changed"),
    [
        ({}, HERO, {}),
        ({"thumb": Made(digest="t1")}, {"hero": "h1"}, {}),
        ({"thumb": Made(digest="t0"), "hero": Made(digest="h1")}, {"thumb": "t1"}, {"thumb": "t1"}),
        ({"thumb": Made(digest="t1", failed=True), "hero": Made(digest="h1")}, {"thumb": "t1"}, {}),
        ({"thumb": Made(digest="t1"), "hero": Made(digest="h1")}, {}, {}),
        ({"other": Made(digest="o")}, HERO, {}),
    ],
    ids=["new", "one is new", "one has changed", "one failed", "all is made", "another preset"],
)
def test_a_picture_lacks_what_was_not_made_with_the_present_digest(
    known: dict[str, Made], lacks: dict[str, str], lacks_changed: dict[str, str]
) -> None:
    assert lacking(HERO, known, changed=False) == lacks
    assert lacking(HERO, known, changed=True) == lacks_changed


def test_an_idempotency_key_follows_from_the_picture_the_digests_and_the_attempts() -> None:
    keys = [
        idempotency_key("library/a", THUMB, {}),
        idempotency_key("library/b", THUMB, {}),
        idempotency_key("library/a", {"thumb": "t2"}, {}),
        idempotency_key("library/a", THUMB, {"thumb": Made(digest="t1", failed=True)}),
    ]
    assert len(set(keys)) == len(keys)
    assert idempotency_key("library/a", {"hero": "h1", "thumb": "t1"}, {}) == idempotency_key("library/a", HERO, {})
    assert idempotency_key("library/a", THUMB, {"thumb": Made(digest="t0", attempts=3)}) == keys[0]


def test_what_each_preset_became_is_read_from_the_job_with_the_digest_it_was_made_with() -> None:
    task = Task(number=1, storage_key="library/a", presets={**HERO, "late": "l1"}, idempotency_key="x")
    job: dict[str, Any] = {
        "error": {"code": "rendition.failed", "message": "hero"},
        "results": {
            "thumb": {"preset": {"digest": "t2"}, "result": {"storage_key": "processed/j/thumb.jpg"}},
            "hero": {"preset": {"digest": "h1"}, "error": {"code": "result.too_large", "message": "9 > 1"}},
        },
    }
    assert outcomes_of(task, job) == [
        Outcome(preset="thumb", digest="t2", result="processed/j/thumb.jpg"),
        Outcome(preset="hero", digest="h1", code="result.too_large", message="9 > 1"),
        Outcome(preset="late", digest="l1", code="rendition.failed", message="hero"),
    ]


# --- the state -------------------------------------------------------------------------------------------------------


def test_a_state_that_is_opened_again_has_left_what_was_not_finished(path: Path) -> None:
    with State(path) as state:
        first, second, _ = listed(state, Run(prefix="library/", presets=THUMB))
        state.finished(first, "job-1", [made()])
        state.accepted(second, "job-2")
    with State(path) as state:
        state.add(KEYS)
        left = list(state.left())
        assert [(task.storage_key, task.job_id) for task in left] == [(KEYS[1], "job-2"), (KEYS[2], None)]
        assert left[0].idempotency_key == second.idempotency_key
        assert state.counts() == Counts(pictures=3, to_do=3, done=1)


def test_a_state_survives_the_kill_of_its_process(path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from darkroom.cli.backfill.plan import Outcome
from darkroom.cli.backfill.state import Run, State
state = State(Path({str(path)!r}))
state.begin(Run(prefix="library/", presets={THUMB!r}))
state.add({KEYS!r})
state.listed()
state.finished(next(state.left()), "job-1", [Outcome(preset="thumb", digest="t1", result="processed/x")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == -9
    with State(path) as state:
        run = state.run()
        assert run is not None
        assert run.is_listed
        assert not run.is_ended
        assert [task.storage_key for task in state.left()] == KEYS[1:]


def test_a_later_run_does_what_is_new_has_changed_or_failed(state: State) -> None:
    first, second, third = listed(state, Run(prefix="library/", presets=HERO))
    state.finished(first, "j1", [made(), made("hero", "h1")])
    state.finished(second, "j2", [failed(), made("hero", "h1")])
    state.finished(third, "j3", [made(digest="t0"), made("hero", "h1")])
    again = listed(state, Run(prefix="library/", presets=HERO), [*KEYS, "library/d.png"])
    assert {task.storage_key: dict(task.presets) for task in again} == {
        KEYS[1]: THUMB,
        KEYS[2]: THUMB,
        "library/d.png": HERO,
    }
    changed = listed(state, Run(prefix="library/", presets=HERO, changed=True), [*KEYS, "library/d.png"])
    assert [task.storage_key for task in changed] == [KEYS[2]]


def test_each_further_attempt_at_the_same_digest_is_another_job(state: State) -> None:
    seen = set()
    for _ in range(3):
        (task,) = listed(state, Run(prefix="library/", presets=THUMB), KEYS[:1])
        seen.add(task.idempotency_key)
        state.finished(task, None, [failed()])
    assert len(seen) == 3


def test_the_report_has_the_rows_of_this_run_alone(state: State) -> None:
    first, second, _ = listed(state, Run(prefix="library/", presets=HERO))
    state.finished(first, "j1", [made(), made("hero", "h1")])
    state.finished(second, "j2", [failed(), made("hero", "h1")])
    assert [(row.storage_key, row.preset) for row in state.rows(failed_only=True)] == [(KEYS[1], "thumb")]
    (task, _) = listed(state, Run(prefix="library/", presets=THUMB))
    state.finished(task, "j3", [made()])
    assert [(row.storage_key, row.preset, row.job_id) for row in state.rows()] == [(KEYS[1], "thumb", "j3")]


def test_a_state_is_open_in_one_process_at_a_time(path: Path, state: State) -> None:
    with pytest.raises(StateUnusableError, match="another backfill works with it"):
        State(path)
    assert state.run() is None


@pytest.mark.parametrize("content", [b"no database, but long enough to be taken for one" * 100, None])
def test_a_file_that_is_no_state_is_refused_and_kept(path: Path, content: bytes | None) -> None:
    if content is None:
        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version = 99")
        newer.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StateUnusableError, match=r"no state file|version 99"):
        State(path)
    if content is not None:
        assert path.read_bytes() == before


def test_a_copy_in_memory_writes_nothing_to_the_file(path: Path) -> None:
    with State.copy_in_memory(path) as copy:
        copy.begin(Run(prefix="library/", presets=THUMB))
    assert not path.exists()
    with State(path) as state:
        (first, *_) = listed(state, Run(prefix="library/", presets=THUMB))
        state.finished(first, "j1", [made()])
    with State.copy_in_memory(path) as copy:
        assert len(listed(copy, Run(prefix="library/", presets=THUMB))) == 2
    with State(path) as state:
        assert state.counts() == Counts(pictures=3, to_do=3, done=1)


# --- the pace --------------------------------------------------------------------------------------------------------


def test_jobs_are_spaced_evenly_and_a_pause_is_not_made_up_for() -> None:
    now = [100.0]
    spacing = Spacing(per_s=10, clock=lambda: now[0])
    assert spacing.wait_s() == 0
    spacing.begin()
    assert spacing.wait_s() == pytest.approx(0.1)
    now[0] += 60
    spacing.begin()
    assert spacing.wait_s() == pytest.approx(0.1)


def test_fewer_jobs_at_a_time_while_they_wait_for_others_and_more_again_afterwards() -> None:
    yielding = Yielding(at_once=8)
    assert yielding.allowed == 1, "it begins with one"
    for _ in range(60):
        yielding.ended(0.02)
    assert yielding.allowed == 8
    for _ in range(40):
        yielding.ended(1.5)
    assert yielding.allowed == 1
    for _ in range(60):
        yielding.ended(0.05)
    assert yielding.allowed == 8


def test_one_late_round_halves_the_bound_once() -> None:
    yielding = Yielding(at_once=8)
    for _ in range(60):
        yielding.ended(0.02)
    for _ in range(4):
        yielding.ended(1.5)
    assert yielding.allowed == 4


def test_the_progress_says_how_far_how_fast_and_how_long_still() -> None:
    now, told = [0.0], list[str]()
    teller = Teller(Counts(pictures=120, to_do=100, done=10), clock=lambda: now[0], tell=told.append)
    teller.note([made()])
    for _ in range(9):
        now[0] += 1
        teller.note([failed()] if now[0] == 1 else [made()])
    assert told == [" 16%, 16 of 100 pictures, 1 failed, 1.2/s, about 1 m 10 s left"]
