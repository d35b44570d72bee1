"""The runtime's record and its Brokers, as the commands ask them over HTTP. Every failure is one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.cli.admin_client import ANSWER_WITHIN_S, AdminClient, only_broker, translated
from darkroom.cli.runtime_file import runtime_addresses
from darkroom.cli.terminal import printable
from darkroom.events.cloudevents import CloudEvent, encode_binary


@dataclass(frozen=True, kw_only=True)
class Sent:
    is_duplicate: bool


class Runtime:
    """The running `darkroom up` of a data folder."""

    def __init__(self, admin: AdminClient, brokers: str, http: httpx.Client) -> None:
        self._admin = admin
        self._brokers = brokers
        """The address at which events are sent to Brokers."""
        self._http = http

    def bounds(self) -> dict[str, Any]:
        return self._admin.ask_object("GET", "/record")

    def events(self, query: Mapping[str, object]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._admin.ask_object("GET", "/record/events", query=query)["events"]
        return found

    def journey(self, id: str) -> dict[str, Any]:
        return self._admin.ask_object("GET", "/record/journey", query={"id": id})

    def replay(self, numbers: Sequence[int], to: str | None) -> list[dict[str, Any]]:
        body = {"numbers": list(numbers), **({} if to is None else {"to": to})}
        # With an answer of each subscriber, it takes as long as they take.
        answer = self._admin.ask_object("POST", "/record/replay", body=body, has_deadline=False)
        replayed: list[dict[str, Any]] = answer["replayed"]
        return replayed

    def tail(self, query: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Yield what happens, until the runtime ends."""
        return self._admin.lines("/record/tail", query)

    def send(self, broker: str, event: CloudEvent) -> Sent:
        """Post an event to a Broker. Raises click.ClickException if it is not accepted."""
        headers, body = encode_binary(event)
        with translated(self._brokers):
            answer = self._http.post(f"{self._brokers}/{broker}", headers=headers, content=body)
        if answer.status_code != 202:
            raise click.ClickException(
                f"the Broker {broker} answered {answer.status_code}: {printable(answer.text[:500])}"
            )
        return Sent(is_duplicate="darkroom-duplicate" in answer.headers)

    def broker(self, wanted: str | None) -> str:
        """Return a Broker's namespace and name; by default the only one. Raises click.ClickException."""
        return only_broker(self.bounds()["brokers"], wanted)


@contextmanager
def open_runtime(data: Path) -> Iterator[Runtime]:
    """Connect to the running `darkroom up`. Raises click.ClickException if nothing runs there."""
    addresses = runtime_addresses(data)
    # trust_env: a proxy would look for the runtime on its own machine.
    with (
        AdminClient(addresses.admin, feature="a record") as admin,
        httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_S) as http,
    ):
        yield Runtime(admin, addresses.broker, http)
