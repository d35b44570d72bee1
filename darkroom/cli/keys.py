"""`darkroom keys`: creates, lists and revokes API keys. The file contains only hashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from darkroom.cli.api import only_match
from darkroom.cli.secret_output import write_new_secret
from darkroom.cli.terminal import tell, write_json, write_json_lines, write_records
from darkroom.contract.api_keys import StoredKey, make_key
from darkroom.contract.jobs import timestamp
from darkroom.serving.key_file import MAX_WEIGHT, KeyFileError, read_key_file, write_key_file

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
      darkroom keys create --name "the shop" --out shop.key
      darkroom up --api-keys .darkroom/keys.json
      kubectl create secret generic darkroom-api-keys --from-file=keys.json=.darkroom/keys.json
    """


@command.command("create")
@click.option("--name", default="", help="The name of the key's owner, for the list.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the key to this new file, which only you can read, instead of to the terminal.",
)
@click.option(
    "--weight",
    type=click.FloatRange(0, MAX_WEIGHT, min_open=True),
    default=1.0,
    show_default=True,
    help="The key's share of the turns where jobs wait for room, compared with other keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@file_option
def create(name: str, out: Path | None, weight: float, as_json: bool, path: Path) -> None:
    """Create a key and print it. It cannot be shown again, because only its hash is stored."""
    kept = _read(path) if path.exists() else []
    key, stored = make_key(name, weight=weight)
    if out is None:
        _write(path, [*kept, stored])
    else:
        # First the key itself: a hash whose key was lost would be of no use.
        write_new_secret(out, key)
        try:
            _write(path, [*kept, stored])
        except BaseException:
            out.unlink(missing_ok=True)
            raise
    if as_json:
        write_json(_document(stored) | ({"key": key} if out is None else {"out": str(out)}))
    elif out is None:
        click.echo(key)
    where = "so keep the key itself" if out is None else f"and the key itself in {out}"
    tell(f"key {stored.id} is valid; only its hash is stored, in {path}, {where}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one key per line.")
@file_option
def show(as_json: bool, path: Path) -> None:
    """Show the ids, names and dates of the keys in the file."""
    kept = _read(path)
    if as_json:
        write_json_lines(map(_document, kept))
        return
    rows = [(key.id, key.name, f"{key.weight:g}", timestamp(key.created_at), _revoked(key)) for key in kept]
    write_records(("key", "name", "weight", "created", "revoked"), rows, empty="no keys")


@command.command("revoke")
@click.argument("key_id")
@file_option
def revoke(key_id: str, path: Path) -> None:
    """Revoke the key KEY_ID, or the only one that begins so. Its jobs are kept, but the API no longer shows them."""
    kept = _read(path)
    valid = [key.id for key in kept if key.revoked_at is None]
    matching = [key_id] if key_id in valid else [one for one in valid if key_id and one.startswith(key_id)]
    revoked_id = only_match(
        key_id[:32], matching, f"{path} has no valid key of that id; `darkroom keys list` shows them"
    )
    now = datetime.now(UTC)
    _write(path, [replace(key, revoked_at=now) if key.id == revoked_id else key for key in kept])
    tell(f"key {revoked_id} is revoked")


def _document(key: StoredKey) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "weight": key.weight,
        "created_at": timestamp(key.created_at),
    }
    return shown if key.revoked_at is None else {**shown, "revoked_at": timestamp(key.revoked_at)}


def _revoked(key: StoredKey) -> str:
    return "" if key.revoked_at is None else timestamp(key.revoked_at)


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
