"""`darkroom top` on a terminal: tables of rich, drawn anew in place."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from darkroom.cli.terminal import format_duration, printable
from darkroom.cli.top.view import FunctionLine, JobsLine, TriggerLine, View
from darkroom.cli.why.command import STYLES
from darkroom.diagnosis import Finding


def drawn(view: View) -> RenderableType:
    parts: list[RenderableType] = []
    if view.jobs is not None:
        parts += [_jobs(view.jobs), Text()]
    parts += [_functions(view.functions), Text(), _triggers(view.triggers), Text()]
    parts += [part for finding in view.findings for part in _finding(finding)] or [Text("nothing is wrong", "green")]
    return Group(*parts)


def _jobs(jobs: JobsLine) -> Text:
    if jobs.error:
        return Text(f"jobs: unknown ({printable(jobs.error)})", "red")
    oldest = format_duration(jobs.oldest_age_s) if jobs.queued + jobs.processing else "-"
    return Text(
        f"jobs: {jobs.per_s:.1f}/s   {jobs.queued} queued   {jobs.processing} processing   oldest {oldest}", "bold"
    )


def _functions(lines: Sequence[FunctionLine]) -> Table:
    table = _table("function", "wanted", "ready", "of", "in flight", "waiting", "")
    for line in lines:
        style = {"": "", "panic": "yellow", "capped": "yellow"}.get(line.note, "red")
        cells = (line.wanted, line.ready, line.max_scale or "any", line.in_flight, line.waiting, line.note)
        table.add_row(Text(printable(line.name)), *(Text(str(cell), style) for cell in cells))
    return table


def _triggers(lines: Sequence[TriggerLine]) -> Table:
    table = _table("trigger", "per s", "backlog", "in flight", "retried", "dead letters", "lost")
    for line in lines:
        rate = "" if line.per_s is None else f"{line.per_s:.1f}"
        backlog = "unknown" if line.backlog is None else str(line.backlog)
        cells = [rate, backlog, str(line.in_flight), str(line.retried), str(line.dead_lettered)]
        lost = Text(str(line.lost), "bold red" if line.lost else "")
        table.add_row(Text(printable(line.name)), *map(Text, cells), lost)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for column in others:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def _finding(finding: Finding) -> list[RenderableType]:
    sentence = Text.assemble((f"{finding.severity:<5}  ", STYLES[finding.severity]), printable(finding.sentence))
    return [sentence, Text(f"       {printable(finding.remedy)}", "dim")]
