"""`darkroom backfill`: has presets made of a whole library. The work is in `run`, what is left of it in `state`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from darkroom.cli.api import new_client
from darkroom.cli.backfill.pace import Spacing, Yielding
from darkroom.cli.backfill.report import Teller, tell_failures, write_counts, write_results
from darkroom.cli.backfill.run import Backfilling, BackfillStoppedError
from darkroom.cli.backfill.state import Run, State, StateUnusableError
from darkroom.cli.deployment import data_option, deployment_settings
from darkroom.cli.job import url_option
from darkroom.cli.rate_option import Rate
from darkroom.cli.terminal import printable, tell, write_json
from darkroom.client import Client, ClientError
from darkroom.client.protocol import Retries
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.input_prefixes import parse_input_prefixes
from darkroom.serving.resources import Resources

DEFAULT_PREFIX = "library/"
DEFAULT_STATE = Path("backfill.sqlite")
AT_ONCE = 8
_NEEDED = frozenset({"BUCKET_NAME"})
_RETRIES = Retries(times=1000, within_s=600.0)
"""For an API that restarts, and for rate limits."""
_KEYS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Choice:
    prefix: str | None
    keys_from: Path | None
    presets: tuple[str, ...]
    """Empty: all that the API has."""
    changed: bool
    resume: bool


@click.command("backfill")
@click.option("--prefix", help=f"The pictures: all storage keys that begin so.  [default: {DEFAULT_PREFIX}]")
@click.option(
    "--keys-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The pictures: the storage keys in this file, one per line. The storage itself is not needed then.",
)
@click.option("--preset", metavar="NAMES", help="Presets, separated by commas.  [default: all that the API has]")
@click.option("--changed", is_flag=True, help="Only what was made with another version of a preset; nothing new.")
@click.option("--resume", is_flag=True, help="Continue a run that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Only count what would be made; neither submit nor remember anything.")
@click.option("--rate", type=Rate(), default="50/s", show_default=True, help="Submit at most so many pictures.")
@click.option(
    "--at-once",
    type=click.IntRange(1, 256),
    default=AT_ONCE,
    show_default=True,
    help="Most unfinished jobs at a time; fewer while other jobs wait.",
)
@click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_STATE,
    show_default=True,
    help="File that remembers what was made of which picture. Keep it: --changed compares with it.",
)
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was made to this file: a JSON object per line, with the picture's key and the result's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@url_option
@data_option
def command(
    prefix: str | None,
    keys_from: Path | None,
    preset: str | None,
    changed: bool,
    resume: bool,
    dry_run: bool,
    rate: float,
    at_once: int,
    state_file: Path,
    results: Path | None,
    as_json: bool,
    url: str | None,
    data: Path,
) -> None:
    """Have presets made of pictures that are in storage already: of a whole library, without uploading it again.

    Each picture is one job of type renditions, submitted by its storage key. Nothing is copied. The deployment must
    allow the keys (INPUT_PREFIXES), and its functions must be able to read them (docs/backfill.md).

    \b
      darkroom backfill --prefix library/ --preset thumb,hero    everything that lacks one of the two
      darkroom backfill --resume                                 go on after Ctrl-C, kill -9 or an outage
      darkroom backfill                                          again: what is new, has changed or failed
      darkroom backfill --changed                                only what a changed preset made differently
      darkroom backfill --keys-from keys.txt --url https://...   without access to the storage

    At most --at-once jobs are unfinished at a time, fewer while they wait for others, so a live job waits for a few of
    them at most. What was made is remembered in the --state file, which survives kill -9: each picture is done once.

    Addresses are those of the running `darkroom up`, or of --url and of the storage's variables (BUCKET_NAME,
    STORAGE_...). The exit code is 1 if a picture could not be made; the report says why. The next run tries it again.
    """
    if prefix is not None and keys_from is not None:
        raise click.UsageError("--prefix and --keys-from exclude each other")
    choice = Choice(
        prefix=None if prefix is None else _checked_prefix(prefix),
        keys_from=None if keys_from is None else keys_from.absolute(),
        presets=tuple(name.strip() for name in preset.split(",")) if preset else (),
        changed=changed,
        resume=resume,
    )
    with new_client(_api_url(url, data), _RETRIES) as client, _opened(state_file, dry_run=dry_run) as state:
        try:
            _begin(state, choice, client, dry_run=dry_run)
            _list(state, data)
            if not dry_run:
                _work(state, client, Spacing(per_s=rate), Yielding(at_once=at_once))
        except (ClientError, BackfillStoppedError) as exc:
            raise click.ClickException(f"{printable(exc)}; `darkroom backfill --resume` goes on") from exc
        except KeyboardInterrupt:
            tell("interrupted; `darkroom backfill --resume` goes on")
            raise
        _report(state, results, as_json=as_json, dry_run=dry_run)


def _begin(state: State, choice: Choice, client: Client, *, dry_run: bool) -> None:
    """Begin a run, or go on with the last one if that is asked for and the presets are still the same."""
    last = state.run()
    if choice.resume and (last is None or last.is_ended):
        raise click.ClickException("there is no interrupted run to resume; begin one without --resume")
    if last is not None and not last.is_ended and not choice.resume and not dry_run:
        raise click.ClickException(
            f"the last run ({last.source}) was interrupted: --resume goes on with it; another --state begins anew"
        )
    known = {str(one["name"]): str(one["digest"]) for one in client.presets()}
    if not choice.resume or last is None:
        presets = _selected(known, choice.presets)
        state.begin(_new_run(choice, presets))
        return
    asked = _new_run(choice, last.presets)
    if (choice.prefix or choice.keys_from) and asked.source != last.source:
        raise click.ClickException(f"the interrupted run is of {last.source}, not of {asked.source}")
    presets = _selected(known, tuple(last.presets))
    if presets != last.presets:
        tell("a preset has changed since the run began: the pictures are listed again")
        state.begin(replace(last, presets=presets, is_listed=False))


def _new_run(choice: Choice, presets: Mapping[str, str]) -> Run:
    if choice.keys_from is not None:
        return Run(keys_from=str(choice.keys_from), presets=presets, changed=choice.changed)
    return Run(prefix=choice.prefix or DEFAULT_PREFIX, presets=presets, changed=choice.changed)


def _selected(known: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    missing = [name for name in names if name not in known]
    if missing or not known:
        has = ", ".join(known) or "none (PRESETS_FILE)"
        raise click.ClickException(f"the API has no preset {', '.join(missing)}".rstrip() + f"; it has {has}")
    return {name: known[name] for name in names or known}


def _list(state: State, data: Path) -> None:
    run = state.run()
    if run is None or run.is_listed:
        return
    # After an interruption from the beginning again: storages differ in their order, and a listing is cheap.
    try:
        for keys in _keys(run, data):
            state.add(keys)
    except DependencyUnavailableError as exc:
        raise BackfillStoppedError(f"the storage cannot be listed: {exc.detail}") from exc
    state.listed()


def _keys(run: Run, data: Path) -> Iterator[Sequence[str]]:
    """Yield the storage keys, some at a time. Raises DependencyUnavailableError."""
    if run.keys_from is not None:
        yield from _keys_in(Path(run.keys_from))
        return
    storage = Resources(deployment_settings(data, needs=_NEEDED)).storage
    for page in storage.pages(run.prefix or DEFAULT_PREFIX):
        yield [one.key for one in page]


def _keys_in(file: Path) -> Iterator[Sequence[str]]:
    try:
        with file.open(encoding="utf-8") as lines:
            keys = filter(None, map(str.strip, lines))
            while some := list(islice(keys, _KEYS_AT_ONCE)):
                yield some
    except (OSError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{file} cannot be read: {exc}") from exc


def _work(state: State, client: Client, spacing: Spacing, yielding: Yielding) -> None:
    teller = Teller(state.counts())
    Backfilling(client=client, state=state, spacing=spacing, yielding=yielding, on_done=teller.note).run()
    state.ended()


def _report(state: State, results: Path | None, *, as_json: bool, dry_run: bool) -> None:
    if dry_run:
        counts = state.counts()
        _write_dry(counts.pictures, counts.to_do, as_json=as_json)
        return
    if results is not None:
        write_results(state, results)
    failed = write_counts(state, as_json=as_json)
    if failed:
        if not as_json:
            tell_failures(state)
        raise click.exceptions.Exit(1)


def _write_dry(pictures: int, to_do: int, *, as_json: bool) -> None:
    document: dict[str, Any] = {"pictures": pictures, "to_do": to_do, "dry_run": True}
    if as_json:
        write_json(document)
    else:
        click.echo(f"{to_do:,} of {pictures:,} pictures would be submitted")


def _opened(path: Path, *, dry_run: bool) -> State:
    try:
        return State.copy_in_memory(path) if dry_run else State(path)
    except StateUnusableError as exc:
        raise click.ClickException(str(exc)) from exc


def _checked_prefix(prefix: str) -> str:
    try:
        [checked] = parse_input_prefixes(prefix)
    except ValueError as exc:
        raise click.UsageError(f"--prefix {exc}") from exc
    return checked


def _api_url(url: str | None, data: Path) -> str:
    if url is not None:
        return url
    from darkroom.cli.runtime_file import runtime_addresses

    return runtime_addresses(data).api
