"""A study as JSON: amounts in seconds, pod seconds and the price file's currency."""

from __future__ import annotations

from math import isfinite
from typing import Any

from darkroom.cli.simulate.series import thinned
from darkroom.cli.simulate.study import Study
from darkroom.simulate.study.advice import advise
from darkroom.simulate.study.calibration import Calibration
from darkroom.simulate.study.outcome import Answer

_FIGURES = (
    "within", "at_share_s", "p50_s", "p95_s", "p99_s", "refused", "unfinished", "cold_requests", "starts", "most_pods",
    "longest_queue", "pod_seconds",
)  # fmt: skip


def study_document(study: Study) -> dict[str, Any]:
    traffic = study.traffic
    document: dict[str, Any] = {
        "traffic": {"source": traffic.source, "requests": len(traffic.arrivals_s), "seconds": traffic.seconds},
        "path": study.path.name,
        "service": study.path.service,
        "objective": {"share": study.objective.share, "within_s": study.objective.within_s},
        "platform": study.platform,
        "prices": {"label": study.prices.label, "currency": study.prices.currency},
        "remarks": list(study.remarks),
        "settings": [_answer(study, answer) for answer in study.answers],
    }
    if study.found is not None:
        best, below = study.found.best, study.found.next_cheaper
        document["search"] = {
            "tried": [_summary(study, each) for each in study.found.tried],
            "best": None if best is None else best.setting.label,
            "next_cheaper": None if below is None else below.setting.label,
            "frontier": [[cost, _finite(time_s)] for cost, time_s in study.found.frontier],
        }
    if study.against is not None:
        document["against"] = {"run": study.against.recording.name, **calibration_document(study.against.calibration)}
    return document


def _summary(study: Study, answer: Answer) -> dict[str, Any]:
    figures = {name: answer.spread(name) for name in _FIGURES}
    return {
        "setting": answer.setting.label,
        "values": {f"{service}.{name}": value for (service, name), value in answer.setting.values.items()},
        "holds": answer.holds,
        **{
            name: {"median": _finite(each.middle), "low": _finite(each.low), "high": _finite(each.high)}
            for name, each in figures.items()
        },
        "price_per_day": study.prices.per_day(answer),
        "price_per_million": study.prices.per_million(answer, study.path.offered),
    }


def _answer(study: Study, answer: Answer) -> dict[str, Any]:
    result = answer.typical
    service = result.services[study.path.service]
    series = service.series
    return {
        **_summary(study, answer),
        "seeds": [each.seed for each in answer.results],
        "advice": [
            {"about": each.about, "sentence": each.sentence, "remedy": each.remedy}
            for each in advise(answer.scenario, result, study.path)
        ],
        "bends": [
            {"at_s": bend.at_s, "before": bend.before, "wanted": bend.wanted, **bend.reason.as_dict()}
            for bend in service.bends
        ],
        "pods_over_time": {
            "ready": thinned(series.times_s, series.ready),
            "wanted": thinned(series.times_s, series.wanted),
        },
        "queue_over_time": thinned(series.times_s, series.queue),
    }


def calibration_document(calibration: Calibration) -> dict[str, Any]:
    return {
        "ticks": len(calibration.ticks),
        "ticks_within_one_instance": calibration.ticks_within,
        "percentiles": [
            {
                "percent": each.percent,
                "real_s": each.real_s,
                "simulated_s": each.simulated_s,
                "difference_s": each.difference_s,
                "is_within": each.is_within,
            }
            for each in calibration.percentiles
        ],
        "error_per_tick": [[tick.at_s, tick.real, tick.simulated] for tick in calibration.ticks],
        "instance_seconds": {"real": calibration.pod_seconds[0], "simulated": calibration.pod_seconds[1]},
        "starts": {"real": calibration.starts[0], "simulated": calibration.starts[1]},
        "is_within": calibration.is_within,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
