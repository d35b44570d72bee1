from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from darkroom.client import Client
from darkroom.client.protocol import Retries
from darkroom.contract.jobs import JobStatus
from loadtests.audit import Audit
from loadtests.ledger import Ledger, Submission
from loadtests.verdict import Verdict

RESULT = b"a picture"


@dataclass
class Api:
    """The parts of Darkroom's API that an audit uses, answered from a table."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, httpx.Response] = field(default_factory=dict)

    def add(self, job_id: str, *, status: str = "completed", request_id: str = "", **members: Any) -> None:
        self.jobs[job_id] = {
            "job_id": job_id,
            "status": status,
            "request_id": request_id,
            "created_at": datetime.now(UTC).isoformat(),
            **({"result": {"url": f"http://s3/{job_id}", "bytes": len(RESULT), "content_type": "image/jpeg"}}),
            **members,
        }
        self.results[job_id] = httpx.Response(200, content=RESULT, headers={"content-type": "image/jpeg"})

    def answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if request.url.host == "s3":
            return self.results.get(name, httpx.Response(404))
        if name == "jobs":
            return httpx.Response(200, json={"jobs": list(reversed(self.jobs.values()))})
        if name in self.jobs:
            return httpx.Response(200, json=self.jobs[name])
        return httpx.Response(404, json={"code": "job.not_found", "detail": "", "status": 404})


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(time.time)


@pytest.fixture
def audited(api: Api, ledger: Ledger) -> Callable[[], Verdict]:
    def audit() -> Verdict:
        transport = httpx.MockTransport(api.answer)
        with (
            Client("http://api", transport=transport, retries=Retries(times=0)) as client,
            httpx.Client(transport=transport) as results,
        ):
            return Audit(client, ledger, results=results).run(began_at=time.time(), settle_s=0)

    return audit


def accepted(ledger: Ledger, *job_ids: str, ended: bool = True, pictures: int = 1) -> Submission:
    submission = ledger.open(["resize 2K"] * pictures)
    ledger.sent(submission)
    ledger.accepted(submission, job_ids)
    for job_id in job_ids if ended else ():
        ledger.ended(job_id, JobStatus.COMPLETED)
    return submission


def test_a_ledger_of_completed_jobs_with_their_results_is_clean(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    accepted(ledger, "a")
    accepted(ledger, "b", "c", pictures=2)
    for job_id in "abc":
        api.add(job_id)
    verdict = audited()
    assert verdict.is_clean
    assert (verdict.accepted, verdict.completed, verdict.failed) == (3, 3, 0)


def test_an_accepted_job_that_the_api_does_not_know_is_lost_though_its_end_was_seen(
    ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    accepted(ledger, "a")
    verdict = audited()
    assert verdict.lost == ["a (resize 2K): accepted, and the API answers 404 job.not_found"]
    assert verdict.stuck == []


def test_a_lost_job_that_nobody_saw_end_is_lost_and_not_stuck_too(
    ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    accepted(ledger, "a", ended=False)
    verdict = audited()
    assert (len(verdict.lost), verdict.stuck) == (1, [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404), "answers 404"),
        (httpx.Response(200, content=b"half", headers={"content-type": "image/jpeg"}), "(4, 'image/jpeg')"),
        (httpx.Response(200, content=RESULT, headers={"content-type": "text/html"}), "text/html"),
    ],
)
def test_a_completed_job_without_the_promised_result_is_lost(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict], answer: httpx.Response, said: str
) -> None:
    accepted(ledger, "a")
    api.add("a")
    api.results["a"] = answer
    [case] = audited().lost
    assert case.startswith("a (resize 2K): completed, and")
    assert said in case


def test_a_job_that_ends_only_after_the_load_is_followed_to_its_end(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    accepted(ledger, "a", ended=False)
    api.add("a")
    verdict = audited()
    assert verdict.is_clean
    assert ledger.jobs["a"].status is JobStatus.COMPLETED


def test_a_job_that_has_not_ended_when_the_time_is_up_is_stuck(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    accepted(ledger, "a", ended=False)
    api.add("a", status="processing")
    verdict = audited()
    assert verdict.stuck == ["a (resize 2K): still processing"]
    assert not verdict.is_clean


def test_a_failed_job_is_an_end_and_no_breach(api: Api, ledger: Ledger, audited: Callable[[], Verdict]) -> None:
    accepted(ledger, "a", ended=False)
    api.add("a", status="failed", error={"code": "image.crashed", "message": "", "attempts": 3})
    verdict = audited()
    assert verdict.is_clean
    assert (verdict.failed, ledger.jobs["a"].error) == (1, "image.crashed")


def test_one_picture_that_became_two_jobs_is_doubled(api: Api, ledger: Ledger, audited: Callable[[], Verdict]) -> None:
    accepted(ledger, "a", "b")
    api.add("a")
    api.add("b")
    assert audited().doubled == ["1 pictures became jobs a, b"]


def test_a_second_job_that_no_answer_named_is_found_by_its_request(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    submission = accepted(ledger, "a")
    lost_answer = ledger.sent(submission)
    api.add("a")
    api.add("b", request_id=lost_answer)
    verdict = audited()
    assert len(verdict.doubled) == 1
    assert verdict.accepted == 2


def test_a_job_whose_answer_got_lost_is_followed_like_any_other(
    api: Api, ledger: Ledger, audited: Callable[[], Verdict]
) -> None:
    submission = ledger.open(["resize 2K"])
    api.add("a", request_id=ledger.sent(submission))
    verdict = audited()
    assert verdict.is_clean
    assert verdict.completed == 1
    assert ledger.cut_off == []


def test_other_peoples_jobs_are_none_of_ours(api: Api, audited: Callable[[], Verdict]) -> None:
    api.add("theirs", request_id="another")
    assert audited().accepted == 0
