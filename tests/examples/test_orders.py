"""The order flow of examples/orders, run as its README says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from darkroom.check.run import check
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.manifests.platform.severity import Severity
from tests.stack import ROOT, RunningStack, eventually, running_stack

ORDERS = ROOT / "examples" / "orders"
COUNT = 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("orders"), cwd=ORDERS) as stack:
        yield stack


def request_order(stack: RunningStack, number: int, *, id: str) -> None:
    data = json.loads((ORDERS / "order.json").read_text().replace("{n}", str(number)))
    headers, body = encode_binary(new_event("shop.order.requested", "/test", data, id=id))
    answer = httpx.post(f"{stack.addresses['broker']}/shop/orders", headers=headers, content=body, timeout=20)
    assert answer.status_code == 202, answer.text


def log(stack: RunningStack, service: str) -> str:
    return Path(stack.data, "logs", f"{service}.log").read_text()


def test_each_order_is_shipped_or_kept_by_the_dead_letter_sink(shop: RunningStack) -> None:
    for number in range(1, COUNT + 1):
        request_order(shop, number, id=f"request-{number}")
    declined = [number for number in range(1, COUNT + 1) if number % 10 == 0]

    def ended() -> bool:
        confirm = shop.trigger("confirm")
        return bool(
            shop.trigger("ship")["delivered"] == COUNT - len(declined) and confirm["dead_lettered"] == len(declined)
        )

    eventually(ended, within_s=30, what="each order has ended")
    for number in range(1, COUNT + 1):
        shipped = f"order {number}: a darkroom lamp is on its way"
        given_up = (
            f"order {number} was given up as shop.order.placed: http://confirm.shop.svc.cluster.local answered 500"
        )
        service, words = ("undeliverable", given_up) if number in declined else ("ship", shipped)
        eventually(lambda s=service, w=words: w in log(shop, s), within_s=10, what=words)  # type: ignore[misc]
    assert {shop.trigger(name)["lost"] for name in ("place", "confirm", "ship")} == {0}


def test_a_request_that_is_repeated_is_shipped_once(shop: RunningStack) -> None:
    since = shop.now()
    for _ in range(2):
        request_order(shop, 99, id="request-99")
    words = "order 99: a darkroom lamp is on its way"
    eventually(lambda: words in log(shop, "ship"), within_s=20, what=words)
    assert len(shop.events(since=since, action="event.duplicate_dropped")) == 1
    assert log(shop, "ship").count(words) == 1


def test_a_cluster_would_take_its_manifests() -> None:
    found = check([ORDERS / "knative"])
    assert [finding for finding in found if finding.severity is Severity.ERROR] == []
