"""Small functions that the tests of the local runtime write to files and run on the real functions-framework."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from darkroom.local.children.logs import LogDirectory
from darkroom.local.revisions.instances import InstanceContext
from darkroom.local.revisions.launching import Launcher
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.images import Images
from darkroom.manifests.revision import ReadinessCheck, Revision, ScalingConfig
from tests.integration.local.waiting import Reports, until

GREETING = """
import functions_framework

@functions_framework.http
def handle(request):
    return "{greeting}"
"""
ENVIRONMENT = """
import os
import functions_framework

@functions_framework.http
def handle(request):
    return dict(os.environ)
"""
READY_ONCE_ASKED_OFTEN = """
import functions_framework

asked = {"probes": 0}

@functions_framework.http
def handle(request):
    if request.path == "/health":
        asked["probes"] += 1
        return ("up", 200) if asked["probes"] > 3 else ("no sink yet", 503)
    return str(asked["probes"])
"""
MOODY = """
from pathlib import Path
import functions_framework

state = {"well": True}

@functions_framework.http
def handle(request):
    if request.path == "/sicken":
        state["well"] = False
    return ("up", 200) if state["well"] or Path("well").exists() else ("not well", 503)
"""
WAITING = """
import time
from pathlib import Path
import functions_framework

@functions_framework.http
def handle(request):
    Path("{marker}").touch()
    time.sleep(float(request.args["s"]))
    return "waited"
"""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A project folder with functions in it, and the pools that run them."""

    root: Path
    logs: LogDirectory
    reports: Reports
    limit: InstanceLimit
    images: Images = field(default_factory=Images)

    def write(self, service: str, code: str) -> Path:
        folder = self.root / "functions" / service
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "main.py").write_text(code)
        return folder

    def revision(
        self,
        service: str,
        *,
        timeout_s: float = 30,
        env: dict[str, str] | None = None,
        readiness: ReadinessCheck | None = None,
        startup: ReadinessCheck | None = None,
        liveness: ReadinessCheck | None = None,
        **scaling: Any,
    ) -> Revision:
        defaults = {
            "FUNCTION_TARGET": "handle",
            "FUNCTION_SOURCE": f"functions/{service}/main.py",
            "THREADS": "1",
        }
        return Revision(
            namespace="default",
            service=service,
            number=1,
            env={**defaults, **(env or {})},
            timeout_s=timeout_s,
            scaling=ScalingConfig(**scaling),
            readiness=readiness or ReadinessCheck(),
            startup=startup,
            liveness=liveness,
        )

    def pool(self, revision: Revision, *, start_timeout_s: float = 30) -> Pool:
        context = InstanceContext(
            project_root=self.root,
            data_dir=self.root / ".darkroom",
            launcher=Launcher(root=self.root, data=self.root / ".darkroom", images=self.images),
            logs=self.logs,
            start_timeout_s=start_timeout_s,
        )
        return Pool(revision, context, self.limit, self.reports)

    @asynccontextmanager
    async def running(self, service: str, code: str, **settings: Any) -> AsyncIterator[Pool]:
        """One ready instance of a function."""
        self.write(service, code)
        pool = self.pool(self.revision(service, **settings))
        try:
            pool.scale_to(1)
            await until(lambda: len(pool.ready) == 1, f"an instance of {service} is ready: {self.reports.all}")
            yield pool
        finally:
            await pool.close(drain=False)


async def get(pool: Pool, path: str = "/") -> str:
    """Request the first ready instance directly, and return its response."""
    url = f"http://{pool.ready[0].address}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()
