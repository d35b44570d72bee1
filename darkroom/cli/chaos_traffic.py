"""The traffic of `darkroom chaos --send`: one event after the other, at a steady rate, each repeated until accepted."""

from __future__ import annotations

import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.cli.admin_client import AdminClient, only_broker
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.local.addresses import Addresses

REPEAT_AFTER_S = 0.2
ANSWER_WITHIN_S = 10.0
SOURCE = "/darkroom/chaos"


class Traffic:
    """A context: sends from its start, for a time or until `stop`."""

    def __init__(self, url: str, event_type: str, template: str, *, per_second: float, lasts_s: float) -> None:
        self._url = url
        self._type = event_type
        self._template = template
        self._per_second = per_second
        self._count = int(per_second * lasts_s)
        # The Broker drops an id that it has seen, so that of an earlier run must not come again.
        self._run = secrets.token_hex(4)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="chaos: traffic", daemon=True)
        self._sent = 0
        self._repeated = 0
        self._refused = ""

    @classmethod
    def prepare(
        cls,
        addresses: Addresses,
        event_type: str,
        data: Path | None,
        *,
        per_second: float,
        lasts_s: float,
        broker: str | None,
    ) -> Traffic:
        """Check everything before the first fault. Raises click.UsageError, click.ClickException."""
        template = "{}" if data is None else data.read_text("utf-8")
        try:
            json.loads(_numbered(template, 1))
        except (ValueError, RecursionError) as exc:
            raise click.UsageError(f"--send-data {data}: not JSON: {exc}") from exc
        if broker is None:
            with AdminClient(addresses.admin) as admin:
                broker = only_broker(admin.ask("GET", "/chaos/brokers"))
        if broker.count("/") != 1:
            raise click.UsageError(f"--broker must be NAMESPACE/NAME, was {broker!r}")
        return cls(f"{addresses.broker}/{broker}", event_type, template, per_second=per_second, lasts_s=lasts_s)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(timeout=ANSWER_WITHIN_S)

    def stop(self) -> None:
        self._stopping.set()

    def as_dict(self) -> dict[str, Any]:
        return {"accepted": self._sent, "repeated": self._repeated, "refused": self._refused}

    def _send_all(self) -> None:
        began = time.monotonic()
        with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_S) as client:
            for number in range(1, self._count + 1):
                due = began + (number - 1) / self._per_second
                if self._stopping.wait(max(0.0, due - time.monotonic())) or not self._send(client, number):
                    return

    def _send(self, client: httpx.Client, number: int) -> bool:
        """Send an event until it is accepted; returns False if it never will be, or nobody waits any longer."""
        data = json.loads(_numbered(self._template, number))
        event = new_event(self._type, SOURCE, data, id=f"chaos-{self._run}-{number:06}")
        headers, body = encode_binary(event)
        while True:
            try:
                status, text = (
                    (answer := client.post(self._url, headers=headers, content=body)).status_code,
                    answer.text,
                )
            except httpx.HTTPError as exc:
                status, text = 0, str(exc)
            if status == 202:
                self._sent += 1
                return True
            if 400 <= status < 500:
                self._refused = f"{status} {text[:200]}"
                return False
            self._repeated += 1
            if self._stopping.wait(REPEAT_AFTER_S):
                return False


def _numbered(template: str, number: int) -> str:
    return template.replace("{n}", str(number))
