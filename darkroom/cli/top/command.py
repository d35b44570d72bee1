"""`darkroom top`: shows functions, Triggers, jobs and what is wrong, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import is_terminal, write_json_lines, write_records
from darkroom.cli.top.view import Sample, View, view_of
from darkroom.diagnosis import Finding

ANSWER_WITHIN_S = 15.0
ONCE_OVER_S = 1.0
"""How long `--once` counts deliveries."""


@click.command("top")
@click.option("--once", is_flag=True, help="Show it once, with the rates of one second, and end.")
@click.option(
    "--interval", "interval_s", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each interval.")
@data_option
def command(once: bool, interval_s: float, as_json: bool, data: Path) -> None:
    """Show live what runs: each function's instances and requests, each Trigger's rate and backlog, jobs per second,
    and at the bottom what is wrong, as `darkroom why` says it. Ctrl-C ends it.

    Without a terminal each function, trigger, finding and the jobs are one line that begins with its kind, its fields
    separated by tabs, once for each interval.
    """
    addresses = runtime_addresses(data)
    with AdminClient(addresses.admin, answer_within_s=ANSWER_WITHIN_S, feature="`darkroom top`") as runtime:
        views = _views(runtime, ONCE_OVER_S if once else interval_s)
        if once:
            # The first has no rates.
            next(views)
            _write(next(views), as_json=as_json)
        elif as_json or not is_terminal():
            for view in views:
                _write(view, as_json=as_json)
        else:
            _draw(views)


def _views(runtime: AdminClient, interval_s: float) -> Iterator[View]:
    before: Sample | None = None
    due = time.monotonic()
    while True:
        findings = [Finding.from_dict(each) for each in runtime.ask_object("GET", "/why")["findings"]]
        now = Sample(at=time.monotonic(), status=runtime.ask_object("GET", "/status"))
        yield view_of(now, before, findings)
        before = now
        due = max(due + interval_s, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _draw(views: Iterator[View]) -> None:
    # Imported only here: only a terminal needs rich.
    from rich.live import Live

    from darkroom.cli.rich_console import console
    from darkroom.cli.top.screen import drawn

    with Live(console=console(err=False), screen=True, auto_refresh=False) as live:
        for view in views:
            live.update(drawn(view), refresh=True)


def _write(view: View, *, as_json: bool) -> None:
    if as_json:
        write_json_lines([view.as_dict()])
    elif is_terminal():
        from darkroom.cli.rich_console import console
        from darkroom.cli.top.screen import drawn

        console(err=False).print(drawn(view))
    else:
        write_records((), list(_rows(view)))


def _rows(view: View) -> Iterator[tuple[object, ...]]:
    for function in view.functions:
        yield "function", *vars(function).values()
    for trigger in view.triggers:
        rate = "" if trigger.per_s is None else f"{trigger.per_s:.1f}"
        yield "trigger", trigger.name, rate, *list(vars(trigger).values())[2:]
    if view.jobs is not None:
        jobs = view.jobs
        yield "jobs", f"{jobs.per_s:.1f}", jobs.queued, jobs.processing, f"{jobs.oldest_age_s:.1f}", jobs.error
    for one in view.findings:
        yield "finding", one.severity, one.code, one.subject, one.sentence, one.remedy
