"""`darkroom webhooks`: creates, lists, rotates, tests and revokes the endpoints that are told of the ends of jobs."""

from __future__ import annotations

import base64
import json
import secrets as random_secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from darkroom.cli.api import only_match
from darkroom.cli.secret_output import write_new_secret
from darkroom.cli.terminal import tell, write_json, write_json_lines, write_records
from darkroom.contract.jobs import timestamp
from darkroom.contract.webhook_addresses import SETTING, WebhookTargetError, parse_allowed, parse_target
from darkroom.contract.webhooks import EVENTS, MAX_ENDPOINTS_PER_KEY, SECRETS_AT_ONCE, Endpoint, new_endpoint_id
from darkroom.events.durations import parse_days
from darkroom.serving.key_file import KeyFileError, read_key_file
from darkroom.serving.webhook_endpoints import valid_secrets
from darkroom.serving.webhook_file import (
    WebhookFileError,
    WebhookSecret,
    read_endpoints,
    read_secrets,
    write_endpoints,
    write_secrets,
)

DEFAULT_ENDPOINTS = Path(".darkroom/webhooks.json")
DEFAULT_SECRETS = Path(".darkroom/webhook-secrets.json")
_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class _Files:
    endpoints: Path
    secrets: Path


def _files(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option(
            "--file",
            "endpoints",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="WEBHOOKS_FILE",
            default=DEFAULT_ENDPOINTS,
            show_default=True,
            help="The file of endpoints, without secrets.",
        ),
        click.option(
            "--secrets-file",
            "secrets",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="WEBHOOK_SECRETS_FILE",
            default=DEFAULT_SECRETS,
            show_default=True,
            help="The file of their secrets, for notify alone.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


class _Lifetime(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return value if isinstance(value, timedelta) else timedelta(seconds=parse_days(value))
        except (ValueError, OverflowError) as exc:
            self.fail(str(exc), param, ctx)


class _Events(click.ParamType[tuple[str, ...]]):
    name = "events"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        chosen = value if isinstance(value, tuple) else tuple(part.strip() for part in value.split(","))
        unknown = [event for event in chosen if event not in EVENTS]
        if unknown or not chosen:
            self.fail(f"events are {' and '.join(EVENTS)}, separated by commas; was {value!r}", param, ctx)
        return tuple(event for event in EVENTS if event in chosen)


allow_option = click.option(
    "--allow-private",
    envvar=SETTING,
    default="",
    help=f"Networks and hosts that may be reached although they are not public, as in the setting {SETTING}.",
)


@click.group("webhooks")
def command() -> None:
    """Create, list, rotate, test and revoke webhook endpoints: URLs that are told when a key's jobs end.

    Messages are signed by the Standard Webhooks specification. Functions notice a change of the files within a second,
    without a restart. An endpoint is told of the jobs that are accepted from then on.

    \b
      darkroom webhooks create --key shop --url https://shop.example/hooks/darkroom
      darkroom webhooks test we_4k2
      darkroom webhooks rotate we_4k2 --keep-old 24h
      kubectl create secret generic darkroom-webhooks --from-file=webhooks.json=.darkroom/webhooks.json
      kubectl create secret generic darkroom-webhook-secrets \\
        --from-file=webhook-secrets.json=.darkroom/webhook-secrets.json
    """


@command.command("create")
@click.option(
    "--key",
    "key",
    help="The API key whose jobs it is told of: its id, the beginning of it, or its name. "
    "Without it: the jobs that are made where API keys are off.",
)
@click.option("--url", required=True, help="Where to POST, such as https://shop.example/hooks/darkroom.")
@click.option(
    "--events",
    type=_Events(),
    default=EVENTS,
    metavar="LIST",
    help="job.completed, job.failed, or both.  [default: both]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the secret to this new file, which only you can read, instead of to the terminal.",
)
@click.option(
    "--keys-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="API_KEYS_FILE",
    default=Path(".darkroom/keys.json"),
    show_default=True,
    help="The file of API keys, to find --key in.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@allow_option
@_files
def create(
    key: str | None,
    url: str,
    events: tuple[str, ...],
    out: Path | None,
    keys_file: Path,
    as_json: bool,
    allow_private: str,
    endpoints: Path,
    secrets: Path,
) -> None:
    """Create an endpoint and print its secret, which the receiver verifies messages with."""
    files = _Files(endpoints=endpoints, secrets=secrets)
    _check_url(url, allow_private)
    key_id = "" if key is None else _key_id(key, keys_file)
    there = _endpoints(files)
    of_key = [one for one in there if one.key_id == key_id and one.revoked_at is None]
    if len(of_key) >= MAX_ENDPOINTS_PER_KEY:
        raise click.ClickException(
            f"the key has {len(of_key)} endpoints, and at most {MAX_ENDPOINTS_PER_KEY} are possible; revoke one first"
        )
    made = Endpoint(id=new_endpoint_id(), key_id=key_id, url=url, events=events, created_at=datetime.now(UTC))
    secret = _new_secret()
    # First the secret: an endpoint without one cannot be told anything.
    _write(lambda: write_secrets(files.secrets, {**_secrets(files), made.id: [WebhookSecret(secret=secret)]}))
    if out is not None:
        write_new_secret(out, secret)
    _write(lambda: write_endpoints(files.endpoints, [*there, made]))
    _show_secret(made, secret, out, as_json=as_json)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one endpoint per line.")
@_files
def show(as_json: bool, endpoints: Path, secrets: Path) -> None:
    """Show the endpoints: ids, keys, hosts, events and dates. Secrets are not shown, nor are whole URLs."""
    there = _endpoints(_Files(endpoints=endpoints, secrets=secrets))
    if as_json:
        write_json_lines(map(_document, there))
        return
    rows = [
        (
            one.id,
            one.key_id or "(keys off)",
            one.host,
            ", ".join(one.events),
            timestamp(one.created_at),
            "" if one.revoked_at is None else timestamp(one.revoked_at),
        )
        for one in there
    ]
    write_records(("endpoint", "key", "host", "events", "created", "revoked"), rows, empty="no webhook endpoints")


@command.command("rotate")
@click.argument("endpoint_id")
@click.option(
    "--keep-old",
    type=_Lifetime(),
    default="24h",
    show_default=True,
    help="How long messages are signed with the old secret too, such as 24h or 7d; 0s for not at all.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the new secret to this new file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_files
def rotate(
    endpoint_id: str, keep_old: timedelta, out: Path | None, as_json: bool, endpoints: Path, secrets: Path
) -> None:
    """Give the endpoint ENDPOINT_ID a new secret. For a while messages have two signatures, one with each."""
    files = _Files(endpoints=endpoints, secrets=secrets)
    endpoint = _endpoint(files, endpoint_id)
    by_endpoint, secret, now = _secrets(files), _new_secret(), datetime.now(UTC)
    old = [
        replace(one, valid_until=min(now + keep_old, one.valid_until or datetime.max.replace(tzinfo=UTC)))
        for one in by_endpoint.get(endpoint.id, [])
        if one.valid_until is None or one.valid_until > now
    ]
    if out is not None:
        write_new_secret(out, secret)
    by_endpoint[endpoint.id] = [WebhookSecret(secret=secret), *old][:SECRETS_AT_ONCE]
    _write(lambda: write_secrets(files.secrets, by_endpoint))
    _show_secret(endpoint, secret, out, as_json=as_json)


@command.command("test")
@click.argument("endpoint_id")
@allow_option
@_files
def test(endpoint_id: str, allow_private: str, endpoints: Path, secrets: Path) -> None:
    """Send a signed message {"test": true, ...} to ENDPOINT_ID from here, once, and show what became of it."""
    # Imported only here, because it takes a tenth of a second for which other commands need not wait.
    from darkroom.adapters.webhooks import Message
    from darkroom.adapters.webhooks.http import HttpWebhookSender

    files = _Files(endpoints=endpoints, secrets=secrets)
    endpoint = _endpoint(files, endpoint_id)
    body = {"test": True, "endpoint_id": endpoint.id, "sent_at": timestamp(datetime.now(UTC))}
    message = Message(webhook_id=f"test-{uuid4()}", body=json.dumps(body).encode())
    sender = HttpWebhookSender(_allowed(allow_private))
    try:
        signed_with = valid_secrets(_secrets(files).get(endpoint.id, []), datetime.now(UTC))
        sent = sender.send(endpoint.url, message, signed_with)
    finally:
        sender.close()
    if not sent.is_taken:
        raise click.ClickException(f"{endpoint.id} did not take the message: {sent.failure}: {sent.detail}")
    tell(f"{endpoint.id} at {endpoint.host} has taken the message {message.webhook_id}")


@command.command("revoke")
@click.argument("endpoint_id")
@_files
def revoke(endpoint_id: str, endpoints: Path, secrets: Path) -> None:
    """Revoke the endpoint ENDPOINT_ID. It is told nothing more, and what was owed to it is dropped."""
    files = _Files(endpoints=endpoints, secrets=secrets)
    revoked = _endpoint(files, endpoint_id)
    now, there = datetime.now(UTC), _endpoints(files)
    marked = [replace(one, revoked_at=now) if one.id == revoked.id else one for one in there]
    _write(lambda: write_endpoints(files.endpoints, marked))
    by_endpoint = {one: entries for one, entries in _secrets(files).items() if one != revoked.id}
    _write(lambda: write_secrets(files.secrets, by_endpoint))
    tell(f"endpoint {revoked.id} is revoked")


def _check_url(url: str, allow_private: str) -> None:
    try:
        parse_target(url, _allowed(allow_private))
    except WebhookTargetError as exc:
        raise click.UsageError(f"--url: {exc}") from exc


def _allowed(text: str) -> Any:
    try:
        return parse_allowed(text)
    except ValueError as exc:
        raise click.UsageError(f"--allow-private: {exc}") from exc


def _key_id(key: str, keys_file: Path) -> str:
    try:
        valid = [one for one in read_key_file(keys_file) if one.revoked_at is None]
    except KeyFileError as exc:
        raise click.ClickException(f"--keys-file: {exc}") from exc
    named = [one.id for one in valid if one.name == key or one.id == key]
    matching = named or [one.id for one in valid if key and one.id.startswith(key)]
    return only_match(
        key[:32], matching, f"{keys_file} has no valid key of that id or name; `darkroom keys list` shows them"
    )


def _endpoint(files: _Files, endpoint_id: str) -> Endpoint:
    """Return the endpoint of this id, or the only one that begins so."""
    valid = {one.id: one for one in _endpoints(files) if one.revoked_at is None}
    matching = [endpoint_id] if endpoint_id in valid else [one for one in valid if one.startswith(endpoint_id)]
    found = only_match(
        endpoint_id[:32],
        matching if endpoint_id else [],
        f"{files.endpoints} has no valid endpoint of that id; `darkroom webhooks list` shows them",
    )
    return valid[found]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(random_secrets.token_bytes(_SECRET_BYTES)).decode()


def _show_secret(endpoint: Endpoint, secret: str, out: Path | None, *, as_json: bool) -> None:
    if as_json:
        write_json(_document(endpoint) | ({"secret": secret} if out is None else {"out": str(out)}))
    elif out is None:
        click.echo(secret)
    where = "" if out is None else f", which is in {out}"
    tell(f"endpoint {endpoint.id} at {endpoint.host}; its receiver verifies messages with this secret{where}")


def _document(endpoint: Endpoint) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": endpoint.id,
        "key_id": endpoint.key_id,
        "host": endpoint.host,
        "events": list(endpoint.events),
        "created_at": timestamp(endpoint.created_at),
    }
    return shown if endpoint.revoked_at is None else {**shown, "revoked_at": timestamp(endpoint.revoked_at)}


def _endpoints(files: _Files) -> list[Endpoint]:
    try:
        return read_endpoints(files.endpoints)
    except WebhookFileError as exc:
        raise click.ClickException(str(exc)) from exc


def _secrets(files: _Files) -> dict[str, list[WebhookSecret]]:
    try:
        return read_secrets(files.secrets)
    except WebhookFileError as exc:
        raise click.ClickException(str(exc)) from exc


def _write(write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as exc:
        raise click.ClickException(f"{exc.filename or 'the file'}: {exc.strerror}") from exc
