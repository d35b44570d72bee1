"""Photographs the console's pages of a real run: `python -m tools.console_pictures docs/images`.

It runs the pipeline, posts jobs until the autoscaler has something to say, sends an event that cannot be handled, and
takes the pictures that docs/console.md shows. `--every` has each page at three widths in both themes instead, to be
looked at before a change of the console is merged. Needs Chromium and playwright (the extra `dev`).
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import httpx
from PIL import Image

from darkroom.cli.temporary_stack import temporary_stack
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.imaging.photograph import make_photograph
from darkroom.local.addresses import Addresses

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Theme = Literal["light", "dark"]

WIDTHS = (360, 900, 1600)
THEMES: tuple[Theme, ...] = ("light", "dark")
_HEIGHTS = {360: 760, 900: 900, 1600: 1000}
_COLOURS = 256
_JOBS = 3000
"""More than are done before the last picture."""
_LOADED_S = 25.0
"""How long there is load before the first picture: most of a panic and some of what follows."""
_SETTLES_MS = 1200
"""For a page's first updates."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    page: str
    width: int
    theme: Theme

    @property
    def file_name(self) -> str:
        return f"console-{self.page}-{self.width}-{self.theme}.png"


SHOWN = (
    Shot(page="map", width=1600, theme="light"),
    Shot(page="overview", width=900, theme="dark"),
    Shot(page="overview", width=360, theme="light"),
    Shot(page="autoscaler", width=1600, theme="dark"),
    Shot(page="why", width=900, theme="light"),
    Shot(page="event", width=900, theme="light"),
    Shot(page="job", width=1600, theme="light"),
)
"""Those of the documentation."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--every", is_flag=True, help="Each page at three widths in both themes, instead of those of the docs.")
def main(folder: Path, every: bool) -> None:
    """Write pictures of the console to FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_stack(Path(home, "data"), "--window", "30s") as addresses,
        _load(addresses.api),
        _browser(Path(home)) as browser,
    ):
        _send_what_cannot_be_handled(addresses.broker)
        time.sleep(_LOADED_S)
        paths = _paths(addresses)
        for shot in _every(paths) if every else SHOWN:
            _photograph(browser, f"{addresses.admin}/console{paths[shot.page]}", shot, folder)
            click.echo(folder / shot.file_name)


def _every(paths: Mapping[str, str]) -> Sequence[Shot]:
    return [Shot(page=page, width=width, theme=theme) for page in paths for width in WIDTHS for theme in THEMES]


# --- a run that has something to show -------------------------------------------------------------------------------


@contextmanager
def _load(api: str) -> Iterator[None]:
    """Post jobs, a few at a time, until the pictures are taken."""
    picture = make_photograph(1600, 1200)

    def post(number: int) -> None:
        kind, query = ("resize", "width=400") if number % 3 else ("crop", "aspect=1:1")
        headers = {"Content-Type": "image/jpeg"}
        httpx.post(f"{api}/api/v1/{kind}?{query}", content=picture, headers=headers, timeout=60).raise_for_status()

    with ThreadPoolExecutor(max_workers=4) as threads:
        posting = [threads.submit(post, number) for number in range(_JOBS)]
        try:
            yield
        finally:
            for one in posting:
                one.cancel()


def _send_what_cannot_be_handled(broker: str) -> None:
    """Send an event that asks for a job which does not exist: it is rejected, and kept as a dead letter."""
    data = {"job_id": "00000000-0000-4000-8000-000000000000", "type": "resize"}
    headers, body = encode_binary(new_event("dev.darkroom.resize.requested", "/pictures", data))
    httpx.post(f"{broker}/darkroom/darkroom", headers=headers, content=body, timeout=20)


def _paths(addresses: Addresses) -> dict[str, str]:
    """Return the pages by name; of one event and one job, the latest."""
    admin = addresses.admin
    events = httpx.get(f"{admin}/record/events", params={"type": "*.resize.requested"}, timeout=20).json()["events"]
    jobs = httpx.get(f"{addresses.api}/api/v1/jobs", params={"status": "completed"}, timeout=20).json()["jobs"]
    function = "darkroom/resize"
    return {
        "overview": "/",
        "why": "/why",
        "map": "/map",
        "events": "/events",
        "event": f"/events/one?id={events[0]['id']}",
        "autoscaler": "/autoscaler",
        "function": f"/functions/{function}",
        "trigger": f"/triggers/{function}",
        "jobs": "/jobs",
        "job": f"/jobs/{jobs[0]['job_id']}",
        "dead-letters": "/deadletters",
        "audit": "/audit",
    }


# --- the pictures ----------------------------------------------------------------------------------------------------


@contextmanager
def _browser(home: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise click.ClickException("chromium is not installed (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], env={"HOME": str(home)})
        try:
            yield browser
        finally:
            browser.close()


def _photograph(browser: Browser, url: str, shot: Shot, folder: Path) -> None:
    page = browser.new_page(viewport={"width": shot.width, "height": _HEIGHTS[shot.width]}, color_scheme=shot.theme)
    page.goto(url)
    page.wait_for_timeout(_SETTLES_MS)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette is enough for a page, and a third of the size.
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(folder / shot.file_name, optimize=True)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
