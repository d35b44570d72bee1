"""The charts of a simulation: pods, queue, times, the frontier of a search, and a real run with its simulation."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

from darkroom.charts import SERIES, Chart, Colour, Columns, Dots, Limit, Line, Mark
from darkroom.cli.simulate.series import Window, arrivals_per_bin, thinned, windows_of
from darkroom.cli.terminal import format_duration
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.result import Result
from darkroom.simulate.study.calibration import Calibration
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Answer, Path
from darkroom.simulate.study.search import Found

Points = Sequence[tuple[float, float]]


def place_text(seconds: float) -> str:
    """Format a moment: seconds up to ten minutes, then minutes or hours."""
    if seconds < 600 or seconds % 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 or seconds % 3600 else f"{seconds / 3600:g} h"


def figure(chart: Chart, caption: str = "") -> str:
    heading = f"<h3>{escape(caption)}</h3>" if caption else ""
    return f"{heading}{chart.legend()}{chart.svg()}"


def arrivals(times_s: Sequence[float], end_s: float, *, width: int) -> Chart:
    bin_s, points = arrivals_per_bin(times_s, end_s)
    return Chart(
        title="Requests per second over time",
        marks=[
            Columns(points=points, span=bin_s, colour=Colour.BLUE, name=f"requests per second, over {bin_s:g} s each")
        ],
        from_x=0,
        to_x=end_s,
        width=width,
        height=130,
        place_text=place_text,
    )


def pods(result: Result, path: Path, *, end_s: float, most: float, width: int) -> Chart:
    series = result.services[path.service].series
    ready = thinned(series.times_s, series.ready)
    wanted = thinned(series.times_s, series.wanted)
    panic = [(at, most if flag else 0.0) for at, flag in zip(series.times_s, series.panicking, strict=True)]
    marks: list[Mark] = []
    if any(series.panicking):
        marks.append(
            Line(points=thinned(*_split(panic)), colour=Colour.ORANGE, name="panic mode", stepped=True, filled=True)
        )
    marks += [
        Line(points=ready, colour=Colour.GREEN, name="ready", stepped=True, filled=True),
        Line(points=wanted, colour=Colour.INK, name="wanted by the autoscaler", stepped=True, dashed=True),
    ]
    return Chart(
        title=f"Pods of {path.service} over time",
        marks=marks,
        from_x=0,
        to_x=end_s,
        shown=[most],
        width=width,
        height=180,
        whole=True,
        place_text=place_text,
    )


def _split(points: Points) -> tuple[list[float], list[float]]:
    return [at for at, _ in points], [value for _, value in points]


def queue(result: Result, path: Path, *, end_s: float, most: float, width: int) -> Chart:
    series = result.services[path.service].series
    marks: list[Mark] = [
        Line(
            points=thinned(series.times_s, series.queue),
            colour=Colour.RED,
            name="requests that wait for an instance",
            stepped=True,
            filled=True,
        )
    ]
    flow = result.flows.get(path.name.removeprefix("trigger "))
    if flow is not None:
        backlog = thinned(series.times_s, flow.backlog)
        marks.append(Line(points=backlog, colour=Colour.PURPLE, name="events that wait in the Broker", stepped=True))
    return Chart(
        title="What waits, over time",
        marks=marks,
        from_x=0,
        to_x=end_s,
        shown=[most],
        width=width,
        height=140,
        whole=True,
        place_text=place_text,
    )


def times(result: Result, path: Path, objective: Objective, *, end_s: float, most: float, width: int) -> Chart:
    windows = windows_of(result.latencies[path.name], end_s)
    marks: list[Mark] = [
        Line(points=_of(windows, "p50_s"), colour=Colour.BLUE, name="p50"),
        Line(points=_of(windows, "p95_s"), colour=Colour.PURPLE, name="p95"),
        Line(points=_of(windows, "p99_s"), colour=Colour.RED, name="p99", dashed=True),
        Limit(label=f"objective: {objective}", value=objective.within_s),
    ]
    return Chart(
        title="Seconds from a request's arrival to its end, by the moment of arrival",
        marks=marks,
        from_x=0,
        to_x=end_s,
        shown=[most],
        width=width,
        height=180,
        place_text=place_text,
        value_text="{:g} s".format,
    )


def _of(windows: Sequence[Window], name: str) -> list[tuple[float, float]]:
    return [(one.middle_s, float(getattr(one, name))) for one in windows]


# --- several settings ------------------------------------------------------------------------------------------------


def frontier(found: Found, objective: Objective, *, currency: str) -> Chart:
    """Draw each setting's price and time, and the line that no setting is below."""
    pairs = [
        (cost, answer.spread("at_share_s").middle, answer.holds)
        for answer, cost in zip(found.tried, found.costs, strict=True)
    ]
    shown = [(cost, time_s, holds) for cost, time_s, holds in pairs if isfinite(time_s)]
    costs = [cost for cost, _, _ in shown] or [0.0]
    margin = (max(costs) - min(costs)) * 0.06 or max(costs) * 0.1 or 1.0
    marks: list[Mark] = [
        Line(
            points=[point for point in found.frontier if isfinite(point[1])],
            colour=Colour.GREY,
            name="the frontier: nothing is cheaper and faster at once",
            stepped=True,
        ),
        Dots(
            points=[(c, t) for c, t, holds in shown if not holds], colour=Colour.RED, name="does not hold the objective"
        ),
        Dots(points=[(c, t) for c, t, holds in shown if holds], colour=Colour.GREEN, name="holds it"),
        Limit(label=f"objective: {objective}", value=objective.within_s),
    ]
    if found.best is not None:
        cost = found.costs[found.tried.index(found.best)]
        marks.append(Limit(label="the cheapest that holds it", place=cost))
    return Chart(
        title="Price and time of every setting that was tried",
        marks=marks,
        from_x=max(0.0, min(costs) - margin),
        to_x=max(costs) + margin,
        height=300,
        place_text=lambda cost: f"{cost:g} {currency}/day",
        value_text="{:g} s".format,
    )


def compared_times(answers: Sequence[Answer], path: Path) -> Chart:
    """Draw which share of the requests was done within which time, a line per setting."""
    marks, longest = [], 0.0
    for colour, answer in zip(SERIES, answers, strict=False):
        latencies = answer.typical.latencies[path.name]
        points = [(0.0, 0.0), *((latencies.percentile(p), p * latencies.count / path.offered) for p in range(1, 101))]
        longest = max(longest, points[-1][0])
        marks.append(Line(points=points, colour=colour, name=answer.setting.label))
    return Chart(
        title="Share of the requests that were done within a time",
        marks=marks,
        from_x=0,
        to_x=longest or 1.0,
        shown=[100],
        height=220,
        value_text="{:g} %".format,
    )


# --- a real run ------------------------------------------------------------------------------------------------------


def real_and_simulated(calibration: Calibration, *, end_s: float) -> Chart:
    real = [(tick.at_s, float(tick.real)) for tick in calibration.ticks]
    simulated = [(tick.at_s, float(tick.simulated)) for tick in calibration.ticks]
    return Chart(
        title="Ready instances: the real run and its simulation",
        marks=[
            Line(points=real, colour=Colour.GREEN, name="real", stepped=True, filled=True),
            Line(points=simulated, colour=Colour.INK, name="simulated", stepped=True, dashed=True),
        ],
        from_x=0,
        to_x=end_s,
        height=200,
        whole=True,
        place_text=place_text,
    )


def differences(calibration: Calibration, *, end_s: float) -> Chart:
    points = [(tick.at_s, float(tick.difference)) for tick in calibration.ticks]
    return Chart(
        title="Simulated minus real instances, per tick",
        marks=[
            Line(points=points, colour=Colour.RED, name="simulated minus real", stepped=True),
            Limit(label="+1", value=1),
            Limit(label="-1", value=-1),
        ],
        from_x=0,
        to_x=end_s,
        shown=[-2, 2],
        height=120,
        whole=True,
        place_text=place_text,
    )


def real_and_simulated_times(recording: Recording, result: Result, path: Path, *, end_s: float) -> Chart:
    took = [(at, took) for at, took in zip(recording.arrivals_s, recording.took_s, strict=True) if took is not None]
    latencies = result.latencies[path.name]
    simulated = sorted(zip(latencies.arrived_s, latencies.seconds, strict=True))
    return Chart(
        title="Seconds from arrival to end, of each request",
        marks=[
            Dots(points=took[:: len(took) // 2000 + 1], colour=Colour.GREEN, name="real"),
            Dots(points=simulated[:: len(simulated) // 2000 + 1], colour=Colour.INK, name="simulated"),
        ],
        from_x=0,
        to_x=end_s,
        height=220,
        place_text=place_text,
        value_text=lambda seconds: format_duration(seconds),
    )
