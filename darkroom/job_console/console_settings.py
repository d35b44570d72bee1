"""The console's own variables in a cluster, besides those that functions have. A wrong one is named, and stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.console.keys import KeyFile, KeyFileError, read_keys
from darkroom.errors import SettingsError
from darkroom.events.hosts import parse_hosts
from darkroom.serving.addresses import check_url

KEYS_FILE, HOSTS, API_URL, API_KEY = "CONSOLE_KEYS_FILE", "CONSOLE_HOSTS", "CONSOLE_API_URL", "CONSOLE_API_KEY"


@dataclass(frozen=True, kw_only=True)
class ConsoleSettings:
    keys: KeyFile
    hosts: tuple[str, ...]
    """Names under which the console is served, besides those of loopback, which `kubectl port-forward` gives it."""
    api_url: str | None = None
    """Where completed jobs are asked for anew; None: nowhere."""
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> ConsoleSettings:
        """Parse the environment. Raises SettingsError."""
        try:
            hosts = parse_hosts(environment.get(HOSTS) or "")
        except ValueError as exc:
            raise SettingsError(f"{HOSTS}: {exc}") from exc
        return cls(
            keys=_keys(environment.get(KEYS_FILE)),
            hosts=tuple(hosts),
            api_url=_api_url(environment.get(API_URL)),
            api_key=environment.get(API_KEY) or None,
        )


def _keys(path: str | None) -> KeyFile:
    """In a cluster there is no console without keys: it reaches every job of every owner."""
    if not path:
        raise SettingsError(f"not set: {KEYS_FILE}")
    try:
        read_keys(Path(path))
    except KeyFileError as exc:
        raise SettingsError(f"{KEYS_FILE}: {exc}") from exc
    return KeyFile(path=Path(path))


def _api_url(url: str | None) -> str | None:
    if not url:
        return None
    try:
        check_url(url, schemes=("http", "https"), shown=url[:200])
    except ValueError as exc:
        raise SettingsError(f"{API_URL}: {exc}") from exc
    return url.rstrip("/")
