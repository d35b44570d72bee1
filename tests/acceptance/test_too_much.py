"""Quotas as clients meet them: who has too much unfinished is refused at once, others are not, and it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.faults.faulty_stack import edit
from tests.pausing import paused
from tests.stack import ROOT, RunningStack, eventually, made_api_key, running_stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUOTA = 5


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, made_api_key(file), made_api_key(file)


@pytest.fixture(scope="module")
def stack(keys: tuple[Path, str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("too-much")
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    edit(folder / "knative/base/settings.yaml", 'QUOTA_JOBS_UNFINISHED: "off"', f'QUOTA_JOBS_UNFINISHED: "{QUOTA}"')
    manifests = [option for name in ("knative/base", "nats-eventing") for option in ("--manifests", str(folder / name))]
    with running_stack(folder / "data", "--api-keys", str(keys[0]), *manifests) as stack:
        yield stack


def test_a_crowd_of_one_key_gets_its_quota_and_another_key_is_served(
    stack: RunningStack, keys: tuple[Path, str, str]
) -> None:
    picture, large = make_photograph(64, 48), bytes(20_000_000)
    url = f"{stack.addresses['api']}/api/v1"
    busy, other = ({"authorization": f"Bearer {key}", "content-type": "image/jpeg"} for key in keys[1:])

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
