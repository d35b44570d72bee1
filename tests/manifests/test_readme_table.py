"""The README's table of events is what the Triggers say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from darkroom.contract import events
from darkroom.contract.job_types import EVENT_TYPES
from darkroom.local.eventing.filters import passes
from darkroom.manifests import Manifests, load

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (?P<event>[^|]+) \| `(?P<trigger>[\w-]+)` \| (?P<function>[^|]+) \| (?P<sink>[^|]+) \|$", re.M)


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return load([ROOT / "knative/base", ROOT / "nats-eventing"])


def test_the_readme_names_each_trigger_with_its_event_and_where_it_leads(manifests: Manifests) -> None:
    rows = {match["trigger"]: match for match in _ROW.finditer((ROOT / "README.md").read_text())}
    assert set(rows) == {trigger.name for trigger in manifests.triggers}
    event_types: list[str] = []
    for trigger in manifests.triggers:
        row = rows[trigger.name]
        cost_class = re.search(r"costclass: (\w+)", row["event"])
        named = re.findall(r"`(dev\.[a-z.]+)`", row["event"])
        event_types = event_types if cost_class else named
        attributes = {"costclass": cost_class[1] if cost_class else "standard"}
        if "webhooks: we_" in row["event"]:
            attributes["webhooks"] = "we_0123456789ab"
        assert event_types
        for event_type in event_types:
            assert passes(trigger.spec, {"type": event_type, **attributes}), trigger.name
        assert trigger.spec.subscriber.ref is not None
        assert row["function"].split()[-1] == trigger.spec.subscriber.ref.name
        assert trigger.spec.delivery is not None
        assert trigger.spec.delivery.dead_letter_sink is not None
        assert trigger.spec.delivery.dead_letter_sink.ref is not None
        assert row["sink"] == trigger.spec.delivery.dead_letter_sink.ref.name


def test_every_event_that_asks_for_work_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for event_type in (*EVENT_TYPES, events.EVENT_REJECTED, events.JOB_COMPLETED, events.JOB_FAILED):
        assert f"`{event_type}`" in text
