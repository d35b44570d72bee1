"""The admin API of a running `darkroom up`, as all commands use it. Every failure is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import click
import httpx

from darkroom.cli.terminal import printable

ANSWER_WITHIN_S = 30.0
"""Longer than reading the largest record takes."""
SILENT_FOR_S = 30.0
"""Of a stream; the runtime says something every ten seconds."""
_SHOWN_CHARACTERS = 2000


class SilentRuntimeError(click.ClickException):
    """The runtime takes connections and does not answer in time."""


class AdminClient:
    def __init__(
        self, admin: str, *, answer_within_s: float = ANSWER_WITHIN_S, feature: str = "what this command needs"
    ) -> None:
        self._admin = admin
        self._feature = feature
        """What a runtime of another version lacks, if it has no such path."""
        # trust_env: a proxy would look for the runtime on its own machine.
        self._http = httpx.Client(trust_env=False, timeout=answer_within_s)

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        has_deadline: bool = True,
    ) -> Any:
        """Return the answer's JSON. Raises click.ClickException, and SilentRuntimeError for no answer in time."""
        with translated(self._admin):
            answer = self._http.request(
                method,
                f"{self._admin}{path}",
                json=body,
                params=_given(query or {}),
                timeout=httpx.USE_CLIENT_DEFAULT if has_deadline else None,
            )
        return self._document(answer)

    def ask_object(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the answer's JSON object. Raises like `ask`."""
        document = self.ask(method, path, **options)
        if not isinstance(document, dict):
            raise self._of_another_kind(path, "no JSON object")
        return document

    def lines(self, path: str, query: Mapping[str, object]) -> Iterator[Any]:
        """Yield what a stream of server-sent events says, until the runtime ends."""
        timeout = httpx.Timeout(ANSWER_WITHIN_S, read=SILENT_FOR_S)
        url, params = f"{self._admin}{path}", _given(query)
        with translated(self._admin), self._http.stream("GET", url, params=params, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                raise self._refusal(answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def _document(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise self._refusal(answer)
        try:
            return answer.json()
        except ValueError as exc:
            raise self._of_another_kind(answer.url.path, "no JSON") from exc

    def _refusal(self, answer: httpx.Response) -> click.ClickException:
        if answer.status_code == 404 and answer.text.startswith("404:"):
            return click.ClickException(
                f"the running `darkroom up` is of another version, without {self._feature}: restart it"
            )
        try:
            document = answer.json()
        except ValueError:
            document = None
        detail = document.get("detail", document) if isinstance(document, dict) else answer.text
        return click.ClickException(printable(str(detail)[:_SHOWN_CHARACTERS]))

    def _of_another_kind(self, path: str, what: str) -> click.ClickException:
        return click.ClickException(f"{self._admin}{path} answers {what}; is it `darkroom up` that listens there?")


@contextmanager
def translated(admin: str) -> Iterator[None]:
    """Raise httpx's errors as click.ClickException."""
    try:
        yield
    except httpx.TimeoutException as exc:
        raise SilentRuntimeError(
            f"the runtime at {admin} does not answer in time; `darkroom status` says what hangs"
        ) from exc
    except httpx.RemoteProtocolError as exc:
        raise click.ClickException("the runtime ended") from exc
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        raise click.ClickException(
            f"the runtime at {admin} does not answer ({printable(exc)}); is `darkroom up` running?"
        ) from exc


def only_broker(known: Sequence[str], wanted: str | None = None) -> str:
    """Return the wanted Broker, by its namespace and name or its name alone, or the only one. Raises
    click.ClickException.
    """
    found = [each for each in known if wanted is None or wanted in (each, each.partition("/")[2])]
    if len(found) == 1:
        return found[0]
    if not known:
        raise click.ClickException("the project that runs here has no Broker to send events to")
    if wanted is not None:
        raise click.ClickException(f"there is no one Broker {printable(wanted)}; there is {', '.join(known)}")
    raise click.ClickException(f"there are {len(known)} Brokers; name one with --broker: {', '.join(known)}")


def _given(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value not in (None, "")}
