"""Webhooks on this machine: the files of endpoints and secrets of `darkroom up`, and what may be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from darkroom.contract.webhook_addresses import parse_allowed
from darkroom.serving.webhook_file import WebhookFileError, read_endpoints, read_secrets

ENDPOINTS_NAME = "webhooks.json"
SECRETS_NAME = "webhook-secrets.json"


class AllowPrivate(click.ParamType[str]):
    name = "networks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parse_allowed(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


def webhook_settings(endpoints: Path | None, data: Path, allow_private: str) -> dict[str, str]:
    """Return the settings of the functions. The files need not exist: the functions notice when they do.

    Raises click.ClickException for a file that exists and cannot be used.
    """
    path = endpoints or data / ENDPOINTS_NAME
    secrets = path.parent / SECRETS_NAME
    try:
        read_endpoints(path)
        read_secrets(secrets)
    except WebhookFileError as exc:
        raise click.ClickException(str(exc)) from exc
    return {
        "WEBHOOKS_FILE": str(path.resolve()),
        "WEBHOOK_SECRETS_FILE": str(secrets.resolve()),
        "WEBHOOK_ALLOW_PRIVATE": allow_private,
    }
