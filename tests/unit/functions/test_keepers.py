"""ingest keeps beside each original what its job is restored from."""

from __future__ import annotations

import json
import uuid
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.jobs.keeper import MAX_BYTES, Keeper, decode_keeper
from darkroom.contract.jobs import JobRecord, keeper_key
from darkroom.events.cloudevents import new_event
from darkroom.serving.answers import Done, EventAnswer, TryAgain
from functions.recovery.app import build
from functions.recovery.recovery import WAKE_UP
from tests.unit.functions.ingesting import PICTURE, Ingest


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


def keeper(ingest: Ingest, job_id: str) -> Keeper:
    return decode_keeper(ingest.storage.get(keeper_key(UUID(job_id)), max_bytes=MAX_BYTES), UUID(job_id))


def record(ingest: Ingest, job_id: str) -> JobRecord:
    found = ingest.jobs.get(UUID(job_id))
    assert found is not None
    return found


def keepers(ingest: Ingest) -> set[str]:
    return {key for key in ingest.storage.keys if key.endswith("/job.json")}


def is_kept(ingest: Ingest, job_id: str) -> bool:
    kept, job = keeper(ingest, job_id), record(ingest, job_id)
    fields = ("type", "owner", "parameters", "storage_key", "request_id", "cost_class", "trace")
    return kept.created_at == job.created_at and all(getattr(kept.job, one) == getattr(job, one) for one in fields)


def test_an_accepted_job_has_a_keeper_with_what_its_record_needs(ingest: Ingest) -> None:
    job_id = ingest.resize(headers={"idempotency-key": "one"}).json()["job_id"]
    assert is_kept(ingest, job_id)
    kept = keeper(ingest, job_id).job
    assert kept.idempotency_key is not None
    assert len(kept.fingerprint) == 64


def test_a_job_whose_original_is_elsewhere_has_its_keeper_at_its_own_id(ingest: Ingest) -> None:
    ingest.storage.put("uploads/elsewhere/original", PICTURE, content_type="image/jpeg")
    body = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/elsewhere/original"}}
    job_id = ingest.post("/api/v1/resize", json=body).json()["job_id"]
    assert is_kept(ingest, job_id)
    assert keeper(ingest, job_id).job.storage_key == "uploads/elsewhere/original"


def test_every_job_of_a_batch_has_a_keeper(ingest: Ingest) -> None:
    ingest.storage.put("uploads/elsewhere/original", PICTURE, content_type="image/jpeg")
    answer = ingest.post(
        "/api/v1/events",
        content=json.dumps([_event(width) for width in range(20, 40)]),
        headers={"content-type": "application/cloudevents-batch+json"},
    )
    jobs = [job["job_id"] for job in answer.json()["jobs"]]
    assert len(jobs) == 20
    assert all(is_kept(ingest, job_id) for job_id in jobs)


def _event(width: int) -> dict[str, Any]:
    data = {"parameters": {"width": width}, "input": {"storage_key": "uploads/elsewhere/original"}}
    attributes = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/test"}
    return {**attributes, "type": "dev.darkroom.resize.requested", "data": data}


def test_what_is_refused_leaves_no_keeper(ingest: Ingest) -> None:
    assert ingest.resize(fields={"width": "none"}).status_code == 400
    ingest.resize(headers={"idempotency-key": "one"})
    assert ingest.resize(headers={"idempotency-key": "one"}, fields={"width": "33"}).status_code == 422
    assert len(keepers(ingest)) == 1


def test_a_repeated_request_has_the_keeper_of_the_first_written_if_it_is_missing(ingest: Ingest) -> None:
    """ingest may have died between the acceptance and the keeper; nobody was told of the job until now."""
    job_id = ingest.resize(headers={"idempotency-key": "one"}).json()["job_id"]
    written = keeper(ingest, job_id)
    ingest.storage.delete(keeper_key(UUID(job_id)))
    assert ingest.resize(headers={"idempotency-key": "one"}).json()["job_id"] == job_id
    assert keeper(ingest, job_id) == written
    assert len(keepers(ingest)) == 1


def accept_while_storage_takes_no_keeper(ingest: Ingest) -> str:
    put = ingest.storage.put

    def goes_down_before_the_keeper(key: str, *arguments: Any, **more: Any) -> None:
        ingest.storage.is_down = ingest.storage.is_down or key.endswith("/job.json")
        put(key, *arguments, **more)

    ingest.storage.put = goes_down_before_the_keeper  # type: ignore[method-assign]
    answer = ingest.resize()
    assert answer.status_code == 202, answer.text
    assert keepers(ingest) == set()
    ingest.storage.put = put  # type: ignore[method-assign]
    return str(answer.json()["job_id"])


def sweep(ingest: Ingest) -> EventAnswer:
    return build(ingest.pipeline.resources_of("recovery")).handle(new_event(WAKE_UP, "/ping", {}))


def test_a_keeper_that_storage_refuses_is_written_by_the_next_sweep(ingest: Ingest) -> None:
    job_id = accept_while_storage_takes_no_keeper(ingest)
    assert isinstance(sweep(ingest), TryAgain), "storage is still away"
    ingest.storage.is_down = False
    assert sweep(ingest) == Done()
    assert is_kept(ingest, job_id)
    assert ingest.jobs.owed_keepers(limit=1) == {}


def test_a_keeper_that_was_rewritten_meanwhile_stays(ingest: Ingest) -> None:
    job_id = accept_while_storage_takes_no_keeper(ingest)
    ingest.storage.is_down = False
    ingest.storage.put(keeper_key(UUID(job_id)), b"newer", content_type="application/json")
    assert sweep(ingest) == Done()
    assert ingest.storage.get(keeper_key(UUID(job_id)), max_bytes=100) == b"newer"
    assert ingest.jobs.owed_keepers(limit=1) == {}


def test_a_job_that_is_gone_gets_no_keeper(ingest: Ingest) -> None:
    ingest.jobs.owe_keeper(uuid.uuid4(), b"{}")
    assert sweep(ingest) == Done()
    assert keepers(ingest) == set()
    assert ingest.jobs.owed_keepers(limit=1) == {}
