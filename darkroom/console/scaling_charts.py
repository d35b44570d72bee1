"""The two charts of a Service's autoscaling: instances, and the concurrency that they follow from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from darkroom.charts import Colour, Limit, Line, Mark, Points
from darkroom.console.charts import Spans, TimeAxis, time_chart

Document = Mapping[str, Any]

_POINTS = 240
"""More would be closer than a pixel."""


def is_at_rest(service: Document) -> bool:
    """Report whether nothing has happened within what was asked for, so that there is nothing to draw."""
    first, *_ = service["decisions"] or [None]
    return first is None or all(_numbers(each) == _numbers(first) for each in service["decisions"])


def _numbers(decision: Document) -> tuple[Any, ...]:
    return tuple(decision[name] for name in ("stable", "panic", "wanted", "ready", "panicking"))


def instances_chart(service: Document, axis: TimeAxis) -> Markup:
    limit, decisions = service["settings"]["max_scale"], service["decisions"]
    wanted = _points(decisions, axis, lambda one: one["wanted"])
    marks: list[Mark] = [
        Spans(name="panic", spans=list(_panics(decisions, axis)), colour=Colour.ORANGE, title="panic"),
        Line(
            name="ready",
            points=_points(decisions, axis, lambda one: one["ready"]),
            colour=Colour.GREEN,
            stepped=True,
            filled=True,
        ),
        Line(name="wanted", points=wanted, colour=Colour.BLUE, stepped=True),
    ]
    if limit and any(one["unbounded"] > limit for one in decisions):
        asked = _points(decisions, axis, lambda one: one["unbounded"])
        marks.append(Line(name="asked for", points=asked, colour=Colour.GREY, stepped=True, dashed=True))
        marks.append(Limit(label=f"max-scale {limit}", value=limit))
    title = f"Instances of {service['service']}"
    return time_chart(title, marks, axis, height=170, whole=True)


def concurrency_chart(service: Document, axis: TimeAxis) -> Markup:
    decisions, settings = service["decisions"], service["settings"]
    marks: list[Mark] = [
        Spans(spans=list(_panics(decisions, axis)), colour=Colour.ORANGE, title="panic"),
        Line(
            name=f"over {settings['window_s']:g} s",
            points=_points(decisions, axis, lambda one: one["stable"]),
            colour=Colour.PURPLE,
        ),
        Line(
            name=f"over {settings['panic_window_s']:g} s, the panic window",
            points=_points(decisions, axis, lambda one: one["panic"]),
            colour=Colour.ORANGE,
            dashed=True,
        ),
        Limit(label=f"target {settings['target']:g} per instance", value=settings["target"]),
    ]
    return time_chart(f"Concurrency of {service['service']}", marks, axis, height=150)


def _points(decisions: Sequence[Document], axis: TimeAxis, value: Callable[[Document], float]) -> Points:
    """Return a series: not more points than can be seen, but each change of a whole number."""
    step = max(1, len(decisions) // _POINTS)
    points: list[tuple[float, float]] = []
    for number, one in enumerate(decisions):
        is_change = isinstance(value(one), int) and bool(points) and points[-1][1] != value(one)
        if number % step == 0 or is_change or number == len(decisions) - 1:
            points.append((max(axis.place(one["at"]), axis.place(axis.begin)), float(value(one))))
    if points:
        points.append((0.0, points[-1][1]))
    return points


def _panics(decisions: Sequence[Document], axis: TimeAxis) -> Iterator[tuple[float, float]]:
    """Yield from when to when the autoscaler was in panic, as places of the axis."""
    began: float | None = None
    for one in decisions:
        if one["panicking"] and began is None:
            began = axis.place(one["at"])
        elif not one["panicking"] and began is not None:
            yield began, axis.place(one["at"])
            began = None
    if began is not None:
        yield began, 0.0
