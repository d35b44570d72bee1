"""The functions as processes, with Redis: the whole project, but not by its schedule."""

from collections.abc import Iterator

import pytest

from darkroom.testing import Broker, Session


@pytest.fixture(scope="module")
def shop(darkroom_session: Session) -> Iterator[Broker]:
    with darkroom_session.broker(processes=True) as broker:
        yield broker


def orders_reported(shop: Broker) -> int:
    """Let a report be written now; returns the number of orders in it."""
    ping = shop.ping("report")
    attempt = shop.attempts(ping, "report", within=30)[-1]
    assert attempt.reply is not None, attempt
    return int(attempt.reply.json()["orders"])


def test_a_report_counts_the_orders_of_the_day(shop: Broker) -> None:
    assert orders_reported(shop) == 0
    for number in (1, 2, 3):
        shop.send("shop.order.placed", {"item": "lamp"}, id=f"order-{number}")
    shop.received("count", within=30, count=3)
    shop.settled(within=30)
    assert orders_reported(shop) == 3


def test_reports_are_announced(shop: Broker) -> None:
    orders_reported(shop)
    assert "orders" in shop.received("announce", within=30)[-1].json()
