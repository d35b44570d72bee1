from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from urllib.parse import parse_qsl

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from loadtests.orders import ORDERS, PICTURES, endless_orders


def test_orders_come_in_their_shares_and_the_same_in_every_run() -> None:
    turn = sum(order.share for order in ORDERS)
    orders = [order.name for order in islice(endless_orders(), 3 * turn)]
    assert Counter(orders) == {order.name: 3 * order.share for order in ORDERS}
    assert orders == [order.name for order in islice(endless_orders(), 3 * turn)]


def test_orders_of_one_kind_do_not_come_all_at_once() -> None:
    turn = sum(order.share for order in ORDERS)
    first_half = Counter(order.name for order in islice(endless_orders(), turn // 2))
    for order in ORDERS:
        assert abs(first_half[order.name] - order.share / 2) <= 1


def test_every_order_asks_for_what_the_contract_allows_of_a_picture_that_is_made() -> None:
    for order in ORDERS:
        order.job_type.parse(dict(order.parameters))
        assert order.picture in PICTURES


def test_nested_parameters_go_into_the_query_as_json() -> None:
    [renditions] = [order for order in ORDERS if order.job_type.name == "renditions"]
    [(name, text)] = parse_qsl(renditions.query)
    assert name == "renditions"
    assert renditions.job_type.parse({name: json.loads(text)}) == renditions.job_type.parse(dict(renditions.parameters))


def test_the_small_picture_is_what_it_says() -> None:
    kind = PICTURES["small PNG"]
    facts = probe(kind.make(), Limits())
    assert (facts.width, facts.height, facts.content_type) == (kind.width_px, kind.height_px, kind.content_type)
