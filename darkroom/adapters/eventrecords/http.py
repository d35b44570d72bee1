"""The record of `darkroom up`, at its admin address."""

from __future__ import annotations

import json
from collections.abc import Collection

from darkroom.adapters.broker.sink import Sink, UnreadableAnswerError
from darkroom.contract.errors import DependencyUnavailableError

TIMEOUT_S = 30.0
"""A record of a day is rewritten in a few seconds."""


class HttpEventRecords:
    def __init__(self, admin_url: str) -> None:
        self._sink = Sink(f"{admin_url.rstrip('/')}/record/forget")

    def forget(self, job_ids: Collection[str]) -> None:
        body = json.dumps({"containing": list(job_ids)}).encode()
        try:
            status = self._sink.post({"content-type": "application/json"}, body, timeout_s=TIMEOUT_S)
        except (OSError, UnreadableAnswerError) as exc:
            raise DependencyUnavailableError("event record", f"it cannot be reached: {type(exc).__name__}") from exc
        if status != 200:
            raise DependencyUnavailableError("event record", f"it answered {status}")
