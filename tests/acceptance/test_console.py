"""The console of `darkroom up`: its process, its pages for a project without pictures, its updates."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.console_actions import write_keys
from tests.stack import ROOT, RunningStack, eventually, running_stack

ORDERS = ROOT / "examples" / "orders"
PAGES = ("/", "/why", "/map", "/events", "/autoscaler", "/audit", "/functions/shop/ship", "/triggers/shop/ship")
PICTURES = re.compile(r"\b(pictures?|images?|photo\w*|resiz\w*|crop\w*|renditions?|jpe?g|thumb\w*|pixels?)\b", re.I)
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("orders"), cwd=ORDERS) as stack:
        yield stack


def console(stack: RunningStack) -> psutil.Process | None:
    """The console's process, if it runs."""
    found = [one for one in stack.descendants() if "darkroom.local.console" in one.cmdline()]
    return found[0] if found else None


def page(stack: RunningStack, path: str) -> httpx.Response:
    return httpx.get(f"{stack.addresses['admin']}/console{path}", headers=BROWSER, timeout=60)


def visible_text(answer: httpx.Response) -> str:
    body = answer.text.partition("<body>")[2]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)))


def order(stack: RunningStack, id: str) -> None:
    event = new_event("shop.order.requested", "/test", {"number": 1, "item": "a lamp"}, id=id)
    headers, body = encode_binary(event)
    httpx.post(f"{stack.addresses['broker']}/shop/orders", headers=headers, content=body).raise_for_status()


def test_nothing_of_it_runs_until_somebody_looks_and_again_after_it_has_died(shop: RunningStack) -> None:
    address = f"{shop.addresses['admin']}/console/"
    assert f"Console {address}" in re.sub(r" +", " ", shop.log.read_text())
    assert console(shop) is None
    assert page(shop, "/").status_code == 200
    first = console(shop)
    assert first is not None
    assert page(shop, "/map").status_code == 200
    assert console(shop) == first
    first.kill()
    eventually(lambda: not first.is_running(), within_s=20, what="the console is gone")
    assert page(shop, "/").status_code == 200
    assert console(shop) not in (None, first)


def test_the_pages_of_a_shop_say_what_it_does_without_a_word_of_pictures(shop: RunningStack) -> None:
    order(shop, "order-1")
    eventually(lambda: shop.trigger("ship")["delivered"] > 0, within_s=30, what="the order is shipped")
    texts = {path: visible_text(page(shop, path)) for path in PAGES}
    for path, text in texts.items():
        data = str(shop.data.resolve())
        assert PICTURES.findall(text.replace(data, "")) == [], path
    for name in ("place", "confirm", "ship", "undeliverable", "orders"):
        assert name in texts["/map"]
    assert "shop.order.requested" in texts["/events"]
    assert "a lamp" in texts["/functions/shop/ship"], "the log's last line"
    assert "events of the type shop.order.confirmed" in texts["/triggers/shop/ship"]
    assert "at a target of" in texts["/autoscaler"] or "no request in" in texts["/autoscaler"]


def test_one_events_way_leads_from_the_request_to_the_shipping(shop: RunningStack) -> None:
    order(shop, "order-2")
    eventually(lambda: "order-2" in page(shop, "/events").text, within_s=20, what="the event is listed")

    def shipped() -> str | None:
        text = visible_text(page(shop, "/events/one?id=order-2"))
        return text if "shop.order.confirmed" in text and "ship answered" in re.sub(r" +", " ", text) else None

    text = eventually(shipped, within_s=30, what="the way is complete")
    assert "Reply of" in text
    missing = page(shop, "/events/one?id=nothing-like-it")
    assert missing.status_code == 404
    assert "the record has no event nothing-like-it" in visible_text(missing)


def test_updates_come_through_the_admin_address_while_things_happen(shop: RunningStack) -> None:
    with httpx.stream("GET", f"{shop.addresses['admin']}/console/events/stream", timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        ends_at = time.monotonic() + 60
        number = 0
        while time.monotonic() < ends_at:
            # What happened before the stream began to follow is not said again.
            number += 1
            order(shop, f"live-{number}")
            line = next(line for line in lines if line)
            if line.startswith("data: "):
                break
        update = json.loads(line.removeprefix("data: "))
    assert (update["region"], update["mode"]) == ("tail", "prepend")
    assert "live-" in update["html"]


def test_the_map_and_the_decisions_are_there_as_json(shop: RunningStack) -> None:
    graph = httpx.get(f"{shop.addresses['admin']}/map", timeout=20).json()
    kinds = {(edge["kind"], edge["from"], edge["to"]) for edge in graph["edges"]}
    broker = "broker:shop/orders"
    assert ("trigger", broker, "function:shop/confirm") in kinds
    assert ("dead-letter", broker, "function:shop/undeliverable") in kinds
    assert {node["id"] for node in graph["nodes"]} >= {broker, "function:shop/place", "function:shop/ship"}
    scaled = httpx.get(f"{shop.addresses['admin']}/autoscaler", params={"service": "ship"}, timeout=20).json()
    [service] = scaled["services"]
    assert service["settings"]["window_s"] == 60
    assert service["sentence"]
    assert {"at", "stable", "panic", "wanted", "ready", "panicking"} <= service["latest"].keys()
    unknown = httpx.get(f"{shop.addresses['admin']}/autoscaler", params={"service": "nix"}, timeout=20)
    assert (unknown.status_code, "shop/ship" in unknown.text) == (404, True)


def test_a_foreign_host_and_another_origin_get_nothing(shop: RunningStack) -> None:
    console_url = f"{shop.addresses['admin']}/console"
    assert httpx.get(f"{console_url}/map", headers={"Host": "evil.example"}, timeout=20).status_code == 403
    answer = httpx.post(f"{console_url}/sign-out", headers={"Origin": "http://evil.example"}, timeout=20)
    assert answer.status_code == 403


@pytest.mark.slow
def test_pages_need_a_key_where_keys_are_given_and_the_process_ends_with_the_runtime(tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.json", reader="read")
    with running_stack(tmp_path / "data", "--console-keys", str(tmp_path / "keys.json"), cwd=ORDERS) as stack:
        refused = page(stack, "/map")
        assert (refused.status_code, refused.headers["location"]) == (303, "/console/sign-in?next=/map")
        headers = {**BROWSER, "Authorization": f"Bearer {keys['reader']}"}
        url = f"{stack.addresses['admin']}/console/map"
        assert httpx.get(url, headers=headers, timeout=60).status_code == 200
        plan = stack.data / "console.json"
        assert plan.stat().st_mode & 0o777 == 0o600
        child = console(stack)
        assert child is not None
        # A page that is open keeps a stream open, which must not delay the end.
        with httpx.stream("GET", f"{url}/stream", headers=headers, timeout=60):
            assert stack.stop() == 0
        assert not child.is_running()


def test_the_process_ends_when_the_runtime_is_killed(shop: RunningStack) -> None:
    """The last test of this stack."""
    page(shop, "/")
    child = console(shop)
    assert child is not None
    assert shop.process is not None
    os.kill(shop.process.pid, signal.SIGKILL)
    eventually(lambda: not child.is_running(), within_s=20, what="the console is gone")
