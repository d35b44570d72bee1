"""Quotas as clients meet them: who has too much unfinished is refused at once, others are not, and it ends."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.changed_stack import KeyedStack, changed_stack
from tests.pausing import paused
from tests.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUOTA = 5


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedStack]:
    quota = ("settings.yaml", 'QUOTA_JOBS_UNFINISHED: "off"', f'QUOTA_JOBS_UNFINISHED: "{QUOTA}"')
    with changed_stack(tmp_path_factory.mktemp("too-much"), quota) as keyed:
        yield keyed


def test_a_crowd_of_one_key_gets_its_quota_and_another_key_is_served(keyed: KeyedStack) -> None:
    stack = keyed.stack
    picture, large = make_photograph(64, 48), bytes(20_000_000)
    url = f"{stack.addresses['api']}/api/v1"
    busy, other = ({"authorization": f"Bearer {key}", "content-type": "image/jpeg"} for key in keyed.keys)

    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(8) as threads:

        def submit(headers: dict[str, str], content: bytes = picture) -> httpx.Response:
            return http.post(f"{url}/resize?width=32", content=content, headers=headers)

        with paused(stack.server_pid("nats")):
            named = {**busy, "idempotency-key": "the-first"}
            first = submit(named)
            answers = list(threads.map(lambda _: submit(busy), range(3 * QUOTA)))
            admitted = [first, *(answer for answer in answers if answer.status_code == 202)]
            refused = [answer for answer in answers if answer.status_code != 202] + [submit(busy, large)]
            assert len(admitted) == QUOTA
            assert {(each.status_code, each.json()["code"]) for each in refused} == {(429, "quota.exceeded")}
            assert {int(each.headers["retry-after"]) for each in refused} <= set(range(1, 301))
            assert submit(named).json() == first.json()
            admitted_too = submit(other)
            assert admitted_too.status_code == 202

        def is_completed(headers: dict[str, str], answer: httpx.Response) -> bool:
            shown = http.get(f"{url}/jobs/{answer.json()['job_id']}", headers=headers)
            return bool(shown.json()["status"] == "completed")

        eventually(
            lambda: all(is_completed(busy, each) for each in admitted) and is_completed(other, admitted_too),
            within_s=60,
            what="all that was accepted is completed",
        )
        assert submit(busy).status_code == 202
