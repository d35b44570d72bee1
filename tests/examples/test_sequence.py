"""The Sequence of examples/sequence, run as its README says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from darkroom.check.run import check
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.manifests.platform.severity import Severity
from tests.stack import ROOT, RunningStack, eventually, running_stack

SEQUENCE = ROOT / "examples" / "sequence"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("sequence"), cwd=SEQUENCE) as stack:
        yield stack


def order(stack: RunningStack, id: str, **data: Any) -> None:
    headers, body = encode_binary(new_event("shop.order.placed", "/test", data, id=id))
    url = f"{stack.addresses['broker']}/shop/orders-kn-sequence-0-kn-channel"
    answer = httpx.post(url, headers=headers, content=body, timeout=20)
    assert answer.status_code == 202, answer.text


def log(stack: RunningStack, service: str) -> str:
    file = Path(stack.data, "logs", f"{service}.log")
    return file.read_text() if file.exists() else ""


def step(stack: RunningStack, index: int) -> dict[str, Any]:
    name = f"orders-kn-sequence-{index}"
    row: dict[str, Any] = next(row for row in stack.status()["subscriptions"] if row["name"] == name)
    return row


def test_an_order_goes_through_all_three_steps(shop: RunningStack) -> None:
    order(shop, "1", item="lamp", count=2)
    eventually(lambda: "order 1: 2 x lamp = 39.80" in log(shop, "receipt"), within_s=60, what="the receipt")


def test_an_order_without_an_item_ends_at_the_first_step(shop: RunningStack) -> None:
    before = step(shop, 1)["delivered"]
    order(shop, "2", count=1)
    eventually(lambda: "order 2 names no item" in log(shop, "check"), within_s=60, what="the first step says so")
    eventually(lambda: step(shop, 0)["backlog"] == 0, within_s=20, what="nothing waits")
    assert step(shop, 1)["delivered"] == before


def test_an_order_that_cannot_be_priced_is_kept_after_two_retries(shop: RunningStack) -> None:
    order(shop, "3", item="sofa", count=1)
    eventually(lambda: step(shop, 1)["dead_lettered"] == 1, within_s=60, what="the order is given up")
    row = step(shop, 1)
    assert (row["retried"], row["lost"]) == (2, 0)
    assert "there is no price for sofa" in row["last_failure"]["outcome"]
    assert asyncio.run(messages(shop, "KN_SHOP__UNDELIVERABLE")) == 1


async def messages(stack: RunningStack, stream: str) -> int:
    connection = await nats.connect(stack.addresses["nats"])
    try:
        return (await connection.jetstream().stream_info(stream)).state.messages
    finally:
        await connection.close()


def test_the_linter_finds_no_error_in_it() -> None:
    found = check([SEQUENCE / "knative"])
    assert [finding for finding in found if finding.severity is Severity.ERROR] == []
