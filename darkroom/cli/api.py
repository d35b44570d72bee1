"""The Python client for the command line: errors become messages that say what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import click
import httpx

from darkroom.cli.terminal import printable
from darkroom.client import Client, ClientError, NotAnsweringError
from darkroom.client.protocol import Retries

KEY_VARIABLE = "DARKROOM_API_KEY"
"""The key comes from the environment, because an option would be visible in the process list."""
JOBS_SEARCHED = 1000
"""How many of the newest jobs are searched for an abbreviated id."""
_RETRIES = Retries(times=4)
_ID_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]*", re.IGNORECASE)


def new_client(url: str, retries: Retries) -> Client:
    """Make a client with the environment's API key. Raises click.UsageError."""
    return Client(_usable_url(url), api_key=_usable_key(), retries=retries)


class Api:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client = new_client(url, _RETRIES)
        context = click.get_current_context(silent=True)
        if context is not None:
            context.call_on_close(self.close)

    def close(self) -> None:
        """Close the connections; the end of a command does so by itself."""
        self._client.close()

    def submit(self, picture: Path, job_type: str, parameters: Mapping[str, Any]) -> str:
        """Submit a picture and return the accepted job's id."""
        with self._errors_as_messages():
            return self._client.submit(picture, job_type, **parameters).job_id

    def presets(self) -> list[dict[str, Any]]:
        with self._errors_as_messages():
            return self._client.presets()

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        with self._errors_as_messages():
            return self._client.job(job_id, wait_s=wait_s).document

    def follow(self, job_id: str, *, timeout_s: float) -> dict[str, Any]:
        """Wait until the job has completed or failed, and return it."""
        with self._errors_as_messages():
            return self._client.end_of(job_id, timeout_s=timeout_s).document

    def cancel(self, job_id: str) -> dict[str, Any]:
        with self._errors_as_messages():
            return self._client.cancel(job_id).document

    def erase(self, job_id: str) -> None:
        with self._errors_as_messages():
            self._client.erase(job_id)

    def download(self, url: str) -> bytes:
        with self._errors_as_messages():
            return self._client.download(url)

    def full_id(self, text: str) -> str:
        """Return the job id that `text` is, or begins. Raises click.ClickException, which lists several."""
        try:
            return str(UUID(text))
        except ValueError:
            if not _ID_PREFIX.fullmatch(text):
                raise click.ClickException(f"{text!r} is not a job id, nor the beginning of one") from None
        with self._errors_as_messages():
            newest = islice(self._client.jobs(limit=100), JOBS_SEARCHED)
            found = [state.job_id for state in newest if state.job_id.startswith(text.lower())]
        return only_match(text, found, f"none of the newest {JOBS_SEARCHED:,} jobs begins with it; give the whole id")

    @contextmanager
    def _errors_as_messages(self) -> Iterator[None]:
        try:
            yield
        except NotAnsweringError as exc:
            hint = "is `darkroom up` running?" if _is_loopback(self._url) else "is it the API's address?"
            raise click.ClickException(f"{self._url}: {printable(exc)}; {hint}") from exc
        except ClientError as exc:
            raise click.ClickException(printable(exc)) from exc


def only_match(prefix: str, found: list[str], none: str) -> str:
    """Return the only id found for a prefix. Raises click.ClickException, which lists the ids if there are several."""
    if not found:
        raise click.ClickException(f"{prefix!r}: {none}")
    if len(found) > 1:
        shown = "\n".join(f"  {one}" for one in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        raise click.ClickException(f"{prefix!r} is the beginning of {len(found)} ids:\n{shown}{more}")
    return found[0]


def _is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine, by its name or address alone."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _usable_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
        usable = parsed.scheme in {"http", "https"} and bool(parsed.host)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise click.UsageError(
            f"the API's address must be http://HOST or https://HOST, was {url!r} (--url, DARKROOM_URL)"
        )
    return url


def _usable_key() -> str | None:
    key = os.environ.get(KEY_VARIABLE)
    if key and not (key.isascii() and key.isprintable()):
        # Its value is not shown.
        raise click.UsageError(f"{KEY_VARIABLE} holds characters that no API key has; a line break, perhaps")
    return key or None
