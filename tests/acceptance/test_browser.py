"""docs/browser.md in a real browser: a page at another origin uploads, submits, follows and shows a picture."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.stack import ROOT, RunningStack, running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RECIPE = ROOT / "docs/browser.md"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE = """
<!doctype html><meta charset="utf-8">
<input type="file" id="file"> <img id="picture">
<script type="module">
  import { resize } from "./darkroom.js";
  window.seen = { progress: [], changes: [], job: null, error: null };
  document.querySelector("#file").onchange = async ({ target }) => {
    try {
      seen.job = await resize(target.files[0], { width: 200 }, {
        onProgress: (loaded, total) => seen.progress.push([loaded, total]),
        onChange: (job) => seen.changes.push(job.status),
      });
      document.querySelector("#picture").src = seen.job.result.url;
    } catch (error) {
      seen.error = String(error);
    }
  };
</script>
"""

SEVERAL = """
<!doctype html><meta charset="utf-8">
<style> #responsive { display: block; max-width: 100%; height: auto } #each img { margin: 4px; max-width: 30% } </style>
"""
"""The recipe's page with all sizes, so that they have room on a screen."""
FIVE = ("thumb", "small", "medium", "hero", "square")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)"),
]


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A page's server. Each port is an origin of its own."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def allowed(pages: Path) -> Iterator[str]:
    with site(pages) as origin:
        yield origin


@pytest.fixture(scope="module")
def foreign(pages: Path) -> Iterator[str]:
    with site(pages) as origin:
        yield origin


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, allowed: str, pages: Path) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), "--allow-origin", allowed) as stack:
        [recipe] = re.findall(r"<!-- example: browser -->\n```js\n(.*?)```", RECIPE.read_text(), re.S)
        (pages / "darkroom.js").write_text(recipe.replace("http://127.0.0.1:8080", stack.addresses["api"]))
        (pages / "index.html").write_text(PAGE)
        [several] = re.findall(r'```html\n(<input type="file" id="several".*?)```', RECIPE.read_text(), re.S)
        (pages / "several.html").write_text(SEVERAL + several)
        yield stack


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    home = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env={"HOME": str(home)})
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def send(page: Page, origin: str, picture: bytes) -> dict[str, Any]:
    """Choose a file in the page of this origin, and return what it saw."""
    page.goto(f"{origin}/index.html")
    page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture})
    page.wait_for_function("seen.job !== null || seen.error !== null", timeout=60_000)
    seen: dict[str, Any] = page.evaluate("seen")
    return seen


def test_a_page_of_an_allowed_origin_does_the_whole_recipe(
    stack: RunningStack, page: Page, allowed: str, photograph: bytes
) -> None:
    seen = send(page, allowed, photograph)
    assert seen["error"] is None
    assert seen["progress"][-1] == [len(photograph), len(photograph)]
    assert seen["changes"][-1] == "completed"
    page.wait_for_function("document.querySelector('#picture').naturalWidth === 200", timeout=20_000)
    assert page.evaluate("document.querySelector('#picture').naturalHeight") == 150
    assert seen["job"]["result"]["url"].startswith(str(stack.addresses["s3"]))


def test_a_page_shows_all_sizes_and_the_browser_picks_the_one_that_fits(
    stack: RunningStack, page: Page, allowed: str, pages: Path
) -> None:
    page.set_viewport_size({"width": 640, "height": 900})
    page.goto(f"{allowed}/several.html")
    picture = make_photograph(2400, 1800)
    page.set_input_files("#several", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture})
    loaded = "document.querySelectorAll('#each img').length === 5 && [...document.images].every((one) => one.complete)"
    page.wait_for_function(loaded, timeout=60_000)
    sizes = page.evaluate(
        "[...document.querySelectorAll('#each img')].map((one) => [one.naturalWidth, one.naturalHeight])"
    )
    assert sizes == [[200, 150], [400, 300], [800, 600], [1600, 1200], [300, 300]]
    shown = page.evaluate("document.querySelector('#responsive').currentSrc")
    # 624 of the page's 640 pixels at one pixel of the screen each: medium, 800 wide, is the narrowest that is enough.
    assert "/medium.jpg" in shown
    assert page.evaluate("document.querySelector('#responsive').srcset").count("w,") == 3
    page.screenshot(path=pages / "several.png", full_page=True)


def test_a_page_of_another_origin_is_refused(stack: RunningStack, page: Page, foreign: str, photograph: bytes) -> None:
    seen = send(page, foreign, photograph)
    assert seen["job"] is None
    assert "Failed to fetch" in seen["error"]
    refused = page.evaluate(
        """async (api) => {
            const events = new EventSource(`${api}/jobs/7f/events`);
            return await new Promise((resolve) => { events.onerror = () => resolve(events.readyState); });
        }""",
        f"{stack.addresses['api']}/api/v1",
    )
    assert refused == 2, "closed for good"
    for path in ("status", "events", "metrics"):
        told = page.evaluate(
            "async (url) => { try { return await (await fetch(url)).text() } catch (error) { return String(error) } }",
            f"{stack.addresses['admin']}/{path}",
        )
        assert told == "TypeError: Failed to fetch", path


def test_a_form_of_another_origin_makes_no_job(stack: RunningStack, page: Page, foreign: str) -> None:
    """A form needs no preflight: it is sent, and must be refused when it comes."""
    page.goto(f"{foreign}/index.html")
    url = f"{stack.addresses['api']}/api/v1/resize"
    page.evaluate(
        """async (url) => {
            const form = new FormData();
            form.append("width", "10");
            form.append("image", new Blob(["x"]), "a.jpg");
            await fetch(url, { method: "POST", body: form, mode: "no-cors" });
        }""",
        url,
    )
    answer = httpx.post(url, data={"width": "10"}, files={"image": b"x"}, headers={"Origin": foreign}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin.refused")
    listed = httpx.get(f"{stack.addresses['api']}/api/v1/jobs?limit=100", timeout=20).json()["jobs"]
    assert {job["status"] for job in listed} <= {"completed"}


@pytest.mark.parametrize("name", ["api", "admin", "broker"])
def test_a_page_does_not_come_in_under_a_name_of_its_own(stack: RunningStack, name: str) -> None:
    path = {"api": "/api/v1/jobs", "admin": "/status", "broker": "/darkroom/darkroom"}[name]
    url = stack.addresses[name] + path
    ask = httpx.post if name == "broker" else httpx.get
    refused = ask(url, headers={"Host": "evil.example"}, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (403, "host.refused")
    port = url.split(":")[2].split("/")[0]
    assert ask(url, headers={"Host": f"localhost:{port}"}, timeout=20).status_code in (200, 400)


def test_the_bucket_knows_the_origin(stack: RunningStack, allowed: str, foreign: str) -> None:
    upload = httpx.post(f"{stack.addresses['api']}/api/v1/uploads", timeout=20).json()["upload"]
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,if-none-match"}
    answers = {
        origin: httpx.options(upload["url"], headers={"Origin": origin, **asked}, timeout=20)
        for origin in (allowed, foreign)
    }
    assert answers[allowed].headers["access-control-allow-origin"] == allowed
    assert "access-control-allow-origin" not in answers[foreign].headers
