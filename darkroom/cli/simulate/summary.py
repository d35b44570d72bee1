"""The study as a few lines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from darkroom.cli.simulate.study import Against, Study, search_sentence
from darkroom.cli.terminal import format_duration, is_terminal, write, write_records
from darkroom.simulate.study.advice import advise
from darkroom.simulate.study.outcome import Answer

_MOST_BENDS = 12


def show(study: Study) -> None:
    traffic = study.traffic
    write(
        f"{traffic.source} into {study.path.service}: {len(traffic.arrivals_s):,} requests within "
        f"{format_duration(traffic.seconds)}; {study.runs} runs; the objective is {study.objective}"
    )
    for remark in study.remarks:
        write((remark, "yellow"))
    heads = (
        "setting",
        "holds",
        "in time",
        "p50",
        "p95",
        "p99",
        "refused",
        "cold",
        "pods",
        "pod s",
        "per day",
        "per million",
    )
    write_records(heads, [_row(study, answer) for answer in study.answers])
    if study.found is not None:
        write((search_sentence(study), "bold"))
    if study.against is not None:
        _show_against(study.against)
    if len(study.answers) == 1 and is_terminal():
        _show_reasons(study, study.answers[0])
    write((f"prices by {study.prices.label}, in {study.prices.currency}, if this traffic went on all day", "dim"))


def _row(study: Study, answer: Answer) -> tuple[str, ...]:
    return tuple(_cells(study, answer))


def _cells(study: Study, answer: Answer) -> Iterator[str]:
    yield answer.setting.label
    yield "yes" if answer.holds else "no"
    yield f"{answer.spread('within').middle:.2%}"
    for name in ("p50_s", "p95_s", "p99_s"):
        yield _duration(answer.spread(name).middle)
    for name in ("refused", "cold_requests", "most_pods", "pod_seconds"):
        yield f"{answer.spread(name).middle:,.0f}"
    yield f"{study.prices.per_day(answer):,.2f}"
    yield f"{study.prices.per_million(answer, study.path.offered):,.2f}"


def _duration(seconds: float) -> str:
    return format_duration(seconds) if isfinite(seconds) else "never"


def _show_reasons(study: Study, answer: Answer) -> None:
    result = answer.typical
    for advice in advise(answer.scenario, result, study.path):
        write((f"{advice.about}: ", "bold"), f"{advice.sentence} {advice.remedy}")
    bends = result.services[study.path.service].bends
    for bend in bends[:_MOST_BENDS]:
        write(f"  {bend.at_s:>7.1f} s  {bend.before} → {bend.wanted}  {bend.reason.sentence}")
    if len(bends) > _MOST_BENDS:
        write(f"  and {len(bends) - _MOST_BENDS} more; --html or --json shows all")


def _show_against(against: Against) -> None:
    calibration = against.calibration
    verdict = ("within tolerance", "green") if calibration.is_within else ("outside the tolerance", "red")
    write(f"against the real run {against.recording.name}: ", verdict)
    write(
        f"  instances within 1 in {calibration.ticks_within:.1%} of {len(calibration.ticks)} ticks; starts: "
        f"{calibration.starts[0]} real, {calibration.starts[1]} simulated"
    )
    for each in calibration.percentiles:
        write(
            f"  p{each.percent}: {format_duration(each.real_s)} real, {format_duration(each.simulated_s)} simulated, "
            f"{each.difference_s * 1000:+.0f} ms ({each.ratio:+.0%})"
        )
