"""Ten times the rate from twenty clients over two ingest instances: exactly the rate is admitted."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from darkroom.contract.api_keys import make_key
from darkroom.serving.key_file import write_key_file
from tests.front import function_server
from tests.servers import Server, redis_server, running

CLIENTS = 20
LIMIT, PERIOD_S = 600, 60
LASTS_S = 20.0
RATE_PER_S = LIMIT / PERIOD_S


@dataclass(frozen=True, kw_only=True)
class Asked:
    sent_at: float
    answered_at: float
    status: int
    retry_after_s: int | None
    remaining: int


@pytest.fixture(scope="module")
def key_and_instances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Server]]]:
    folder: Path = tmp_path_factory.mktemp("rates")
    key, stored = make_key("test")
    write_key_file(folder / "keys.json", [stored])
    with running(redis_server(folder / "redis")) as redis:
        settings = {
            "API_KEYS": "on",
            "API_KEYS_FILE": str(folder / "keys.json"),
            "RATE_LIMIT": f"{LIMIT}/minute",
            "redis_url": redis.url,
            "s3_url": "http://127.0.0.1:1",
        }
        instances = [function_server("ingest", folder / f"ingest-{n}", **settings) for n in range(2)]
        with running(instances[0]), running(instances[1]):
            yield key, instances


def ask(client: httpx.Client, key: str) -> Asked:
    """A signed upload: it needs no storage but the signature, so that the rate is what is measured."""
    sent_at = time.monotonic()
    answer = client.post("/api/v1/uploads", headers={"authorization": f"Bearer {key}"})
    retry_after = answer.headers.get("retry-after")
    return Asked(
        sent_at=sent_at,
        answered_at=time.monotonic(),
        status=answer.status_code,
        retry_after_s=None if retry_after is None else int(retry_after),
        remaining=int(answer.headers["ratelimit"].split("r=")[1].split(";")[0]),
    )


@pytest.mark.slow
def test_two_instances_admit_what_the_rate_allows(key_and_instances: tuple[str, list[Server]]) -> None:
    key, instances = key_and_instances
    warm_up(key, instances)
    asked: list[Asked] = []
    started = time.monotonic()

    def run(number: int) -> None:
        with httpx.Client(base_url=instances[number % 2].url, timeout=30) as client:
            while (now := time.monotonic()) < started + LASTS_S:
                asked.append(ask(client, key))
                # Ten times the rate, all clients together.
                time.sleep(max(0.0, CLIENTS / (10 * RATE_PER_S) - (time.monotonic() - now)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    admitted = [one for one in asked if one.status == 201]
    refused = [one for one in asked if one.status == 429]
    # The bucket is full until the first is admitted.
    lasted_s = max(one.answered_at for one in asked) - min(one.sent_at for one in asked)
    allowed = LIMIT + RATE_PER_S * lasted_s
    print(  # noqa: T201 - the figures
        f"{len(asked)} asked in {lasted_s:.1f} s, {len(admitted)} admitted, {allowed:.0f} allowed "
        f"({len(admitted) / allowed - 1:+.2%}), {len(refused)} refused"
    )
    assert len(asked) == len(admitted) + len(refused)
    assert abs(len(admitted) / allowed - 1) <= 0.01
    # One slot comes every 100 ms, so each refusal is told a second: whole seconds, rounded up.
    assert {one.retry_after_s for one in refused} == {math.ceil(1 / RATE_PER_S)}
    assert all(one.remaining == 0 for one in refused)


def warm_up(key: str, instances: list[Server]) -> None:
    """The first answers import the S3 client. Then the bucket fills up: it is full when as much remains as can."""
    ends_at = time.monotonic() + 60
    for instance in instances:
        with httpx.Client(base_url=instance.url, timeout=30) as client:
            ask(client, key)
            while ask(client, key).remaining < LIMIT - 1:
                assert time.monotonic() < ends_at
                time.sleep(0.5)
    time.sleep(1 / RATE_PER_S)


@pytest.mark.slow
def test_whoever_waits_as_told_is_admitted(key_and_instances: tuple[str, list[Server]]) -> None:
    key, instances = key_and_instances
    with httpx.Client(base_url=instances[0].url, timeout=30) as client:
        ends_at = time.monotonic() + 60
        while (refused := ask(client, key)).status != 429:
            assert time.monotonic() < ends_at
        assert refused.retry_after_s is not None
        time.sleep(refused.retry_after_s)
        assert ask(client, key).status == 201


def test_no_header_makes_a_client_another_one(key_and_instances: tuple[str, list[Server]], tmp_path: Path) -> None:
    """FORWARDED_ALLOW_IPS would have the server believe X-Forwarded-For, which TRUSTED_PROXIES alone decides."""
    _, instances = key_and_instances
    environment = instances[0].environment
    settings = {
        "API_KEYS": "on",
        "API_KEYS_FILE": environment["API_KEYS_FILE"],
        "RATE_LIMIT": "5/minute",
        "FORWARDED_ALLOW_IPS": "*",
        "redis_url": environment["REDIS_URL"],
        "s3_url": "http://127.0.0.1:1",
    }
    with running(function_server("ingest", tmp_path, **settings)) as server:
        statuses = [
            httpx.post(
                f"{server.url}/api/v1/uploads",
                headers={
                    "authorization": f"Bearer drk_wrong_{number}",
                    "x-forwarded-for": f"192.0.2.{number}",
                    "forwarded": f"for=192.0.2.{number}",
                    "x-real-ip": f"192.0.2.{number}",
                },
            ).status_code
            for number in range(12)
        ]
    assert statuses == [401] * 5 + [429] * 7
