"""`python -m tools.tuning docs`: draws the pictures of docs/tuning.md, and writes the tool's answers into the page.

Each picture shows one setting: the same traffic with several values of it, simulated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from darkroom import charts
from darkroom.arrivals import Stage, evenly_s, on_off
from darkroom.charts import SERIES, Chart, Line
from darkroom.charts.svg import label, svg
from darkroom.cli.simulate.series import thinned
from darkroom.cli.terminal import format_duration
from darkroom.local.eventing.delivery import ConsumerSettings
from darkroom.manifests import autoscaling
from darkroom.manifests.platform.scaling import PREFIX
from darkroom.simulate import Arrivals, Flow, Result, Scenario, ServiceModel, Target, run
from darkroom.simulate.distributions import CLUSTER_COLD_START, ColdStart, Distribution
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Path as TrafficPath
from darkroom.simulate.study.outcome import answer
from darkroom.simulate.study.settings import AS_IS, CONCURRENCY, THROTTLE, Base, Setting
from tools.marked_pages import with_generated

BEGIN = "<!-- the tool's answer: made by `make reference`; do not edit -->"
END = "<!-- end of the tool's answer -->"
SERVICE_TIME_S = 0.25
SEEDS = range(1, 4)
COLD_START = ColdStart(alone=CLUSTER_COLD_START.alone, growth=0.1)
"""About a second, and little slower with others: on a cluster of several nodes."""
_WIDTH, _HEIGHT, _LEGEND = 760, 190, 24
_KEY_WIDTH, _CHARACTER = 28, 6.4


def poisson(rate_per_s: float, seconds: float, seed: int = 1) -> tuple[float, ...]:
    draw, at_s, times = Random(seed), 0.0, []  # noqa: S311 - a load, not a secret
    while (at_s := at_s + draw.expovariate(rate_per_s)) < seconds:
        times.append(at_s)
    return tuple(times)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One setting, drawn with several values."""

    name: str
    """The setting's, and the file's."""
    values: Sequence[str]
    arrivals_s: Sequence[float]
    seconds: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of all the values, without their prefix."""
    concurrency: int = 2
    shows: str = "pods that are ready"

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


_BURST = evenly_s([Stage(seconds=10, per_s=20)])
_SWELL = evenly_s([Stage(seconds=30, per_s=4), Stage(seconds=60, per_s=4, to_per_s=40), Stage(seconds=60, per_s=4)])
_PAUSES = evenly_s(on_off(on_s=15, off_s=75, per_s=8, times=3))
_BUMPS = evenly_s(on_off(on_s=8, off_s=24, per_s=30, times=4))
_SPIKE = evenly_s([Stage(seconds=60, per_s=12), Stage(seconds=6, per_s=36), Stage(seconds=60, per_s=12)])

PICTURES: tuple[Picture, ...] = (
    Picture(name=CONCURRENCY, values=("1", "2", "8"), arrivals_s=poisson(20, 150), seconds=180),
    Picture(
        name="target-utilization-percentage", values=("50", "70", "100"), arrivals_s=poisson(40, 150), seconds=180
    ),
    Picture(name="min-scale", values=("0", "2", "5"), arrivals_s=_BURST, seconds=120, annotations={"window": "30s"}),
    Picture(name="max-scale", values=("2", "4", "8"), arrivals_s=_BURST, seconds=120, annotations={"window": "30s"}),
    Picture(
        name="activation-scale", values=("2", "4", "8"), arrivals_s=evenly_s([Stage(seconds=30, per_s=3)]), seconds=120,
        annotations={"window": "30s"},
    ),
    Picture(name="window", values=("12s", "60s", "180s"), arrivals_s=_SWELL, seconds=360),
    Picture(name="panic-window-percentage", values=("5", "10", "50"), arrivals_s=_SPIKE, seconds=160),
    Picture(name="panic-threshold-percentage", values=("150", "200", "1000"), arrivals_s=_SPIKE, seconds=160),
    Picture(
        name="scale-down-delay", values=("0s", "30s", "90s"), arrivals_s=_BUMPS, seconds=240,
        annotations={"window": "12s"},
    ),
    Picture(
        name="scale-to-zero-pod-retention-period", values=("0s", "2m"), arrivals_s=_PAUSES, seconds=300,
        annotations={"window": "20s"},
    ),
    Picture(
        name=THROTTLE, values=("4", "20", "80"), arrivals_s=evenly_s([Stage(seconds=20, per_s=40)]), seconds=120,
        annotations={"window": "30s", "max-scale": "10"},
    ),
)  # fmt: skip


# --- simulating ------------------------------------------------------------------------------------------------------


def base_of(picture: Picture) -> Base:
    annotations = {PREFIX + name: text for name, text in {"max-scale": "20", **picture.annotations}.items()}
    service = ServiceModel(
        name="function",
        scaling=autoscaling.parse(annotations, picture.concurrency),
        service_time=Distribution.lognormal(SERVICE_TIME_S * 0.9, 0.45),
        cold_start=COLD_START,
    )
    settings = ConsumerSettings(max_deliver=4, ack_wait_s=60.0, max_ack_pending=1000, http_timeout_s=59.8)
    flow = Flow(name="function", broker="default/default", consumer=settings, service="function")
    arrivals = Arrivals(name="traffic", kind=Target.TRIGGER, to="function", times_s=picture.arrivals_s)
    scenario = Scenario(
        services=(service,), flows=(flow,), arrivals=(arrivals,), duration_s=picture.seconds, seed=1, sample_s=0.5
    )
    return Base(scenario=scenario, annotations={"function": annotations})


def results_of(picture: Picture) -> Mapping[str, Result]:
    base = base_of(picture)
    return {value: run(base.apply(Setting(values={("function", picture.name): value}))) for value in picture.values}


# --- drawing ---------------------------------------------------------------------------------------------------------


def drawn(picture: Picture) -> str:
    """Return the picture as SVG: a line per value, and a legend above them."""
    marks = []
    for colour, (value, result) in zip(SERIES, results_of(picture).items(), strict=False):
        series = result.services["function"].series
        p95 = format_duration(result.latencies["trigger function"].percentile(95))
        name = f"{value}: {result.pod_seconds:,.0f} pod s, p95 {p95}"
        marks.append(Line(points=thinned(series.times_s, series.ready), colour=colour, name=name, stepped=True))
    chart = Chart(
        title=f"{picture.name}: {picture.shows}, over time",
        marks=marks,
        from_x=0,
        to_x=picture.seconds,
        width=_WIDTH,
        height=_HEIGHT,
        whole=True,
    )
    # An SVG in an SVG has a place of its own.
    inner = chart.svg().replace("<svg ", f'<svg y="{_LEGEND}" ', 1)
    whole = svg(_WIDTH, _HEIGHT + _LEGEND, *_legend(marks), inner, title=chart.title, description=chart.description)
    return charts.standalone(whole)


def _legend(marks: Sequence[Line]) -> Iterator[str]:
    x = 64.0
    for mark in marks:
        yield f'<g transform="translate({x:.0f} 7)">{mark.key()}</g>'
        yield label(x + _KEY_WIDTH, 16, mark.name)
        x += _KEY_WIDTH + len(mark.name) * _CHARACTER + 16


# --- the worked example ----------------------------------------------------------------------------------------------


def worked_example() -> Iterator[str]:
    """Yield the table of what the tool says about 50 pictures per second."""
    picture = Picture(
        name="max-scale", values=("6", "7", "8", "10"), arrivals_s=poisson(50, 180), seconds=240,
        annotations={"window": "30s", "target-utilization-percentage": "100"},
    )  # fmt: skip
    base, objective = base_of(picture), Objective(share=0.995, within_s=10.0)
    path = TrafficPath(name="trigger function", service="function", offered=len(picture.arrivals_s))
    yield "| max-scale | within 10 s | p50 | p95 | p99 | pod seconds |"
    yield "|---|---|---|---|---|---|"
    for value in picture.values:
        scenario = base.apply(Setting(values={("function", "max-scale"): value}))
        found = answer(AS_IS, scenario, path=path, objective=objective, seeds=SEEDS)
        times = " | ".join(format_duration(found.spread(name).middle) for name in ("p50_s", "p95_s", "p99_s"))
        within = f"{found.spread('within').middle:.1%}{'' if found.holds else ', not enough'}"
        yield f"| {value} | {within} | {times} | {found.spread('pod_seconds').middle:,.0f} |"


def with_answer(page: str) -> str:
    """Return the page with the table between the two marks regenerated. Raises ValueError when they are missing."""
    return with_generated(page, BEGIN, END, worked_example())


def main() -> None:
    docs = Path(sys.argv[1])
    (docs / "tuning").mkdir(exist_ok=True)
    for picture in PICTURES:
        (docs / "tuning" / picture.file).write_text(drawn(picture), encoding="utf-8")
    page = docs / "tuning.md"
    page.write_text(with_answer(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
