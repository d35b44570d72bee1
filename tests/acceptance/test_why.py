"""Ten staged faults: while each lasts, `GET /why` and the console's page Why name its cause and its remedy, and after the
mend both are empty. And `darkroom why` and `darkroom top` beside a stack that is well.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from darkroom.cli.commands import command
from tests.acceptance.test_browser import ARGUMENTS, CHROMIUM
from tests.staged_faults import SEEN_WITHIN_S, StagedFault, found, nothing_wrong
from tests.staged_pipeline import PIPELINE_FAULTS, Pipeline, staged_pipeline
from tests.staged_shop import PLACED, SHOP_FAULTS, Shop, staged_shop
from tests.stack import RunningStack, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

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
    """The page in a real browser, as it is; it is never loaded again while a fault lasts."""

    page: Page

    def open(self, stack: RunningStack) -> None:
        self.page.goto(f"{stack.addresses['admin']}/console/why")

    def shows(self, fault: StagedFault[Any]) -> dict[str, str]:
        """What the page says of the fault, once it does."""
        words = [re.escape(text) for text in fault.cause]
        for code in fault.codes:
            item = self.page.locator(f'[data-code="{code}"]').filter(has_text=re.compile(".*".join(words), re.S))
            try:
                item.first.wait_for(timeout=SEEN_WITHIN_S * 1000 if code == fault.codes[-1] else 1000)
            except Exception:  # noqa: BLE001, S112
                continue
            return {
                "sentence": item.first.locator(".sentence").inner_text(),
                "remedy": item.first.locator(".remedy").inner_text(),
            }
        raise AssertionError(f"the page does not say: {fault.name}: {self.page.inner_text('body')}")

    def is_empty(self) -> None:
        self.page.locator("#findings .empty").wait_for(timeout=SEEN_WITHIN_S * 1000)
