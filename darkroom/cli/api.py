"""The Python client for the command line: errors become messages that say what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from darkroom.client import Client, ClientError, NotAnsweringError
from darkroom.client.protocol import Retries

KEY_VARIABLE = "DARKROOM_API_KEY"
"""The key comes from the environment, because an option would be visible in the process list."""
_RETRIES = Retries(times=4)


class Api:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client(url, api_key=os.environ.get(KEY_VARIABLE) or None, retries=_RETRIES)

    def submit(self, picture: Path, job_type: str, parameters: Mapping[str, Any]) -> str:
        """Submit a picture and return the accepted job's id."""
        with self._errors_as_messages():
            return self._client.submit(picture, job_type, **parameters).job_id

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        with self._errors_as_messages():
            return self._client.job(job_id, wait_s=wait_s).document

    def follow(self, job_id: str, *, timeout_s: float) -> dict[str, Any]:
        """Wait until the job has completed or failed, and return it."""
        with self._errors_as_messages():
            return self._client.end_of(job_id, timeout_s=timeout_s).document

    def download(self, url: str) -> bytes:
        with self._errors_as_messages():
            return self._client.download(url)

    @contextmanager
    def _errors_as_messages(self) -> Iterator[None]:
        try:
            yield
        except NotAnsweringError as exc:
            raise click.ClickException(f"{self._url}: {exc}; is `darkroom up` running?") from exc
        except ClientError as exc:
            raise click.ClickException(str(exc)) from exc
