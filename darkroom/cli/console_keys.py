"""`darkroom console-keys`: creates, lists and removes operators' keys of the console. The file contains only hashes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from darkroom.cli.secret_output import write_new_secret
from darkroom.cli.terminal import tell, write_json_lines, write_records
from darkroom.console.keys import KeyFileError, OperatorKey, Scope, digest, new_key, read_keys

file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CONSOLE_KEYS_FILE",
    default=Path(".darkroom/console-keys.json"),
    show_default=True,
    help="The file of hashes, for `darkroom up --console-keys` and CONSOLE_KEYS_FILE.",
)


@click.group("console-keys")
def command() -> None:
    """Create, list and remove operators' keys of the console.

    A key may read, or also act: cancel, erase, redrive, drop. The console notices a change of the file within a second.

    \b
      darkroom console-keys create --name anna --scope act --out anna.key
      darkroom up --console-keys .darkroom/console-keys.json
    """


@command.command("create")
@click.option("--name", required=True, help="Who has the key; the audit log calls them so.")
@click.option("--scope", type=click.Choice(["read", "act"]), default="read", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the key to this new file, which only you can read, instead of to the terminal.",
)
@file_option
def create(name: str, scope: Scope, out: Path | None, path: Path) -> None:
    """Create a key and print it. It cannot be shown again, because only its hash is stored."""
    kept = _read(path)
    if any(key.name == name for key in kept):
        raise click.ClickException(f"{path} has a key of the name {name!r} already; remove it first, or choose another")
    if not 1 <= len(name) <= 100:
        raise click.UsageError(f"--name must have 1 to 100 characters, had {len(name)}")
    key = new_key()
    if out is not None:
        # First the key itself: a hash whose key was lost would be of no use.
        write_new_secret(out, key)
    try:
        _write(path, [*kept, OperatorKey(name=name, scope=scope, sha256=digest(key))])
    except BaseException:
        if out is not None:
            out.unlink(missing_ok=True)
        raise
    if out is None:
        click.echo(key)
    where = "so keep the key itself" if out is None else f"and the key itself in {out}"
    tell(f"the key of {name} may {scope}; only its hash is stored, in {path}, {where}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one key per line.")
@file_option
def show(as_json: bool, path: Path) -> None:
    """Show the names and scopes of the keys in the file."""
    kept = _read(path)
    if as_json:
        write_json_lines({"name": key.name, "scope": key.scope} for key in kept)
        return
    write_records(("name", "scope"), [(key.name, key.scope) for key in kept], empty="no keys")


@command.command("remove")
@click.argument("name")
@file_option
def remove(name: str, path: Path) -> None:
    """Remove the key of NAME. Its sessions end within a second."""
    kept = _read(path)
    if all(key.name != name for key in kept):
        raise click.ClickException(f"{path} has no key of the name {name!r}; `darkroom console-keys list` shows them")
    _write(path, [key for key in kept if key.name != name])
    tell(f"the key of {name} is removed")


def _read(path: Path) -> Sequence[OperatorKey]:
    if not path.exists():
        return ()
    try:
        return read_keys(path)
    except KeyFileError as exc:
        raise click.ClickException(str(exc)) from exc


def _write(path: Path, keys: Sequence[OperatorKey]) -> None:
    """Replace the file atomically: a concurrent reader sees the old file or the new one."""
    text = json.dumps({"keys": [key.model_dump() for key in keys]}, indent=2) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
