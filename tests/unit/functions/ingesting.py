"""ingest behind an HTTP client, on adapters in memory."""

from __future__ import annotations

from typing import Any

import httpx

from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build

PICTURE = make_photograph(64, 48)
MAX_INPUT_BYTES = 100_000


class Ingest(HttpClient):
    def __init__(self) -> None:
        pipeline = MemoryPipeline("ingest", settings={"MAX_INPUT_BYTES": str(MAX_INPUT_BYTES)})
        self.pipeline = pipeline
        self.jobs, self.storage, self.emitter = pipeline.jobs, pipeline.storage, pipeline.emitter
        super().__init__(build(pipeline.resources))

    def resize(self, *, picture: bytes = PICTURE, fields: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        form = {"width": "32"} if fields is None else fields
        return self.post("/api/v1/resize", files={"image": ("a.jpg", picture)}, data=form, **more)

    @property
    def originals(self) -> set[str]:
        return {key for key in self.storage.keys if not key.endswith("/job.json")}

    def is_untouched(self) -> bool:
        return not self.storage.keys and not any(self.jobs.backlog().by_status.values())
