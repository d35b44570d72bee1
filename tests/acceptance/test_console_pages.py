"""The console's pages in a real browser: accessible at three widths in both themes, live, and without scripts too."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import FileAudit
from darkroom.console.keys import KeyFile
from darkroom.events.cloudevents import encode_binary, new_event
from tests.browsers import CHROMIUM, THEMES, WIDTHS, chromium, overflow_px, serious_findings
from tests.console_actions import write_keys
from tests.stack import ROOT, RunningStack, eventually, running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

PAGES = (
    "/",
    "/why",
    "/map",
    "/events",
    "/events/one?id=order-10",
    "/events/one?id=unknown",
    "/autoscaler",
    "/audit",
    "/functions/shop/confirm",
    "/triggers/shop/confirm",
    "/sign-in",
    "/no-such-page",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A shop with some orders, of which the tenth is declined and becomes a dead letter."""
    with running_stack(tmp_path_factory.mktemp("orders"), cwd=ROOT / "examples" / "orders") as stack:
        for number in range(1, 11):
            event = new_event("shop.order.requested", "/test", {"number": number, "item": "x"}, id=f"order-{number}")
            headers, body = encode_binary(event)
            httpx.post(f"{stack.addresses['broker']}/shop/orders", headers=headers, content=body).raise_for_status()
        eventually(lambda: stack.trigger("confirm")["dead_lettered"] == 1, within_s=60, what="a dead letter")
        yield stack


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("home")) as started:
        yield started


def said_by(page: Page) -> list[str]:
    """Return what the browser says of the page, which grows."""
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", listen)
    return said


@pytest.mark.timeout(900)
def test_axe_finds_nothing_serious_and_no_page_is_wider_than_its_window(shop: RunningStack, browser: Browser) -> None:
    found: dict[str, list[str]] = {}
    page = browser.new_page()
    complaints = said_by(page)
    for path in PAGES:
        page.goto(f"{shop.addresses['admin']}/console{path}")
        for theme, width in itertools.product(THEMES, WIDTHS):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            wrong = serious_findings(page)
            if overflow_px(page) > 0:
                wrong.append(f"{overflow_px(page)} px wider than the window")
            if wrong:
                found[f"{path} {theme} {width}"] = wrong
        # The browser says so too when a page does not exist, and when its policy has refused something.
        if said := [text for text in complaints if "404" not in text]:
            found[path] = said
        complaints.clear()
    page.close()
    assert found == {}


def test_a_page_shows_what_happens_without_being_loaded_again(shop: RunningStack, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{shop.addresses['admin']}/console/events")
    page.wait_for_selector("html[data-live=on]")
    event = new_event("shop.order.requested", "/test", {"number": 3, "item": "x"}, id="while-looking")
    headers, body = encode_binary(event)
    httpx.post(f"{shop.addresses['broker']}/shop/orders", headers=headers, content=body).raise_for_status()
    page.wait_for_selector("#tail li:has-text('while-looking')")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector("html[data-live=paused]")
    page.close()


def test_a_click_on_the_map_leads_to_the_function_and_keyboards_reach_everything(
    shop: RunningStack, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(f"{shop.addresses['admin']}/console/map")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    link = page.locator("svg.map a[href='/console/functions/shop/confirm']")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/functions/shop/confirm")
    assert "confirm" in page.locator("h1").inner_text()
    page.close()


@contextmanager
def served(application: Starlette) -> Iterator[str]:
    """Serve an application in a thread; yields its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_browser_signs_in_with_a_key_and_out(browser: Browser, tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.json", ana="read")
    access = Access(keys=KeyFile(path=tmp_path / "keys.json"))
    with served(console_application(access=access, audit=FileAudit(path=tmp_path / "audit.jsonl"))) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{address}/console/audit")
        page.get_by_label("Operator's key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        page.get_by_label("Operator's key").fill(keys["ana"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console/audit")
        assert "ana · may read" in page.locator("header").inner_text()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/console/sign-in")
        page.goto(f"{address}/console/audit")
        page.wait_for_url("**/console/sign-in?next=/audit")
        context.close()


def test_every_page_is_complete_without_scripts(shop: RunningStack, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop.addresses['admin']}/console/map")
    assert page.locator("#drawing svg").count() == 1
    assert "confirm" in page.locator("#receivers").inner_text()
    assert page.locator("[data-pause]").is_hidden()
    page.goto(f"{shop.addresses['admin']}/console/events")
    assert page.locator("#tail li").count() > 0
    context.close()
