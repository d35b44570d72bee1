"""`darkroom keys`: creates, lists and revokes API keys. The file contains only hashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from darkroom.contract.api_keys import StoredKey, make_key
from darkroom.contract.jobs import timestamp
from darkroom.serving.key_file import KeyFileError, read_key_file, write_key_file

file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="API_KEYS_FILE",
    default=Path(".darkroom/keys.json"),
    show_default=True,
    help="The file of hashes, for `darkroom up --api-keys` and API_KEYS_FILE.",
)


@click.group("keys")
def command() -> None:
    """Create, list and revoke API keys.

    Several keys may be valid at once: to rotate a key, create a new one, distribute it, and revoke the old one.
    Functions notice a change of the file within a second, without a restart.

    \b
      darkroom keys create --name "the shop"
      darkroom up --api-keys .darkroom/keys.json
      kubectl create secret generic darkroom-api-keys --from-file=keys.json=.darkroom/keys.json
    """


@command.command("create")
@click.option("--name", default="", help="The name of the key's owner, for the list.")
@file_option
def create(name: str, path: Path) -> None:
    """Create a key and print it. It cannot be shown again, because only its hash is stored."""
    kept = _read(path) if path.exists() else []
    key, stored = make_key(name)
    _write(path, [*kept, stored])
    click.echo(key)
    click.echo(f"key {stored.id} is valid; only its hash is stored, in {path}, so keep the key itself", err=True)


@command.command("list")
@file_option
def show(path: Path) -> None:
    """Show the ids, names and dates of the keys in the file."""
    table = Table("key", "name", "created", "revoked", box=box.SIMPLE)
    for key in _read(path):
        revoked = "" if key.revoked_at is None else timestamp(key.revoked_at)
        table.add_row(key.id, key.name, timestamp(key.created_at), revoked)
    Console().print(table)


@command.command("revoke")
@click.argument("key_id")
@file_option
def revoke(key_id: str, path: Path) -> None:
    """Revoke the key KEY_ID. Its jobs are kept, but can no longer be accessed through the API."""
    kept = _read(path)
    if key_id not in {key.id for key in kept if key.revoked_at is None}:
        raise click.ClickException(f"{path} has no valid key {key_id[:32]!r}; `darkroom keys list` shows them")
    now = datetime.now(UTC)
    _write(path, [replace(key, revoked_at=now) if key.id == key_id else key for key in kept])
    click.echo(f"key {key_id} is revoked", err=True)


def _read(path: Path) -> list[StoredKey]:
    try:
        return read_key_file(path)
    except KeyFileError as exc:
        raise click.ClickException(str(exc)) from exc


def _write(path: Path, keys: list[StoredKey]) -> None:
    try:
        write_key_file(path, keys)
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
