"""Finds out what a name stands for, a Service, a job or an event, and explains it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.terminal import printable
from darkroom.cli.why.event import event_lines
from darkroom.cli.why.job import explain_job
from darkroom.cli.why.service import service_lines

_JOB_ID = re.compile(r"[0-9a-fA-F][0-9a-fA-F-]{3,35}")
"""A job's id, or so much of its beginning that it is hardly a word."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    kind: str
    subject: str
    lines: Sequence[str]
    """For people."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """For programs."""


def explain(subject: str, runtime: AdminClient, data: Path) -> Explained:
    """Explain a Service by its name, else a job, else an event. Raises click.ClickException if it is none of them."""
    status = runtime.ask_object("GET", "/status")
    services = {row["service"]: row for row in status["functions"]}
    if subject in services:
        return _service(services[subject], runtime)
    reasons = [f"no Service is called so (there is {', '.join(sorted(services)) or 'none'})"]
    if "jobs" in status and _JOB_ID.fullmatch(subject):
        try:
            lines, document = explain_job(subject, data)
            return Explained(kind="job", subject=document["job_id"], lines=lines, document={"job": document})
        except click.ClickException as exc:
            reasons.append(f"no job: {exc.message}")
    try:
        journey = runtime.ask_object("GET", "/record/journey", query={"id": subject})
    except click.ClickException as exc:
        reasons.append(f"no event: {exc.message}")
        raise click.ClickException(f"{printable(subject)!r}: {'; '.join(reasons)}") from exc
    return Explained(kind="event", subject=journey["id"], lines=event_lines(journey), document={"journey": journey})


def _service(row: Mapping[str, Any], runtime: AdminClient) -> Explained:
    findings = runtime.ask_object("GET", "/why")["findings"]
    address = f"{row['namespace']}/{row['name']}"
    [decided] = runtime.ask_object("GET", "/autoscaler", query={"service": address})["services"]
    lines = service_lines(row, decided["sentence"], findings)
    document = {"function": dict(row), "autoscaler": decided["latest"], "sentences": lines}
    return Explained(kind="service", subject=str(row["service"]), lines=lines, document=document)
