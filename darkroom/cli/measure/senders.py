"""What `darkroom measure` sends: an event to the Broker of a Trigger, or a picture to the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.cli.terminal import printable
from darkroom.events.cloudevents import encode_binary, new_event

SOURCE = "/darkroom/measure"
Send = Callable[[], None]


def event_sender(http: httpx.Client, broker_url: str, event_type: str, data: Any) -> Send:
    """Return what sends an event with a new id each time. Raises click.ClickException when it is not accepted."""

    def send() -> None:
        headers, body = encode_binary(new_event(event_type, SOURCE, data))
        _check(http.post(broker_url, headers=headers, content=body))

    return send


def picture_sender(
    http: httpx.Client, api_url: str, job_type: str, picture: Path, parameters: Mapping[str, str]
) -> Send:
    """Return what posts a picture as a job. Raises click.ClickException when it is not accepted."""
    content = picture.read_bytes()

    def send() -> None:
        files = {"image": (picture.name, content)}
        _check(http.post(f"{api_url}/api/v1/{job_type}", files=files, data=dict(parameters)))

    return send


def _check(answer: httpx.Response) -> None:
    if answer.status_code != 202:
        raise click.ClickException(f"{answer.url} answered {answer.status_code}: {printable(answer.text[:500])}")


def read_data(given: str) -> Any:
    """Read an event's data: JSON text, or a file that has it. Raises click.UsageError."""
    file = Path(given)
    try:
        text = file.read_text(encoding="utf-8") if not given.lstrip().startswith(("{", "[", '"')) else given
        return json.loads(text)
    except (OSError, ValueError) as exc:
        raise click.UsageError(f"--data must be JSON or the name of a file that has it: {exc}") from exc
