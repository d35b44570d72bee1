"""What is wrong now: the findings of the platform and of the application, served as `GET /why`.

Looking costs about what a status costs, so whoever asks within a second gets the same answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from darkroom.diagnosis import Finding, by_harm, platform_findings
from darkroom.diagnosis.backlogs import KEPT_S, Backlogs
from darkroom.errors import DependencyUnavailableError
from darkroom.events import strict_json
from darkroom.local.extension import Application, Diagnosing

KEPT_FOR_S = 1.0
ANSWER_WITHIN_S = 4.0
"""The deadline of each of the application's parts, after that of the status."""

Look = Callable[[Mapping[str, Any]], Sequence[Finding]]


class Why:
    def __init__(self, status: Callable[[], Awaitable[dict[str, Any]]], application: Application) -> None:
        self._status = status
        self._parts: Mapping[str, Look] = application.findings if isinstance(application, Diagnosing) else {}
        self._pending: dict[str, asyncio.Future[Sequence[Finding]]] = {}
        """The application's parts that did not answer within an earlier deadline."""
        self._seen: dict[tuple[str, str], float] = {}
        """When each finding that still holds was first seen."""
        self._backlogs: deque[Backlogs] = deque()
        self._known: dict[str, Any] | None = None
        self._looking = asyncio.Lock()

    async def document(self) -> dict[str, Any]:
        """Return the findings, the most harmful first, and when they were looked for."""
        async with self._looking:
            if self._known is None or time.time() - self._known["checked_at"] >= KEPT_FOR_S:
                self._known = await self._look()
            return self._known

    def routes(self) -> list[web.RouteDef]:
        async def show(_request: web.Request) -> web.Response:
            return web.json_response(strict_json.finite(await self.document()))

        return [web.get("/why", show)]

    async def _look(self) -> dict[str, Any]:
        status = await self._status()
        now = time.time()
        found = [
            *platform_findings(status, now, self._backlogs),
            *(one for part in await self._application_findings(status) for one in part),
        ]
        self._remember(Backlogs.of(status, now))
        findings = by_harm(self._with_time(one, now) for one in found)
        self._seen = {one.key: one.since or now for one in findings}
        return {"findings": [one.as_dict() for one in findings], "checked_at": time.time()}

    def _remember(self, backlogs: Backlogs) -> None:
        self._backlogs.append(backlogs)
        while backlogs.at - self._backlogs[0].at > KEPT_S:
            self._backlogs.popleft()

    def _with_time(self, finding: Finding, now: float) -> Finding:
        return finding if finding.since is not None else replace(finding, since=self._seen.get(finding.key, now))

    async def _application_findings(self, status: Mapping[str, Any]) -> Sequence[Sequence[Finding]]:
        return await asyncio.gather(*(self._part(name, look, status) for name, look in self._parts.items()))

    async def _part(self, name: str, look: Look, status: Mapping[str, Any]) -> Sequence[Finding]:
        """Ask one of the application's parts. Its clients block, so it is asked in a thread, one at a time."""
        looking = self._pending.pop(name, None) or asyncio.ensure_future(asyncio.to_thread(look, status))
        await asyncio.wait([looking], timeout=ANSWER_WITHIN_S)
        if not looking.done():
            self._pending[name] = looking
            return [_unknown(name, f"no answer within {ANSWER_WITHIN_S:g} s")]
        try:
            return looking.result()
        except DependencyUnavailableError as exc:
            return [_unknown(name, exc.detail)]


def _unknown(name: str, detail: str) -> Finding:
    return Finding(
        code="part.unknown",
        severity="risk",
        subject=name,
        sentence=f"the {name} cannot be looked at: {detail}. What is wrong there is not shown.",
        remedy="Mend the server that does not answer; it has a finding of its own if it is one of the project's.",
    )
