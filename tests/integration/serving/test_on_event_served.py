"""A function of an author's who has no pictures, in functions-framework's own process, over HTTP."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

from tests.servers import LOOPBACK, Server, accepts, free_port, running
from tests.stack import ROOT

SHOP = """
    from cloudevents.http import CloudEvent
    from darkroom.serving import on_event

    @on_event("shop.order.placed", "shop.order.changed")
    def confirm(event: CloudEvent) -> CloudEvent | None:
        order = event.data
        if order.get("broken"):
            raise RuntimeError("the password is canary")
        if order.get("echo"):
            return event
        if not order["total"]:
            return None
        attributes = {"type": "shop.order.confirmed", "source": "/shop/confirm", "subject": event["subject"]}
        return CloudEvent(attributes, {"order": order["id"], "of": event["type"]})
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("shop"), free_port()
    (folder / "main.py").write_text(textwrap.dedent(SHOP))
    environment = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "FUNCTION_TARGET": "confirm",
        "HOST": LOOPBACK,
        "PORT": str(port),
        "WORKERS": "2",
        "THREADS": "1",
        "K_SERVICE": "confirm",
    }
    server = Server(
        url=f"http://{LOOPBACK}:{port}",
        command=[sys.executable, "-m", "functions_framework"],
        folder=folder,
        environment=environment,
        is_ready=lambda: accepts(port),
    )
    with running(server):
        yield server


def order(type: str = "shop.order.placed", **data: Any) -> CloudEvent:
    attributes = {"type": type, "source": "/shop", "id": "order-7", "subject": "ünder 7"}
    return CloudEvent(attributes, {"id": 7, "total": 30, **data})


def send(shop: Server, event: CloudEvent, *, structured: bool = False) -> httpx.Response:
    """Written by the SDK, as any sender would."""
    headers, body = to_structured(event) if structured else to_binary(event)
    # httpx writes no header that is not Latin-1; the SDK leaves it to its caller.
    encoded = {name: value.encode() for name, value in headers.items()}
    return httpx.post(f"{shop.url}/", headers=encoded, content=body, timeout=20)  # type: ignore[arg-type]


def logged(shop: Server) -> list[dict[str, Any]]:
    lines = (shop.folder / "server.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("type", ["shop.order.placed", "shop.order.changed"])
def test_an_event_is_answered_with_the_functions_event(shop: Server, type: str, structured: bool) -> None:
    answer = send(shop, order(type), structured=structured)
    assert answer.status_code == 200, answer.text
    reply = from_http(answer.headers, answer.content)
    assert (reply["type"], reply["source"]) == ("shop.order.confirmed", "/shop/confirm")
    assert reply["id"] != "order-7"
    assert reply.data == {"order": 7, "of": type}


def test_nothing_to_say_is_204_without_a_body(shop: Server) -> None:
    answer = send(shop, order(total=0))
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_exception_is_500_its_text_is_in_the_log_alone_and_the_process_serves_on(shop: Server) -> None:
    answer = send(shop, order(broken=True))
    assert answer.status_code == 500
    assert "canary" not in answer.text + str(answer.headers)
    [line] = [line for line in logged(shop) if line["action"] == "event.failed"]
    assert "the password is canary" in line["exception"]
    assert (line["event_id"], line["service"], line["level"]) == ("order-7", "confirm", "error")
    assert send(shop, order(total=0)).status_code == 204


def test_a_reply_under_the_events_own_id_is_refused_and_the_log_says_why(shop: Server) -> None:
    assert send(shop, order(echo=True)).status_code == 500
    [line] = [line for line in logged(shop) if line["action"] == "reply.refused"]
    assert "the id of the event that it answers, 'order-7'" in line["error"]


def test_another_type_and_what_is_no_event_are_no_4xx(shop: Server) -> None:
    other = send(shop, order("shop.order.paid"))
    assert (other.status_code, other.text.partition(",")[2]) == (500, " not shop.order.paid")
    none = httpx.post(f"{shop.url}/", json={"id": 7}, timeout=20)
    assert none.status_code == 500
    assert "not a CloudEvent" in none.text


def test_a_path_of_its_own_is_served_as_well_and_a_get_is_told_that_it_is_no_event(shop: Server) -> None:
    headers, body = to_binary(order(total=0))
    elsewhere = httpx.post(f"{shop.url}/orders", headers={**headers, "ce-subject": "7"}, content=body, timeout=20)
    assert elsewhere.status_code == 204
    assert httpx.get(f"{shop.url}/", timeout=20).status_code == 405
