"""The application's sections, templates and routes, as the console asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from darkroom.client import AsyncClient
from darkroom.console.extension import Section
from darkroom.console.shell import Shell
from darkroom.job_console.answers import Acting, Page, acting, answering
from darkroom.job_console.job_actions import JobActions
from darkroom.job_console.job_list import JobListPage
from darkroom.job_console.job_page import JobPage
from darkroom.job_console.letters_page import LettersPage
from darkroom.job_console.log_lines import ReadLogLines
from darkroom.serving.resources import Resources

_STYLE_SHEET = Path(__file__).with_name("static") / "jobs.css"


class JobPages:
    def __init__(
        self,
        resources: Resources,
        *,
        read_log: ReadLogLines | None = None,
        api_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        """`read_log` reads functions' logs, where they are files; `api_url` is asked for new jobs."""
        self._resources = resources
        self._read_log = read_log
        self._api = None if api_url is None else partial(AsyncClient, api_url, api_key=api_key)
        self._letters: LettersPage | None = None

    @property
    def sections(self) -> Sequence[Section]:
        return (
            Section(title="Jobs", path="/jobs", position=500),
            Section(title="Dead letters", path="/deadletters", position=600),
        )

    @property
    def templates(self) -> Sequence[tuple[str, str]]:
        return (("darkroom.job_console", "templates"),)

    def routes(self, shell: Shell) -> Sequence[Route]:
        job = JobPage(shell, self._resources, self._read_log, has_api=self._api is not None)
        self._letters = letters = LettersPage(shell, self._resources)
        return [
            Route("/jobs-static/jobs.css", _style_sheet),
            _page(shell, "/jobs", JobListPage(shell, self._resources).show),
            _page(shell, "/jobs/{job_id}", job.show),
            _page(shell, "/jobs/{job_id}/stream", job.stream),
            *self._job_actions(shell),
            _page(shell, "/deadletters", letters.show),
            _page(shell, "/deadletters/{number:int}", letters.show_letter),
            _page(shell, "/deadletters/plans/{plan}", letters.show_plan),
            _page(shell, "/deadletters/runs/{run}", letters.show_run),
            _page(shell, "/deadletters/runs/{run}/stream", letters.stream_run),
            _action(shell, "/deadletters/plans", letters.plan, "dead letters: dry run"),
            _action(shell, "/deadletters/plans/{plan}/redrive", letters.redrive, "dead letters: redrive"),
            _action(shell, "/deadletters/plans/{plan}/drop", letters.drop, "dead letters: drop"),
            _action(shell, "/deadletters/runs/{run}/stop", letters.stop_run, "dead letters: stop"),
        ]

    def _job_actions(self, shell: Shell) -> Sequence[Route]:
        actions = JobActions(shell, self._resources, self._api)
        return [
            _action(shell, "/jobs/{job_id}/cancel", actions.cancel, "job: cancel"),
            _action(shell, "/jobs/{job_id}/erase", actions.erase, "job: erase"),
            _action(shell, "/jobs/{job_id}/retry", actions.retry, "job: try again"),
        ]

    def close(self) -> None:
        if self._letters is not None:
            self._letters.runs.close()
        for name in ("jobs", "dead_letters", "emitter"):
            if name in vars(self._resources):
                close = getattr(getattr(self._resources, name), "close", None)
                if close is not None:
                    close()


def _page(shell: Shell, path: str, page: Page) -> Route:
    return Route(path, answering(shell, page))


def _action(shell: Shell, path: str, action: Acting, name: str) -> Route:
    return Route(path, shell.action("act", acting(shell, action), name=name), methods=["POST"])


async def _style_sheet(_request: Request) -> Response:
    return FileResponse(_STYLE_SHEET)
