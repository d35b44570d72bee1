"""Dead letters: groups, the dry run, runs at a rate, and what the audit log says of them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import httpx
import pytest

from darkroom.adapters.deadletters import DeadLetter, KeptDeadLetter
from darkroom.contract.errors import DependencyUnavailableError, ImageTooManyPixelsError
from darkroom.contract.jobs import JobStatus
from darkroom.job_console.letter_plans import Plan
from darkroom.job_console.letter_runs import Run
from darkroom.redriving.groups import GroupKey
from tests.unit.job_console.conftest import Console

CORRUPT = GroupKey(reason="image.corrupt", kind="resize", age="under an hour").text
PIXELS = GroupKey(reason="image.too_many_pixels", kind="resize", age="under an hour").text


def given_up(console: Console, count: int) -> None:
    for _ in range(count):
        console.give_up(console.failed())


def planned(console: Console, **fields: object) -> httpx.Response:
    return console.post("/deadletters/plans", {"group": CORRUPT, **fields})


def path_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/console")


def test_letters_are_grouped_by_error_function_and_age(console: Console) -> None:
    given_up(console, 3)
    console.give_up(console.failed(ImageTooManyPixelsError("60 megapixels, the limit is 50")))
    console.give_up(console.failed(type="crop"))
    console.pipeline.advance(-7200)
    given_up(console, 1)
    page = console.text("/deadletters")
    assert "5 kept" not in page
    assert "6 kept" in page
    rows = [row for row in page.split("<tr>") if 'name="group"' in row]
    assert len(rows) == 4
    assert "image.corrupt" in rows[0], "the largest group comes first"
    assert ">3<" in rows[0]
    assert "60 megapixels, the limit is 50" in page
    assert "under a day" in page


def test_no_letters_are_well(console: Console) -> None:
    assert "Nothing was given up" in console.text("/deadletters")


def test_a_dry_run_counts_and_changes_nothing(console: Console) -> None:
    given_up(console, 4)
    page = console.text(path_of(planned(console)))
    assert "4 dead letters: image.corrupt of resize" in page
    assert "<strong>4</strong> × would redrive job …, which is failed" in page
    assert "Redrive 4" in page
    assert len(console.pipeline.dead_letters.list()) == 4
    entry = console.latest()
    assert (entry.action, entry.details["letters"]) == ("dead letters: dry run", 4)


def test_half_of_them_are_redriven_oldest_first_and_the_audit_log_tells_it(console: Console) -> None:
    given_up(console, 4)
    letters = console.pipeline.dead_letters.list()
    path = path_of(planned(console, at_most="2"))
    page = console.run_of(console.post(f"{path}/redrive", {"rate": "1000"}))
    assert "<strong>2</strong> of 2" in page
    assert "is queued again" in page
    assert console.pipeline.dead_letters.list() == letters[2:]
    statuses = [console.pipeline.record(str(kept.letter.job_id)).status for kept in letters]
    assert statuses == [JobStatus.QUEUED] * 2 + [JobStatus.FAILED] * 2
    end, begin, dry = console.audit.recent(3)
    assert (dry.action, dry.details["letters"]) == ("dead letters: dry run", 2)
    assert (begin.action, begin.outcome, begin.details["rate"]) == ("dead letters: redrive", "begun", "1000/s")
    assert (end.action, end.outcome) == ("dead letters: redrive ended", "done")
    assert end.details["job … is queued again"] == 2
    assert end.target == "2 dead letters: image.corrupt of resize"


def test_a_redrive_with_changed_parameters_is_judged_by_the_dry_run(console: Console) -> None:
    given_up(console, 2)
    page = console.text(path_of(planned(console, set="width=0")))
    assert "<strong>2</strong> × cannot be redriven so: width" in page
    page = console.text(path_of(planned(console, set="width=20\nformat=webp")))
    assert "width=20" in page
    path = path_of(planned(console, set="width=20"))
    console.run_of(console.post(f"{path}/redrive", {"rate": ""}))
    [queued] = {record.status for record in map(console.pipeline.record, console.pipeline.jobs._jobs)}
    assert queued is JobStatus.QUEUED
    assert all(console.pipeline.record(job).parameters == {"width": 20} for job in console.pipeline.jobs._jobs)


def test_dropped_letters_are_gone_and_their_jobs_stay_failed(console: Console) -> None:
    given_up(console, 3)
    path = path_of(planned(console))
    assert "3 letters are deleted for good" in console.text(path)
    page = console.run_of(console.post(f"{path}/drop"))
    assert "<strong>3</strong> × dropped" in page
    assert console.pipeline.dead_letters.list() == []
    assert {console.pipeline.record(job).status for job in console.pipeline.jobs._jobs} == {JobStatus.FAILED}
    assert console.latest().action == "dead letters: drop ended"


def test_what_is_done_is_done_to_what_the_dry_run_has_shown(console: Console) -> None:
    given_up(console, 2)
    path = path_of(planned(console))
    given_up(console, 2)
    console.run_of(console.post(f"{path}/redrive", {"rate": "1000"}))
    assert len(console.pipeline.dead_letters.list()) == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"group": PIXELS}, "redriven or dropped meanwhile"),
        ({"at_most": "0"}, "must be a number from 1 to"),
        ({"at_most": "many"}, "must be a number from 1 to"),
        ({"set": "width"}, "NAME=VALUE"),
    ],
)
def test_a_selection_of_nothing_is_refused(console: Console, fields: dict[str, str], says: str) -> None:
    given_up(console, 1)
    answer = planned(console, **fields)
    assert answer.status_code == 400
    assert says in answer.text
    assert console.latest().outcome == "refused"


def test_a_plan_that_is_not_known_any_more_does_nothing(console: Console) -> None:
    assert console.post("/deadletters/plans/gone/redrive", {"rate": "1"}).status_code == 404
    assert console.get("/deadletters/plans/gone").status_code == 404
    assert console.get("/deadletters/runs/gone").status_code == 404


def test_one_letter_shows_its_event(console: Console) -> None:
    job_id = console.failed()
    console.give_up(job_id)
    page = console.text("/deadletters/1")
    assert "dev.darkroom.resize.requested" in page
    assert f"/console/jobs/{job_id}" in page
    assert console.get("/deadletters/99").status_code == 404
    assert console.get(f"/deadletters/{2**70}").status_code == 404


# --- a run by itself -------------------------------------------------------------------------------------------------


def plan_of(count: int) -> Plan:
    letter = DeadLetter(reason="image.corrupt", detail="", event={})
    now = datetime.now(UTC)
    letters = [KeptDeadLetter(sequence=number, kept_at=now, letter=letter) for number in range(1, count + 1)]
    return Plan(letters=letters, changes={}, described="letters", outcomes={})


def test_a_run_keeps_to_its_rate() -> None:
    run = Run(action="redrive", plan=plan_of(4), who="me", rate=20.0)
    began = time.monotonic()
    run.work(lambda kept: "done")
    assert time.monotonic() - began >= 3 / 20
    assert (run.state, run.done, run.outcomes["done"]) == ("finished", 4, 4)


def test_a_run_that_is_stopped_ends_after_its_letter() -> None:
    run = Run(action="redrive", plan=plan_of(1000), who="me", rate=1.0)
    at_work = threading.Event()

    def act_on(kept: KeptDeadLetter) -> str:
        at_work.set()
        return "done"

    thread = threading.Thread(target=run.work, args=(act_on,))
    thread.start()
    assert at_work.wait(60)
    run.stop()
    thread.join(60)
    assert (run.state, run.done) == ("stopped", 1)


def test_a_run_without_its_servers_leaves_the_rest_kept() -> None:
    run = Run(action="redrive", plan=plan_of(3), who="me", rate=None)

    def act_on(kept: KeptDeadLetter) -> str:
        if kept.sequence == 2:
            raise DependencyUnavailableError("deadletters", "no answer")
        return "done"

    run.work(act_on)
    assert (run.state, run.done, run.error) == ("failed", 1, "dependency.unavailable: deadletters: no answer")
