"""The report of the pipeline benchmark: tables, goals and a chart, from the medians of the rounds."""

from __future__ import annotations

import sys
from collections import defaultdict
from statistics import median

from benchmarks.pipeline_rounds import (
    CORES,
    DISTURBED,
    GOAL_OUTSIDE_MS,
    OURS,
    RAW,
    STORED,
    THIRD_PARTY,
    THUMBOR_S3,
    UPLOADED,
    Case,
    Round,
)
from darkroom.charts import Bar, BarGroup, Colour, bar_chart, standalone


def print_round(title: str, one: Round) -> None:
    print(f"\n{title}: raw render {one.raw.per_s:.1f}/s, {one.raw.cpu_ms_each:.1f} ms")
    for name, measured in one.measured.items():
        others = measured.others_s / measured.seconds / CORES
        print(
            f"  {name:<26}{measured.per_s:>7.1f}/s {one.of_raw(name):>6.2f} {measured.total_ms_each:>7.1f} ms"
            f"   client {measured.client_s * 1000 / measured.count:4.1f} ms, others {others:.0%} of the machine"
        )
    sys.stdout.flush()


def report(results: dict[Case, list[Round]]) -> str:
    lines = []
    for case, rounds in results.items():
        lines += ["", f"## {case.title}", "", *_table(rounds), "", *_split(rounds), "", *_goal_results(case, rounds)]
    return "\n".join(lines) + "\n"


def _table(rounds: list[Round]) -> list[str]:
    lines = [
        "| | jobs per second | of the raw render | by CPU time | ms per job | outside the render | client's ms |",
        "|---|---|---|---|---|---|---|",
        f"| {RAW}, {CORES} processes | {median(one.raw.per_s for one in rounds):.1f} | 1 | 1 "
        f"| {median(one.raw.cpu_ms_each for one in rounds):.1f} | | |",
    ]
    for name in rounds[0].measured:
        per_s, ratio = median(one.measured[name].per_s for one in rounds), median(one.of_raw(name) for one in rounds)
        total = median(one.measured[name].total_ms_each for one in rounds)
        by_cpu = median(one.of_raw_by_cpu(name) for one in rounds)
        client = median(one.measured[name].client_s * 1000 / one.measured[name].count for one in rounds)
        outside = f"{median(one.outside_ms(name) for one in rounds):.1f}" if name in OURS else ""
        lines.append(f"| {name} | {per_s:.1f} | {ratio:.2f} | {by_cpu:.2f} | {total:.1f} | {outside} | {client:.1f} |")
    return lines


def _split(rounds: list[Round]) -> list[str]:
    """Return the table of where a job's CPU time goes."""
    spent: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in OURS}
    for one in rounds:
        for name in OURS:
            for process in one.measured[name].spent.by_name:
                spent[name][process].append(one.measured[name].milliseconds_each(process))
    processes = sorted({process for found in spent.values() for process in found}, key=lambda name: _cost(spent, name))
    lines = ["| CPU ms per job | " + " | ".join(OURS) + " |", "|---|" + "---|" * len(OURS)]
    for process in processes:
        cells = [f"{median(spent[name][process] or [0.0]):.2f}" for name in OURS]
        lines.append(f"| {process} | " + " | ".join(cells) + " |")
    cells = [f"{median(one.rendering_ms[name] for one in rounds):.2f}" for name in OURS]
    return [*lines, "| of resize: the render | " + " | ".join(cells) + " |"]


def _cost(spent: dict[str, dict[str, list[float]]], process: str) -> float:
    return -max(median(found[process]) if process in found else 0.0 for found in spent.values())


def _goal_results(case: Case, rounds: list[Round]) -> list[str]:
    ratio = median(one.of_raw(UPLOADED) for one in rounds)
    outside = median(one.ours_outside_ms(UPLOADED) for one in rounds)
    outside_own = median(one.ours_outside_own_render_ms(UPLOADED) for one in rounds)
    rendering = median(one.rendering_ms[UPLOADED] for one in rounds)
    third_party = median(one.third_party_ms(UPLOADED) for one in rounds)
    lines = [
        f"- {_reached(ratio >= case.goal)}: {ratio:.2f} of the raw render's throughput, the goal is {case.goal}",
        f"- by CPU time, which is what it would be with the machine to itself: "
        f"{median(one.of_raw_by_cpu(UPLOADED) for one in rounds):.2f}",
        f"- {_reached(outside < GOAL_OUTSIDE_MS)}: {outside:.1f} ms outside the render in our own processes, the goal "
        f"is {GOAL_OUTSIDE_MS:g} ms; and {third_party:.1f} ms in {', '.join(THIRD_PARTY)}",
        f"- that is less the raw render's time; in the functions, beside everything else, a render took "
        f"{rendering:.1f} ms, and less that it is {outside_own:.1f} ms",
    ]
    if THUMBOR_S3 in rounds[0].measured:
        beside = median(one.measured[STORED].per_s / one.measured[THUMBOR_S3].per_s for one in rounds)
        lines.append(f"- {_reached(beside >= 1)}: {beside:.2f} of thumbor's throughput from S3 to S3, the goal is 1")
    if any(one.disturbed for one in rounds):
        count = sum(one.disturbed for one in rounds)
        lines.append(
            f"- {count} of {len(rounds)} rounds were disturbed: others took more than {DISTURBED:.0%} of the machine"
        )
    return lines


def _reached(yes: bool) -> str:
    return "reached" if yes else "**not reached**"


def chart(results: dict[Case, list[Round]]) -> str:
    groups = []
    for case, rounds in results.items():
        raw = median(one.raw.per_s for one in rounds)
        bars = [Bar(label=f"{RAW}, {CORES} processes", value=raw, colour=Colour.GREY, text=f"{raw:.1f}")]
        for name in rounds[0].measured:
            value = median(one.measured[name].per_s for one in rounds)
            colour = Colour.BLUE if name in OURS else Colour.ORANGE
            ratio = median(one.of_raw(name) for one in rounds)
            bars.append(Bar(label=name, value=value, colour=colour, text=f"{value:.1f}, {ratio:.2f} of raw"))
        groups.append(BarGroup(title=f"{case.title}, jobs per second", bars=bars, goal=case.goal * raw))
    return standalone(bar_chart(groups, title="Jobs per second of the whole pipeline"))
