"""Ten staged faults: while each lasts, `GET /why` and the console's page Why name its cause and its remedy, and after
the mend both are empty. And `darkroom why` and `darkroom top` beside a stack that is well.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner, Result

from darkroom.cli.commands import command
from tests.acceptance.test_browser import ARGUMENTS, CHROMIUM
from tests.stack import RunningStack, eventually
from tests.staged_faults import SEEN_WITHIN_S, StagedFault, found, nothing_wrong
from tests.staged_pipeline import PIPELINE_FAULTS, Pipeline, staged_pipeline
from tests.staged_shop import SHOP_FAULTS, Shop, staged_shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

_READ = """items => items.map(item => ({
    code: item.dataset.code,
    sentence: item.querySelector(".sentence").textContent,
    remedy: item.querySelector(".remedy").textContent,
}))"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with staged_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with staged_pipeline(tmp_path_factory.mktemp("pipeline")) as pipeline:
        yield pipeline


@dataclass
class WhyPage:
    """The page in a real browser. It is loaded before the fault, and shows it without being loaded again."""

    page: Page | None
    """None: there is no browser."""

    def open(self, stack: RunningStack) -> None:
        """Load the page, unless it is this stack's already."""
        url = f"{stack.addresses['admin']}/console/why"
        if self.page is not None and self.page.url != url:
            self.page.goto(url)

    def shows(self, fault: StagedFault[Any]) -> None:
        def look() -> bool:
            return any(fault.says(shown) for shown in self._shown())

        if self.page is not None:
            eventually(look, within_s=SEEN_WITHIN_S, what=f"the page says: {fault.name}")

    def is_empty(self) -> None:
        if self.page is not None:
            self.page.locator("#findings .empty").wait_for(timeout=SEEN_WITHIN_S * 1000)
            assert self._shown() == []

    def _shown(self) -> list[dict[str, str]]:
        assert self.page is not None
        found: list[dict[str, str]] = self.page.eval_on_selector_all("[data-code]", _READ)
        return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhyPage]:
    if CHROMIUM is None:
        yield WhyPage(None)
        return
    from playwright.sync_api import sync_playwright

    home = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env={"HOME": str(home)})
        try:
            yield WhyPage(browser.new_page())
        finally:
            browser.close()


def tell(text: str) -> None:
    """The figures are wanted as much as the verdict: pytest -s shows them."""
    sys.stdout.write(f"\n{text}")


def shown_while_it_lasts(stack: RunningStack, fault: StagedFault[Any], house: Any, page: WhyPage) -> None:
    nothing_wrong(stack)
    page.open(stack)
    with fault.stage(house):
        began = time.monotonic()
        finding, took_s = found(stack, fault)
        page.open(stack)
        page.shows(fault)
        tell(f"{fault.name}: said after {took_s:.1f} s, on the page after {time.monotonic() - began:.1f} s")
        tell(f"  {finding['severity']}: {finding['sentence']}\n  {finding['remedy']}")
        if finding["link"]:
            eventually(
                lambda: leads_somewhere(stack, finding["link"]), within_s=30, what=f"{finding['link']} is a page"
            )
    mended = time.monotonic()
    nothing_wrong(stack)
    tell(f"  gone {time.monotonic() - mended:.1f} s after the mend")
    page.open(stack)
    page.is_empty()
    if page.page is None:
        pytest.skip("the page itself was not read: chromium is not installed (Debian's package chromium)")


def leads_somewhere(stack: RunningStack, link: str) -> bool:
    return httpx.get(f"{stack.addresses['admin']}/console{link}", timeout=30).status_code == 200


@pytest.mark.parametrize("fault", SHOP_FAULTS, ids=str)
def test_a_fault_of_the_platform_is_said_with_its_cause_and_remedy_until_it_is_mended(
    fault: StagedFault[Shop], shop: Shop, page: WhyPage
) -> None:
    shown_while_it_lasts(shop.stack, fault, shop, page)


@pytest.mark.parametrize("fault", PIPELINE_FAULTS, ids=str)
def test_a_fault_of_the_pipeline_is_said_with_its_cause_and_remedy_until_it_is_mended(
    fault: StagedFault[Pipeline], pipeline: Pipeline, page: WhyPage
) -> None:
    shown_while_it_lasts(pipeline.stack, fault, pipeline, page)


# --- the same as text ------------------------------------------------------------------------------------------------


def darkroom(stack: RunningStack, *arguments: str, code: int = 0) -> Result:
    """Run the command in this process, which is much quicker than in one of its own."""
    done = CliRunner(env={"DARKROOM_DATA": str(stack.data)}).invoke(command, arguments)
    assert done.exit_code == code, done.output
    return done


def test_a_pipeline_that_is_well_has_nothing_to_say(pipeline: Pipeline) -> None:
    nothing_wrong(pipeline.stack)
    done = darkroom(pipeline.stack, "why")
    assert (done.stdout, done.stderr) == ("", "nothing is wrong\n")
    assert json.loads(darkroom(pipeline.stack, "why", "--json").stdout)["findings"] == []


def test_why_explains_a_job_a_service_and_an_event(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    job_id = stack.submit("resize", pipeline.picture, width=80)
    stack.completed(job_id)
    of_job = darkroom(stack, "why", job_id[:13]).stdout.splitlines()
    assert of_job[0] == f"job {job_id}, resize: completed"
    assert any("completed the job after" in line for line in of_job)

    of_service = darkroom(stack, "why", "resize").stdout
    assert re.search(r"the autoscaler's last decision: .* asks for \d", of_service), of_service
    assert json.loads(darkroom(stack, "why", "resize", "--json").stdout)["kind"] == "service"

    record = eventually(lambda: _events_of(stack, job_id), within_s=20, what="the record has the job's event")
    of_event = darkroom(stack, "why", record[0]).stdout
    assert "Trigger resize: " in of_event
    assert "Trigger crop: not for it: type dev.darkroom.resize.requested is not dev.darkroom.crop.requested" in of_event


def _events_of(stack: RunningStack, job_id: str) -> list[str]:
    query = {"type": "dev.darkroom.resize.requested", "limit": "50"}
    listed = httpx.get(f"{stack.addresses['admin']}/record/events", params=query, timeout=20).json()["events"]
    return [event["id"] for event in listed if event["subject"] == job_id]


def test_why_says_what_a_name_could_not_be(pipeline: Pipeline) -> None:
    done = darkroom(pipeline.stack, "why", "nobody", code=1)
    assert "no Service is called so (there is crop, " in done.output
    assert "no event: the record has no event nobody" in done.output


def test_top_shows_functions_triggers_jobs_and_findings_as_lines_and_as_json(pipeline: Pipeline) -> None:
    lines = [line.split("\t") for line in darkroom(pipeline.stack, "top", "--once").stdout.splitlines()]
    assert {line[0] for line in lines} >= {"function", "trigger", "jobs"}
    assert ["function", "resize"] in [line[:2] for line in lines]
    view = json.loads(darkroom(pipeline.stack, "top", "--once", "--json").stdout)
    assert {trigger["name"] for trigger in view["triggers"]} >= {"resize", "crop"}
    assert all(trigger["per_s"] is not None for trigger in view["triggers"])
    assert view["jobs"]["per_s"] >= 0
