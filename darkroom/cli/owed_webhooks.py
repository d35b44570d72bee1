"""What is owed to webhook endpoints for one job, as `darkroom job` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darkroom.adapters.jobs.owed import OwedState
from darkroom.contract.jobs import timestamp
from darkroom.serving.webhook_file import WebhookFileError, read_endpoints


def owed_document(states: Sequence[OwedState], endpoints_file: Path) -> list[dict[str, Any]]:
    """Return one entry per owed webhook. Of the URL it has the host alone, where the file of endpoints can be read."""
    hosts = _hosts(endpoints_file) if states else {}
    return [
        {
            "endpoint_id": state.endpoint_id,
            "host": hosts.get(state.endpoint_id),
            "webhook_id": state.webhook_id,
            "failed_tries": state.tries,
            "owed_since": timestamp(state.owed_since),
            "next_try_at": None if state.next_try_at is None else timestamp(state.next_try_at),
            "last_error": state.error or None,
        }
        for state in states
    ]


def owed_line(owed: dict[str, Any]) -> str:
    """Return one line for people."""
    where = f"{owed['endpoint_id']} at {owed['host']}" if owed["host"] else owed["endpoint_id"]
    failed = (
        f"{owed['failed_tries']} tries failed, last with {owed['last_error']}" if owed["last_error"] else "not tried"
    )
    following = f"next at {owed['next_try_at']}" if owed["next_try_at"] else "given up"
    return f"owes webhook {owed['webhook_id']} to {where}: {failed}; {following}"


def _hosts(path: Path) -> dict[str, str]:
    try:
        return {endpoint.id: endpoint.host for endpoint in read_endpoints(path)}
    except WebhookFileError:
        return {}  # The ids say enough; `darkroom webhooks list` says what is wrong with the file.
