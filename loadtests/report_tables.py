"""The tables of the report: times, the ledger, requests, how it was measured, and every broken promise."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from html import escape

from darkroom.arrivals import Stage
from darkroom.contract.jobs import JobStatus
from loadtests.ledger import FollowedJob
from loadtests.observing import EVERY_S
from loadtests.percentiles import Spread, format_duration
from loadtests.polling import POLL_EVERY_S, WAIT_S
from loadtests.recording import AUDIT, POLLING, WAITING
from loadtests.summary import RunSummary

CASES_SHOWN_FIRST = 8
"""More cases than this are listed in a table at the end of the page."""
_SPREAD_HEADS = ("p50", "p90", "p99", "slowest")


def job_table(summary: RunSummary) -> str:
    rows = [(name, str(spread.count), *_spread_cells(spread)) for name, spread in summary.job_times_s().items()]
    return table("From the POST to done", ("pictures", "done", *_SPREAD_HEADS), rows)


def ledger_table(summary: RunSummary) -> str:
    counts = summary.verdict.counts()
    meanings = {
        "accepted": "jobs that an answer named, or that bear the id of a request of ours",
        "completed": "followed to their end, result fetched and held against its promised size and type",
        "failed": "ended as failed",
        "lost": "accepted, and there is no such job or no such result",
        "doubled": "one picture, sent once or twice, became two jobs",
        "stuck": "accepted, and not ended in the time to settle",
    }
    refusals = ", ".join(f"{count} × {answer}" for answer, count in sorted(summary.refusals.items())) or "none"
    rows = [
        ("handed in", str(summary.asked), f"pictures, by {summary.came} visitors"),
        ("turned away", str(summary.turned_away), f"pictures never accepted; answers that were no 202: {refusals}"),
        *((name, str(count), meanings[name]) for name, count in counts.items()),
    ]
    return table("The ledger", ("", "", ""), rows, wordy=True)


def request_table(summary: RunSummary) -> str:
    rows = [
        (name, str(spread.count), str(failed), *_spread_cells(spread))
        for name, (spread, failed) in summary.request_times_s().items()
    ]
    return table("HTTP requests of the visitors", ("request", "count", "failed", *_SPREAD_HEADS), rows)


def _spread_cells(spread: Spread) -> tuple[str, ...]:
    return tuple(format_duration(seconds) for seconds in (spread.p50, spread.p90, spread.p99, spread.most))


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, wordy: bool = False) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<section><h2>{escape(title)}</h2><table{' class=wordy' if wordy else ''}><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></section>"
    )


def measurement_table(summary: RunSummary) -> str:
    stages = ", then ".join(_stage_text(stage, summary.scale) for stage in summary.shape.stages)
    stories = ", ".join(f"{weight} × {story}" for story, weight in summary.shape.mix.items())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    rows = [
        ("visitors", stages),
        *([("gaps", f"drawn, by the seed {summary.seed}")] if summary.shape.tail is not None else []),
        ("stories", stories),
        ("latest visitor", f"{max(0.0, summary.latest_s) * 1000:.0f} ms after his moment"),
        ("load generator", f"{_generators(summary)}, {summary.generator_cpu_s:.1f} s of CPU time; {machine}"),
        ("observed", "not at all" if summary.observed is None else f"{summary.observed.source}, every {EVERY_S:g} s"),
    ]
    return table("How it was measured", ("", ""), rows, wordy=True)


def _generators(summary: RunSummary) -> str:
    return (
        "one locust process" if summary.generators == 1 else f"{summary.generators} workers of locust with one ledger"
    )


def resolution_table(summary: RunSummary) -> str:
    """Show the same jobs by how their end was seen, and by their records: polling has a resolution."""
    completed = [job for job in summary.jobs if job.status is JobStatus.COMPLETED]
    meanings = {
        WAITING: f"by a request that waits up to {WAIT_S:g} s: exact to a round trip",
        POLLING: f"by visitors who look every {POLL_EVERY_S:g} s: up to that late, in bands that far apart",
        AUDIT: "after the load only: later than the end",
    }
    rows = [_resolution_row(what, meanings[what], _times_seen(completed, what)) for what in meanings]
    recorded = [took_s for job in completed if (took_s := job.recorded_s) is not None]
    rows.append(_resolution_row("record", "from accepted to done by the job store's clock, of all of them", recorded))
    heads = ("end", "jobs", "p50", "p99", "how it was seen")
    return table("How exact the times are", heads, [row for row in rows if row[1] != "0"], wordy=True)


def _times_seen(jobs: Iterable[FollowedJob], by: str) -> list[float]:
    return [job.took_s for job in jobs if job.seen_by == by and job.took_s is not None]


def _resolution_row(name: str, meaning: str, times_s: list[float]) -> tuple[str, ...]:
    if not times_s:
        return (name, "0", "", "", meaning)
    spread = Spread.of(times_s)
    return (name, str(spread.count), format_duration(spread.p50), format_duration(spread.p99), meaning)


def case_table(summary: RunSummary) -> str:
    cases = summary.verdict.cases()
    if len(cases) <= CASES_SHOWN_FIRST:
        return ""
    rows = [(str(number), case) for number, case in enumerate(cases, 1)]
    return table("Every case in which the promise was broken", ("", ""), rows, wordy=True)


def _stage_text(stage: Stage, scale: float) -> str:
    rate = f"{stage.per_s * scale:g} a second"
    if stage.to_per_s is not None:
        rate = f"from {stage.per_s * scale:g} to {stage.to_per_s * scale:g} a second"
    return f"{rate} for {stage.seconds:g} s"
