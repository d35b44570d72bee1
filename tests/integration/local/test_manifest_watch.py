"""A change of a Service's YAML makes a new revision while the runtime is up; everything else is announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from darkroom.local.revisions.environment import revisions, runnable
from darkroom.local.revisions.manifest_watch import ManifestWatch
from darkroom.local.revisions.pool import Pool
from darkroom.manifests import load
from tests.integration.local.functions import Workshop

SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: shop, labels: {team: one}}
spec:
  template:
    spec:
      containers:
        - image: dev.local/shop
          env: [{name: LEVEL, value: "1"}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {A: "1"}
"""


@asynccontextmanager
async def watched(workshop: Workshop) -> AsyncIterator[tuple[Pool, Path]]:
    """A pool at zero whose manifests are watched, and their file."""
    workshop.root.mkdir()
    file = workshop.root / "shop.yaml"
    file.write_text(SERVICE)
    manifests = load([file])
    [revision] = revisions(manifests, settings={})
    pool = workshop.pool(replace(revision, number=2, env={**revision.env, "K_SINK": "http://sink"}))
    watch = ManifestWatch(
        paths=[file],
        manifests=manifests,
        others=[workshop.root / "darkroom.toml"],
        resolve=lambda changed: runnable(changed, settings={}),
        pools={pool.revision.key: pool},
        report=workshop.reports,
        poll_s=0.02,
        settle_s=0.02,
    )
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0)  # it takes its first look before it waits
    try:
        yield pool, file
    finally:
        running.cancel()
        await asyncio.wait([running])
        await pool.close()


async def test_a_changed_template_is_a_new_revision_that_keeps_its_sink(workshop: Workshop) -> None:
    async with watched(workshop) as (pool, file):
        file.write_text(SERVICE.replace('value: "1"', 'value: "22"'))
        await workshop.reports.wait_for("revision.replaced")
        assert pool.revision.number == 3
        assert pool.revision.env == {"LEVEL": "22", "K_SINK": "http://sink"}


async def test_a_mistake_changes_nothing_and_is_told_with_its_line(workshop: Workshop) -> None:
    async with watched(workshop) as (pool, file):
        file.write_text(SERVICE.replace("image:", "imgae:"))
        refused = await workshop.reports.wait_for("manifests.refused")
        assert "shop.yaml:9" in refused["findings"]
        assert 'did you mean "image"' in refused["findings"]
        file.write_text(SERVICE.replace('value: "1"', 'value: "22"'))
        await workshop.reports.wait_for("revision.replaced")
        assert pool.revision.number == 3


async def test_what_does_not_concern_the_template_is_no_new_revision(workshop: Workshop) -> None:
    async with watched(workshop) as (pool, file):
        file.write_text(SERVICE.replace("team: one", "team: another").replace('A: "1"', 'A: "22"'))
        announced = await workshop.reports.wait_for("manifests.not_taken_up")
        assert announced == {
            "resource": "ConfigMap settings",
            "detail": f"restart `darkroom up` to take up the change of {file}",
        }
        assert pool.revision.number == 2


async def test_services_that_come_and_go_and_the_project_file_are_announced(workshop: Workshop) -> None:
    async with watched(workshop) as (_, file):
        file.write_text(SERVICE + "---" + SERVICE.replace("name: shop", "name: another").partition("---")[0])
        announced = await workshop.reports.wait_for("manifests.not_taken_up")
        assert announced["resource"] == "Service another"
        (workshop.root / "darkroom.toml").write_text("")
        announced = await workshop.reports.wait_for("manifests.not_taken_up", count=2)
        assert announced["detail"].endswith(str(workshop.root / "darkroom.toml"))
        file.unlink()
        await workshop.reports.wait_for("manifests.refused")
