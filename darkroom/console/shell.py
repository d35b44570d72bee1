"""What all pages share: the layout, who may act, the audit log, streams. An application's pages get it too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from darkroom.console.access import Access, AccessRefusedError, Operator
from darkroom.console.audit import Audit
from darkroom.console.extension import Section
from darkroom.console.rendering import BASE, environment, page_headers
from darkroom.console.runtime import Runtime, RuntimeUnavailableError
from darkroom.console.streams import Update, event_stream

log = logging.getLogger(__name__)

ActionScope = Literal["none", "read", "act"]
"""Whose key an action asks for, where keys are configured. `none` is for signing in."""


@dataclass(kw_only=True)
class Attempt:
    """One attempt of an action. The handler fills in what the audit log should say."""

    operator: Operator
    target: str = ""
    outcome: str = "done"
    details: dict[str, Any] = field(default_factory=dict)


ActionHandler = Callable[[Request, Attempt], Awaitable[Response]]


class Action:
    """The endpoint of a POST route, an ASGI application: checks who sends the request, lets the handler act, and writes
    the audit entry.
    """

    def __init__(self, shell: Shell, scope: ActionScope, handler: ActionHandler, name: str) -> None:
        self._shell = shell
        self._handler = handler
        self.scope = scope
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            operator = self._admitted(request)
        except AccessRefusedError as exc:
            await self._shell.record(exc.who, self.name, request.url.path, "refused", {"reason": exc.sentence})
            return self._shell.refusal(request, exc.status, exc.sentence)
        attempt = Attempt(operator=operator)
        try:
            response = await self._handler(request, attempt)
        except AccessRefusedError as exc:
            await self._shell.record(operator.name, self.name, attempt.target, "refused", {"reason": exc.sentence})
            return self._shell.refusal(request, exc.status, exc.sentence)
        except Exception as exc:
            failure = {**attempt.details, "error": f"{type(exc).__name__}: {exc}"}
            await self._shell.record(operator.name, self.name, attempt.target, "failed", failure)
            raise
        await self._shell.record(operator.name, self.name, attempt.target, attempt.outcome, attempt.details)
        return response

    def _admitted(self, request: Request) -> Operator:
        access = self._shell.access
        access.check_host(request)
        access.check_origin(request)
        return Operator(name="", may_act=False) if self.scope == "none" else access.operator(request, self.scope)


class Shell:
    def __init__(
        self,
        *,
        access: Access,
        audit: Audit,
        runtime: Runtime | None,
        sections: Sequence[Section],
        templates: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.access = access
        self.audit = audit
        self.runtime = runtime
        """None in a cluster, where Knative has no such API."""
        self._sections = sorted(sections, key=lambda section: section.position)
        self._environment = environment(tuple(templates))

    @property
    def first_page(self) -> str:
        """Return the path of the first section, below `/console`."""
        return self._sections[0].path

    # --- pages -------------------------------------------------------------------------------------------------------

    def page(
        self,
        request: Request,
        template: str,
        *,
        title: str,
        status: int = 200,
        image_sources: Collection[str] = (),
        **context: Any,
    ) -> HTMLResponse:
        """Render a page. The template extends `layout.html` and fills its block `content`."""
        html = self._environment.get_template(template).render(
            title=title,
            sections=self._sections,
            current=self._current(request),
            operator=self.operator(request),
            signs_in=self.access.keys is not None,
            **context,
        )
        return HTMLResponse(html, status_code=status, headers=page_headers(image_sources))

    def fragment(self, template: str, **context: Any) -> str:
        """Render a part of a page, for `stream`. A page includes the same template."""
        return self._environment.get_template(template).render(**context)

    def refusal(self, request: Request, status: int, sentence: str) -> Response:
        """Answer with one sentence: as a page to a browser, as text to a program."""
        if "text/html" in request.headers.get("accept", ""):
            return self.page(request, "refusal.html", title="Not done", status=status, sentence=sentence)
        return Response(f"{sentence}\n", status_code=status, media_type="text/plain", headers=page_headers())

    def redirect(self, path: str) -> RedirectResponse:
        """Answer an action with the page to look at, whose path is below `/console`."""
        return RedirectResponse(f"{BASE}{path}", status_code=303, headers=page_headers())

    def operator(self, request: Request) -> Operator | None:
        """Return who looks at the page; None for somebody who has not signed in."""
        try:
            return self.access.operator(request, "read")
        except AccessRefusedError:
            return None

    def _current(self, request: Request) -> str:
        """Return the path of the section that the request belongs to."""
        path = request.url.path.removeprefix(BASE) or "/"
        return next((each.path for each in self._sections if _is_below(path, each.path)), "")

    # --- actions and streams -----------------------------------------------------------------------------------------

    def action(self, scope: ActionScope, handler: ActionHandler, *, name: str = "") -> Action:
        """Wrap the handler of a POST route.

        Refuses a foreign Host or Origin, a missing key and one without the scope, with 401 or 403 and a sentence.
        Writes an audit entry of each attempt. `name` is what the audit log calls the action.
        """
        return Action(self, scope, handler, name or handler.__name__.strip("_"))

    async def record(self, who: str, action: str, target: str, outcome: str, details: dict[str, Any]) -> None:
        await asyncio.to_thread(self.audit.record, who, action, target, outcome, details)

    def stream(self, _request: Request, updates: AsyncIterator[Update]) -> StreamingResponse:
        """Answer with updates of the page's regions, as server-sent events, until the browser goes away.

        The stream ends when the runtime does not answer; the browser then says so, and asks again.
        """
        return event_stream(_while_answered(updates))


async def _while_answered(updates: AsyncIterator[Update]) -> AsyncGenerator[Update, None]:
    try:
        async for update in updates:
            yield update
    except RuntimeUnavailableError as exc:
        log.warning("console.stream_ended: %s", exc)
    finally:
        if isinstance(updates, AsyncGenerator):
            await updates.aclose()


def _is_below(path: str, section: str) -> bool:
    return path == section or (section != "/" and path.startswith(f"{section}/"))
