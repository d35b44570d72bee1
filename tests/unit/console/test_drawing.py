"""The flow's graph and an event's way as SVG: layers, places, and what the drawings say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.console.drawing.flow import flow_drawing
from darkroom.console.drawing.graph import Edge, layered
from darkroom.console.drawing.placing import Size, placed
from darkroom.console.drawing.way import way_drawing

NODES = [f"n{number}" for number in range(8)]
GRAPHS = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.integers(0, 3)), max_size=20)


def edges_of(pairs: list[tuple[str, str, int]]) -> list[Edge]:
    return [
        Edge(id=f"e{number}", source=source, target=target, priority=priority)
        for number, (source, target, priority) in enumerate(pairs)
    ]


@settings(max_examples=40)
@given(GRAPHS)
def test_each_link_of_a_graph_leads_to_the_next_layer(pairs: list[tuple[str, str, int]]) -> None:
    edges = edges_of(pairs)
    layers = layered(NODES, edges)
    rank_of = {node: index for index, rank in enumerate(layers.ranks) for node in rank}
    assert {node for node in rank_of if node not in layers.bends} == set(NODES)
    assert all(rank_of[link.right] == rank_of[link.left] + 1 for link in layers.links)
    for edge in (one for one in edges if one.source != one.target):
        own = [link for link in layers.links if link.edge == edge]
        ends = (edge.target, edge.source) if edge.id in layers.backward else (edge.source, edge.target)
        assert (own[0].left, own[-1].right) == ends
        assert all(before.right == after.left for before, after in pairwise(own))


@settings(max_examples=40)
@given(GRAPHS)
def test_no_two_nodes_overlap(pairs: list[tuple[str, str, int]]) -> None:
    edges = edges_of(pairs)
    layers = layered(NODES, edges)
    sizes = {node: Size(width=100, height=40) for node in NODES}
    place = placed(layers, sizes, {edge.id: 30 for edge in edges}, [50] * 20)
    for rank in layers.ranks:
        for above, below in pairwise(rank):
            assert place.boxes[above].y + place.boxes[above].height <= place.boxes[below].y
    for index, link in enumerate(layers.links):
        left, right = place.boxes[link.left], place.boxes[link.right]
        assert left.y <= place.starts[index] <= left.y + left.height
        assert right.y <= place.ends[index] <= right.y + right.height
    assert all(0 <= box.x <= box.right <= place.width and box.y >= 0 for box in place.boxes.values())


def test_of_a_circle_the_edge_of_the_least_weight_leads_back() -> None:
    edges = edges_of([("n0", "n1", 0), ("n1", "n2", 1), ("n2", "n0", 3)])
    layers = layered(NODES[:3], edges)
    assert layers.ranks == [["n0"], ["n1"], ["n2"]] or len(layers.ranks) == 3
    assert layers.backward == {"e2"}


def function(name: str, **facts: Any) -> dict[str, Any]:
    zero = dict.fromkeys(("wanted", "ready", "starting", "busy", "in_flight", "waiting"), 0)
    flags = {"panicking": False, "failing": None, "not_run": None}
    node = {"id": f"function:shop/{name}", "kind": "function", "namespace": "shop", "name": name, "label": name}
    return {**node, **zero, **flags, **facts}


def trigger(to: str, **facts: Any) -> dict[str, Any]:
    counts = ("per_second", "retries_per_second", "backlog", "in_flight", "lost", "dead_lettered")
    ends = {"from": "broker:shop/orders", "to": f"function:shop/{to}"}
    named = {"id": f"t-{to}", "kind": "trigger", "name": to, "namespace": "shop", "resource": to}
    return {**named, **ends, **dict.fromkeys(counts, 0), **facts}


BROKER = {"id": "broker:shop/orders", "kind": "broker", "namespace": "shop", "name": "orders"}


def texts(svg: str) -> list[str]:
    # The tests' own drawings.
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter() if each.tag == "text"]


def test_the_map_says_what_flows_what_waits_and_what_is_lost_and_everything_is_a_link() -> None:
    document = {
        "nodes": [BROKER, function("ship", wanted=3, ready=2, busy=1), function("place")],
        "edges": [trigger("ship", per_second=12.4, backlog=40, in_flight=8, lost=2), trigger("place")],
    }
    svg = flow_drawing(document)
    assert "12.4/s · 40 waiting · 8 in flight · 2 lost" in texts(svg)
    assert "2 of 3 ready · 1 busy" in texts(svg)
    assert "at zero" in texts(svg)
    links = {each.get("href") for each in ElementTree.fromstring(svg).iter("a")}
    assert links == {
        "/console/functions/shop/ship",
        "/console/functions/shop/place",
        "/console/triggers/shop/ship",
        "/console/triggers/shop/place",
        "/console/events?broker=shop/orders",
    }


def test_names_cannot_break_out_of_the_drawing() -> None:
    evil = '"><script>alert(1)</script>'
    document = {"nodes": [BROKER, function("ship", label=evil)], "edges": [trigger("ship", name=evil)]}
    svg = flow_drawing(document)
    assert "<script" not in svg
    ElementTree.fromstring(svg)


def test_a_function_that_replies_to_where_it_emits_has_one_line_back() -> None:
    back = {"from": "function:shop/ship", "to": "broker:shop/orders", "name": ""}
    document = {
        "nodes": [BROKER, function("ship")],
        "edges": [trigger("ship"), {**back, "id": "s", "kind": "sink"}, {**back, "id": "r", "kind": "reply"}],
    }
    kinds = [each.get("class") for each in ElementTree.fromstring(flow_drawing(document)).iter("path")]
    assert [kind for kind in kinds if kind is not None and kind.startswith("edge")] == ["edge trigger", "edge reply"]


def test_a_map_of_nothing_is_a_drawing_of_nothing() -> None:
    ElementTree.fromstring(flow_drawing({"nodes": [], "edges": []}))


def test_an_events_way_says_each_attempt_with_its_time() -> None:
    attempts = [
        {"at": 101.0, "attempt": 1, "lasted_s": 0.5, "outcome": "503", "why": "it answered 503"},
        {"at": 103.0, "attempt": 2, "lasted_s": 0.25, "outcome": "204", "why": ""},
    ]
    way = {"label": "ship", "state": "answered", "attempts": attempts, "dead_letter": None, "lost": None}
    event = {"at": 100.0, "broker": "shop/orders", "type": "shop.placed", "triggers": [way], "caused": []}
    svg = way_drawing([event])
    titles = [each.text for each in ElementTree.fromstring(svg).iter("title")]
    assert "attempt 1: 503 in 500 ms" in titles
    assert "waits 1.5 s" in titles
    assert "attempt 2: 204 in 250 ms" in titles
    described = next(ElementTree.fromstring(svg).iter("desc")).text
    assert described == "2 lines within 3.25 s. shop.placed: accepted. ship: answered after 2 attempts."
