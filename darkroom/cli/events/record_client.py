"""The runtime's record and its Brokers, as the commands ask them over HTTP. Every failure is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.cli.runtime_file import runtime_addresses
from darkroom.cli.terminal import printable
from darkroom.events.cloudevents import CloudEvent, encode_binary
from darkroom.local.addresses import Addresses

ANSWER_WITHIN_S = 30.0
"""Longer than reading the largest record takes."""
SILENT_FOR_S = 30.0
"""Of a tail; the runtime says something every ten seconds."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    is_duplicate: bool


class Runtime:
    """The running `darkroom up` of a data folder."""

    def __init__(self, addresses: Addresses, http: httpx.Client) -> None:
        self._addresses = addresses
        self._http = http

    def bounds(self) -> dict[str, Any]:
        return self._get("/record", {})

    def events(self, query: Mapping[str, object]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("/record/events", query)["events"]
        return found

    def journey(self, id: str) -> dict[str, Any]:
        return self._get("/record/journey", {"id": id})

    def replay(self, numbers: Sequence[int], to: str | None) -> list[dict[str, Any]]:
        body = {"numbers": list(numbers), **({} if to is None else {"to": to})}
        # With an answer of each subscriber, it takes as long as they take.
        found: list[dict[str, Any]] = self._checked(self._request("POST", "/record/replay", json=body, timeout=None))[
            "replayed"
        ]
        return found

    def tail(self, query: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Yield what happens, until the runtime ends."""
        url = f"{self._addresses.admin}/record/tail"
        timeout = httpx.Timeout(ANSWER_WITHIN_S, read=SILENT_FOR_S)
        with (
            self._translated(),
            self._http.stream("GET", url, params=_query(query), timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise _refusal(answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def send(self, broker: str, event: CloudEvent) -> Sent:
        """Post an event to a Broker. Raises click.ClickException if it is not accepted."""
        headers, body = encode_binary(event)
        with self._translated():
            answer = self._http.post(f"{self._addresses.broker}/{broker}", headers=headers, content=body)
        if answer.status_code != 202:
            raise click.ClickException(
                f"the Broker {broker} answered {answer.status_code}: {printable(answer.text[:500])}"
            )
        return Sent(is_duplicate="darkroom-duplicate" in answer.headers)

    def broker(self, wanted: str | None) -> str:
        """Return a Broker's namespace and name; by default the only one. Raises click.ClickException."""
        known: list[str] = self.bounds()["brokers"]
        found = [each for each in known if wanted is None or wanted in (each, each.partition("/")[2])]
        if len(found) == 1:
            return found[0]
        if not known:
            raise click.ClickException("the project that runs here has no Broker to send events to")
        there = f"there is {', '.join(known)}"
        if wanted is not None:
            raise click.ClickException(f"there is no one Broker {printable(wanted)}; {there}")
        raise click.ClickException(f"there are {len(known)} Brokers; name one with --broker: {', '.join(known)}")

    def _get(self, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        return self._checked(self._request("GET", path, params=_query(query)))

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._translated():
            return self._http.request(method, f"{self._addresses.admin}{path}", **options)

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != 200:
            raise _refusal(answer)
        document: dict[str, Any] = answer.json()
        return document

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as exc:
            raise click.ClickException(
                f"the runtime at {self._addresses.admin} does not answer in time; `darkroom status` says what hangs"
            ) from exc
        except httpx.RemoteProtocolError as exc:
            raise click.ClickException("the runtime ended") from exc
        except (httpx.HTTPError, ValueError) as exc:
            raise click.ClickException(
                f"the runtime at {self._addresses.admin} does not answer ({printable(exc)}); is `darkroom up` running?"
            ) from exc


@contextmanager
def open_runtime(data: Path) -> Iterator[Runtime]:
    """Connect to the running `darkroom up`. Raises click.ClickException if nothing runs there."""
    addresses = runtime_addresses(data)
    # trust_env: a proxy would look for the runtime on its own machine.
    with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_S) as http:
        yield Runtime(addresses, http)


def _refusal(answer: httpx.Response) -> click.ClickException:
    if answer.status_code == 404 and answer.text.startswith("404:"):
        return click.ClickException("the running `darkroom up` is of another version, without a record: restart it")
    return click.ClickException(printable(answer.text[:2000]))


def _query(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value not in (None, "")}
