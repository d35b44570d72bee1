"""Servers: down, stopped, or slow to answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.diagnosis.finding import Finding
from darkroom.diagnosis.words import server_name

SLOW_ANSWER_S = 1.0
"""A server of this machine answers a health check within milliseconds."""

_HARM = {
    "nats": "nothing is delivered meanwhile; what was accepted is kept",
    "redis": "what needs it fails or waits meanwhile",
    "postgres": "what needs it fails or waits meanwhile",
    "s3": "files can be neither read nor written meanwhile",
}


def server_findings(status: Mapping[str, Any]) -> Iterator[Finding]:
    for row in status.get("servers", []):
        if row.get("state") != "up":
            yield _down(row)
        elif (row.get("answered_in_s") or 0.0) >= SLOW_ANSWER_S:
            yield _slow(row)


def is_up(status: Mapping[str, Any], server: str) -> bool:
    """Report whether a server answers. One that the project does not have is up."""
    return all(row.get("state") == "up" for row in status.get("servers", []) if row.get("name") == server)


def does_not_answer(row: Mapping[str, Any]) -> str:
    """Say that a server does not answer, and what was seen instead."""
    name = str(row.get("name", ""))
    stopped = f"; its process {row.get('pid')} is stopped (SIGSTOP)" if row.get("is_stopped") else ""
    return f"{server_name(name)} does not answer: {str(row.get('state')).removeprefix(f'{name}: ')}{stopped}"


def _down(row: Mapping[str, Any]) -> Finding:
    name = str(row.get("name", ""))
    harm = _HARM.get(name, "")
    return Finding(
        code="server.down",
        severity="stop",
        subject=f"server {name}",
        sentence=f"{does_not_answer(row)}. {harm[:1].upper()}{harm[1:]}." if harm else f"{does_not_answer(row)}.",
        remedy=_remedy(name, row),
    )


def _remedy(name: str, row: Mapping[str, Any]) -> str:
    title = server_name(name)
    if not row.get("is_ours", True):
        return f"Start {title} at {row.get('url')}, or name another one with --{name}."
    if row.get("is_stopped"):
        return (
            f"Continue it with `kill -CONT {row['pid']}`; otherwise it is killed and started again after half a minute."
        )
    if row.get("pid") is None:
        return f"It has ended and is started again by itself; if it ends again, {_log(name, row)} says why."
    return (
        f"It is killed and started again if it stays silent for half a minute; {_log(name, row)} says what it does. "
        "Look for a full disk and for a machine without free processor time."
    )


def _slow(row: Mapping[str, Any]) -> Finding:
    name = str(row.get("name", ""))
    return Finding(
        code="server.slow",
        severity="delay",
        subject=f"server {name}",
        sentence=(
            f"{server_name(name)} answers slowly: a health check took {row['answered_in_s']:.1f} s, where milliseconds "
            "are usual. Whatever reads or writes there waits as long, each time."
        ),
        remedy=(
            f"Look at the network to {row.get('url')}, at its disk and at its load"
            + (f"; {_log(name, row)} says what it does." if row.get("is_ours", True) else ".")
        ),
    )


def _log(name: str, row: Mapping[str, Any]) -> str:
    return f"logs/{name}.log of the data folder" if row.get("is_ours", True) else ""
