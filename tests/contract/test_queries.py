"""The ten questions of docs/queries.md, asked of jobs whose answers are known; and the view's columns, which stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from darkroom.adapters.jobs import Lease
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.contract.errors import ImageCorruptError, ImageCrashedError
from darkroom.contract.presets import PresetUse
from tests.contract.job_stores import a_result, new_job
from tests.contract.postgres_stores import PostgresJobStores
from tests.servers import Server

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^## (\d+)\. .*?```sql\n(.*?)```", PAGE, re.M | re.S)
SHARED = "uploads/shared/original.jpg"
PRESET = PresetUse(name="thumb", digest="d" * 16)


@pytest.fixture(scope="module")
def client(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    stores = PostgresJobStores(postgres.url)
    _fill(stores.make())
    # Only due jobs are overdue; what is recent stays recent.
    stores.client.execute("UPDATE darkroom.jobs SET due = now() - interval '3 seconds' WHERE status = 'processing'")
    yield stores.client
    stores.empty()
    stores.close()


def _fill(store: PostgresJobStore) -> None:
    for width in (100, 200):
        lease = _claimed(store, owner="shop", parameters={"width": width}, storage_key=SHARED, presets={"": PRESET})
        store.complete(lease, a_result(lease), {"fetch": 5, "render": 1500, "store": 7})
    store.fail(_claimed(store, owner="shop", type="crop"), ImageCorruptError("no picture"))
    again = _claimed(store, owner="blog")
    store.release(again, ImageCrashedError("gone"), counts=True)
    second = store.claim(again.job_id, worker="second")
    assert isinstance(second, Lease)
    store.complete(second, a_result(second), {"render": 100})
    _claimed(store, owner="blog", type="crop")
    store.accept(new_job(owner="blog"))


def _claimed(store: PostgresJobStore, **changes: Any) -> Lease:
    job_id = store.accept(new_job(**changes)).record.job_id
    lease = store.claim(job_id, worker="first")
    assert isinstance(lease, Lease)
    return lease


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "1": [
        {"type": "crop", "status": "failed", "count": 1},
        {"type": "crop", "status": "processing", "count": 1},
        {"type": "resize", "status": "completed", "count": 3},
        {"type": "resize", "status": "queued", "count": 1},
    ],
    "2": [{"error_code": "image.corrupt", "count": 1, "an_example": "no picture"}],
    "3": [{"type": "resize", "cost_class": "standard"}],
    "4": [{"owner": "shop", "jobs": 3, "rendered_s": 3.0}, {"owner": "blog", "jobs": 1, "rendered_s": 0.1}],
    "5": [{"owner": "blog", "type": "resize", "waits_in_lane": False, "count": 1}],
    "6": [{"type": "crop", "status": "processing", "worker": "first", "attempts": 1}],
    "7": [{"type": "resize", "status": "completed", "attempts": 2, "redrives": 0, "worker": "second"}],
    "8": [{"completed": 3, "failed": 1}],
    "9": [{"preset": "thumb", "count": 2}],
    "10": [
        {"owner": "shop", "status": "completed", "width": "100"},
        {"owner": "shop", "status": "completed", "width": "200"},
    ],
}


@pytest.mark.parametrize(("number", "statement"), QUESTIONS, ids=[number for number, _ in QUESTIONS])
def test_a_question_of_the_page_has_its_answer(client: psycopg.Connection[Any], number: str, statement: str) -> None:
    cursor = client.execute(statement)
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if number == "8":  # a minute may end while the test writes
        rows = [{name: sum(row[name] for row in rows) for name in ("completed", "failed")}]
    expected = ANSWERS[number]
    assert [
        {name: _plain(row[name]) for name in wanted} for row, wanted in zip(rows, expected, strict=True)
    ] == expected


def test_the_page_asks_ten_questions() -> None:
    assert [number for number, _ in QUESTIONS] == [str(number) for number in range(1, 11)]


def test_the_page_names_the_columns_of_the_view(client: psycopg.Connection[Any]) -> None:
    """They stay in this order. A migration may add some at the end."""
    described = client.execute("SELECT * FROM darkroom.darkroom_jobs LIMIT 0").description or ()
    listed = re.search(r"^The columns: (.*?)\.$", PAGE, re.M | re.S)
    assert listed is not None
    assert [column.name for column in described] == re.findall(r"`(\w+)`", listed[1])


def test_a_question_about_one_day_reads_that_day_alone(client: psycopg.Connection[Any]) -> None:
    plan = client.execute(
        "EXPLAIN SELECT count(*) FROM darkroom.darkroom_jobs WHERE finished_at >= current_date - 40 AND "
        "finished_at < current_date - 39"
    ).fetchall()
    assert not re.search(r"finished_\d{8}", "\n".join(row[0] for row in plan)), "no day's partition can have them"


def _plain(value: Any) -> Any:
    return float(value) if type(value).__name__ == "Decimal" else value
