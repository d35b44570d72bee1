"""`darkroom why`: says what is wrong now, or why one job, event or Service is as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import is_terminal, tell, write, write_json, write_records
from darkroom.cli.why.subject import Explained, explain
from darkroom.diagnosis import Finding

ANSWER_WITHIN_S = 15.0
"""Longer than the runtime takes when it finds each of its servers silent."""
STYLES = {"loss": "bold red", "stop": "red", "delay": "yellow", "risk": "cyan"}


@click.command("why")
@click.argument("subject", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def command(subject: str | None, as_json: bool, data: Path) -> None:
    """Say what is wrong now, why, and what to do about it: first what loses events, then what stands still, what is
    slow, and what may go wrong. If all is well, it says so and prints nothing.

    With SUBJECT, explain one thing: a job (its id or the beginning of it), an event (its id), or a Service (its name).

    \b
      darkroom why                    everything that is wrong
      darkroom why 442dd2f8           what a job waits for, and each attempt
      darkroom why resize             the autoscaler's last decision with its arithmetic
      darkroom why 8f14e45f-ea2c      which Triggers took an event, and which did not, and why
    """
    addresses = runtime_addresses(data)
    with AdminClient(addresses.admin, answer_within_s=ANSWER_WITHIN_S, feature="`darkroom why`") as runtime:
        if subject is None:
            _show_findings(runtime.ask_object("GET", "/why"), as_json=as_json)
        else:
            _show_explained(explain(subject, runtime, data), as_json=as_json)


def _show_findings(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(document)
        return
    findings = [Finding.from_dict(each) for each in document["findings"]]
    if not findings:
        tell("nothing is wrong")
    elif is_terminal():
        for number, finding in enumerate(findings):
            if number:
                write()
            write_finding(finding)
    else:
        write_records((), [(one.severity, one.code, one.subject, one.sentence, one.remedy) for one in findings])


def write_finding(finding: Finding) -> None:
    """Write a finding for people: how harmful it is and what it is about, the sentence, the remedy."""
    style = STYLES[finding.severity]
    write((f"{finding.severity:<5}", style), "  ", (finding.subject, "bold"))
    write("       ", finding.sentence)
    write("       ", (finding.remedy, "dim"))


def _show_explained(explained: Explained, *, as_json: bool) -> None:
    if as_json:
        write_json({"kind": explained.kind, "subject": explained.subject, **explained.document})
        return
    for line in explained.lines:
        write(line)
