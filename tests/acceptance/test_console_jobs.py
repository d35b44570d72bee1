"""The console's pages of jobs and dead letters in a real browser, against a running stack."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract import events
from darkroom.contract.errors import DarkroomError, ImageCorruptError, ImageTooManyPixelsError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.events.cloudevents import json_object
from tests.browsers import CHROMIUM, THEMES, WIDTHS, chromium, overflow_px, serious_findings
from tests.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LETTERS = 1000
WITHIN_MS = 60_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), verbose=False) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, stack: RunningStack) -> Iterator[Page]:
    """A page at the console. What the browser refuses, such as a picture that the policy does not allow, fails it."""
    page = browser.new_page(base_url=stack.addresses["admin"])
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_default_timeout(WITHIN_MS)
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def store(stack: RunningStack) -> Iterator[RedisJobStore]:
    with closing(RedisJobStore(stack.addresses["redis"])) as store:
        yield store


def accepted(store: RedisJobStore, storage_key: str, **parameters: object) -> JobRecord:
    new = NewJob(
        job_id=uuid.uuid4(),
        type="resize",
        owner="",
        parameters=parameters,
        storage_key=storage_key,
        request_id="a-test",
        fingerprint=uuid.uuid4().hex,
    )
    return store.accept(new).record


def failed(store: RedisJobStore, storage_key: str, error: DarkroomError, **parameters: object) -> JobRecord:
    record = accepted(store, storage_key, **parameters)
    lease = store.claim(record.job_id, worker="a-test:1:1")
    assert isinstance(lease, Lease)
    ended = store.fail(lease, error)[1]
    assert ended is not None
    return ended


def letter_of(record: JobRecord) -> DeadLetter:
    assert record.error is not None
    return DeadLetter(
        reason=record.error.code,
        detail=record.error.message,
        event=json_object(events.requested(record, source="/a-test")),
        job_id=str(record.job_id),
        job_type=record.type,
        attempts=record.attempts,
        origin="recovery",
    )


def original_of(stack: RunningStack, photograph: bytes) -> str:
    """Return the storage key of a picture that jobs may use."""
    job_id = stack.submit("resize", photograph, width=64)
    stack.completed(job_id)
    with closing(RedisJobStore(stack.addresses["redis"])) as store:
        record = store.get(UUID(job_id))
    assert record is not None
    return record.storage_key


@pytest.mark.timeout(300)
def test_half_of_a_thousand_dead_letters_is_redriven_from_the_page(
    stack: RunningStack, page: Page, store: RedisJobStore, photograph: bytes
) -> None:
    key = original_of(stack, photograph)
    corrupt, pixels = ImageCorruptError("its last rows are missing"), ImageTooManyPixelsError("60 MP, the limit is 50")
    with closing(JetStreamDeadLetters(stack.addresses["nats"])) as letters:
        records = [failed(store, key, corrupt if n % 5 else pixels, width=32) for n in range(LETTERS)]
        for record in records:
            letters.keep(letter_of(record), key=str(record.job_id))

        page.goto("/console/deadletters")
        assert page.get_by_text(f"{LETTERS:,} kept").is_visible()
        rows = page.locator("tbody tr")
        assert rows.count() == 2
        assert rows.nth(0).locator("td").nth(4).inner_text() == "800"
        page.get_by_label("image.corrupt").check()
        page.get_by_label("image.too_many_pixels").check()
        page.get_by_label("At most, oldest first").fill("500")
        page.get_by_role("button", name="Dry run").click()

        outcome = page.locator("#outcomes li").first
        assert outcome.inner_text() == "500 × would redrive job …, which is failed"
        assert len(letters.list(limit=2000)) == LETTERS, "a dry run changes nothing"
        page.get_by_label("Letters per second").fill("500")
        page.get_by_role("button", name="Redrive 500").click()

        # The page follows the run by itself.
        page.locator('[data-state="finished"]').wait_for()
        assert page.locator("#run-state strong").first.inner_text() == "500"
        assert [kept.letter.job_id for kept in letters.list(limit=2000)] == [str(one.job_id) for one in records[500:]]

    redriven = [store.get(record.job_id) for record in records[:500]]
    assert all(one is not None and one.redrives == 1 and one.status is not JobStatus.FAILED for one in redriven)
    kept = [store.get(record.job_id) for record in records[500:]]
    assert all(one is not None and one.status is JobStatus.FAILED for one in kept)

    page.goto("/console/audit")
    entries = page.locator("tbody tr").all_inner_texts()
    assert "dead letters: redrive ended" in entries[0]
    assert "done" in entries[0]
    assert "500" in entries[0]
    assert "dead letters: redrive\t" in entries[1]
    assert "begun" in entries[1]
    assert "dead letters: dry run" in entries[2]
    stack.completed(str(records[0].job_id), within_s=120)


def test_a_job_shows_its_pictures_its_timeline_and_its_log(stack: RunningStack, page: Page, photograph: bytes) -> None:
    job_id = stack.submit("resize", photograph, width=200)
    stack.completed(job_id)
    page.goto("/console/jobs")
    page.get_by_role("link", name=job_id).click()
    page.wait_for_function("[...document.images].every((one) => one.complete)")
    widths = page.evaluate("[...document.images].map((one) => one.naturalWidth)")
    assert widths == [800, 200]
    chart = page.locator(".waterfall svg").text_content() or ""
    for row in ("waits for an instance", "attempt 1", "render"):
        assert row in chart
    assert "job.completed" in page.locator("table.log").inner_text()
    assert page.get_by_text("Trace", exact=True).is_visible()


def test_a_job_is_cancelled_and_erased_from_its_page(
    stack: RunningStack, page: Page, store: RedisJobStore, photograph: bytes
) -> None:
    # Nobody emits it before the sweep finds it overdue.
    record = accepted(store, original_of(stack, photograph), width=100)
    page.goto(f"/console/jobs/{record.job_id}")
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_text("job.cancelled", exact=True).first.wait_for()
    ended = store.get(record.job_id)
    assert ended is not None
    assert ended.error is not None
    assert ended.error.code == "job.cancelled"

    page.get_by_text("Erase the job…").click()
    page.get_by_role("button", name="Erase it for good").click()
    page.wait_for_url("**/console/jobs")
    assert store.get(record.job_id) is None
    assert httpx.get(f"{stack.addresses['api']}/api/v1/jobs/{record.job_id}", timeout=20).status_code == 404


def test_a_failed_job_is_done_again_with_other_parameters_and_the_page_follows_it(
    stack: RunningStack, page: Page, store: RedisJobStore, photograph: bytes
) -> None:
    record = failed(store, original_of(stack, photograph), ImageCorruptError("as a test wanted"), width=100)
    page.goto(f"/console/jobs/{record.job_id}")
    page.get_by_text("Try again with changed parameters").click()
    page.get_by_label("Parameters, as JSON").fill('{"width": 123}')
    page.get_by_role("button", name="Try again").click()
    page.locator(".badge.job-completed").wait_for()
    done = stack.completed(str(record.job_id))
    assert done["result"]["width"] == 123


def test_a_completed_job_is_asked_for_anew(stack: RunningStack, page: Page, photograph: bytes) -> None:
    job_id = stack.submit("resize", photograph, width=100)
    stack.completed(job_id)
    page.goto(f"/console/jobs/{job_id}")
    page.get_by_text("Try again with changed parameters").click()
    page.get_by_label("Parameters, as JSON").fill('{"width": 77}')
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(lambda url: job_id not in url)
    other = page.url.rpartition("/")[2]
    assert stack.completed(other)["result"]["width"] == 77
    assert stack.completed(job_id)["result"]["width"] == 100


def test_axe_finds_nothing_serious_on_the_pages_of_jobs(
    stack: RunningStack, browser: Browser, store: RedisJobStore, photograph: bytes
) -> None:
    record = failed(store, original_of(stack, photograph), ImageCorruptError("as a test wanted"), width=100)
    with closing(JetStreamDeadLetters(stack.addresses["nats"])) as letters:
        letters.keep(letter_of(record), key=str(record.job_id))
    found: dict[str, list[str]] = {}
    for theme in THEMES:
        for width in WIDTHS:
            page = browser.new_page(
                viewport={"width": width, "height": 900}, color_scheme=theme, base_url=stack.addresses["admin"]
            )
            for path in ("/jobs", "/jobs?newer=soon", f"/jobs/{record.job_id}", "/deadletters"):
                page.goto(f"/console{path}")
                wrong = serious_findings(page)
                if overflow_px(page) > 0:
                    wrong.append(f"{overflow_px(page)} px wider than the window")
                if wrong:
                    found[f"{path} {theme} {width}"] = wrong
            page.close()
    assert found == {}
