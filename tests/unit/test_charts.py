"""Charts are read as the XML that they are: what is drawn is at its place, and said in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from darkroom.charts import (
    STYLE,
    Bar,
    BarGroup,
    Chart,
    Colour,
    Columns,
    Dots,
    Limit,
    Line,
    Mark,
    Moments,
    Span,
    bar_chart,
    histogram,
    round_step,
    standalone,
    waterfall,
)


def chart(*marks: Mark, to_x: float = 10, **options: object) -> Chart:
    return Chart(title="A <chart>", marks=marks, from_x=0, to_x=to_x, **options)  # type: ignore[arg-type]


def elements(svg: str, of_class: str) -> list[dict[str, str]]:
    found = ElementTree.fromstring(svg).iter()
    return [each.attrib for each in found if of_class in each.get("class", "").split()]


def line(*points: tuple[float, float], **options: object) -> Line:
    return Line(points=points, colour=Colour.BLUE, **options)  # type: ignore[arg-type]


def test_a_point_is_drawn_at_its_second_and_its_value() -> None:
    plot = chart(line((0, 95))).plot
    assert plot.top_value == 100
    assert plot.x(5) == pytest.approx((plot.x(0) + plot.x(10)) / 2)
    assert plot.y(0) == plot.floor_y
    assert plot.y(50) == pytest.approx((plot.y(0) + plot.y(100)) / 2)


def test_values_below_zero_have_room_below_zero() -> None:
    plot = chart(line((0, -3), (1, 7))).plot
    assert plot.bottom_value <= -3
    assert plot.top_value >= 7
    assert plot.y(-3) > plot.y(0) > plot.y(7)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(0.0, float("nan"))]])
def test_a_chart_with_nothing_to_show_is_one_with_axes(points: list[tuple[float, float]]) -> None:
    drawn = chart(Line(points=points, colour=Colour.BLUE, name="x"), Columns(points=points, colour=Colour.RED, span=1))
    assert elements(drawn.svg(), "grid")
    assert drawn.plot.top_value == 0.5


@pytest.mark.parametrize(("least", "step"), [(0.03, 0.05), (1, 1), (1.1, 2), (24, 50), (51, 100), (1e-6, 1e-6)])
def test_steps_are_round_numbers(least: float, step: float) -> None:
    assert round_step(least) == pytest.approx(step)


def test_a_gap_in_the_numbers_is_a_gap_in_the_line() -> None:
    [path] = elements(chart(line((0, 1), (1, float("nan")), (2, 1), (3, 1))).svg(), "line")
    assert path["d"].count("M") == 2


def test_a_stepped_line_goes_across_and_then_up() -> None:
    drawn = chart(line((0, 0), (5, 10), stepped=True))
    [path] = elements(drawn.svg(), "line")
    x, floor_y, top_y = drawn.plot.x(5), drawn.plot.y(0), drawn.plot.y(10)
    assert path["d"] == f"M{drawn.plot.x(0):.1f} {floor_y:.1f}H{x:.1f}V{top_y:.1f}"


def test_what_is_stacked_is_filled_down_to_what_is_below_it() -> None:
    below = ((0.0, 1.0), (10.0, 2.0))
    drawn = chart(line((0, 3), (10, 4), above=below))
    [area] = elements(drawn.svg(), "area")
    corners = [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", area["d"])]
    y = drawn.plot.y
    assert [corner[1] for corner in corners] == pytest.approx([y(3), y(4), y(2), y(1)], abs=0.06)


def test_columns_of_several_series_stand_side_by_side_on_the_floor() -> None:
    points = [(0.0, 2.0), (1.0, 0.0)]
    drawn = chart(
        Columns(points=points, colour=Colour.BLUE, span=1, place=0, of=2),
        Columns(points=points, colour=Colour.RED, span=1, place=1, of=2),
    )
    first, second = elements(drawn.svg(), "solid")
    assert float(first["x"]) + float(first["width"]) < float(second["x"])
    assert float(second["x"]) + float(second["width"]) < drawn.plot.x(1)
    assert float(first["y"]) + float(first["height"]) == pytest.approx(drawn.plot.floor_y, abs=0.11)


def test_a_limit_is_drawn_only_where_it_is_within_what_is_shown() -> None:
    inside, outside = Limit(label="of ten", value=10), Limit(label="of a thousand", value=1000)
    later = Limit(label="later", place=11)
    texts = chart(line((0, 10)), inside, outside, Limit(label="half", place=5), later).svg()
    assert "of ten" in texts
    assert "half" in texts
    assert "of a thousand" not in texts
    assert "later" not in texts


def test_moments_say_what_they_were() -> None:
    svg = chart(Moments(moments=[(3, "a <cold> start")], colour=Colour.RED)).svg()
    assert "<title>a &lt;cold&gt; start</title>" in svg


def test_a_chart_says_in_words_what_it_shows() -> None:
    svg = chart(line((0, 1), (4, 12.5), (9, 2), name="done"), line((0, 99))).svg()
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert [child.text for child in root if child.tag in {"title", "desc"}] == [
        "A <chart>",
        "From 0 s to 10 s. done: at most 12.5, last 2.",
    ]


def test_the_legend_names_the_marks_that_have_a_name() -> None:
    legend = chart(line((0, 1), name="a & b", dashed=True), line((0, 2)), Dots(points=[], colour=Colour.RED)).legend()
    root = ElementTree.fromstring(legend)
    assert ["".join(item.itertext()) for item in root] == ["a & b"]
    assert elements(legend, "dashed")
    assert chart(line((0, 1))).legend() == ""


def test_a_histogram_counts_each_value_once() -> None:
    assert histogram([0, 0.1, 0.5, 1.9], span=0.5) == [(0.0, 2.0), (0.5, 1.0), (1.0, 0.0), (1.5, 1.0)]
    assert histogram([], span=1) == []


def test_bars_of_a_group_have_one_scale_and_their_goal_is_on_it() -> None:
    group = BarGroup(
        title="jobs", bars=[Bar(label="ours", value=5, text="5.0"), Bar(label="theirs", value=10, text="10")], goal=7.5
    )
    svg = bar_chart([group], title="t")
    ours, theirs = (float(bar["width"]) for bar in elements(svg, "solid"))
    [goal] = elements(svg, "limit")
    start = float(elements(svg, "solid")[0]["x"])
    assert ours == pytest.approx(theirs / 2)
    assert float(goal["x1"]) - start == pytest.approx(theirs * 0.75, abs=0.1)
    assert "<desc>jobs: ours 5.0, theirs 10.</desc>" in svg


def test_the_spans_of_a_waterfall_share_one_axis_that_begins_with_the_first() -> None:
    spans = [
        Span(label="waits", begin=100, end=102, text="2 s"),
        Span(label="works", begin=102, end=110, text="8 s"),
        Span(label="a moment", begin=110, end=110, text="0 s"),
    ]
    svg = waterfall(spans, title="t")
    waits, works, moment = ({name: float(bar[name]) for name in ("x", "width", "y")} for bar in elements(svg, "solid"))
    assert works["width"] == pytest.approx(4 * waits["width"], abs=0.2)
    assert works["x"] == pytest.approx(waits["x"] + waits["width"], abs=0.2)
    assert moment["width"] > 0, "what took no time is seen too"
    assert waits["y"] < works["y"] < moment["y"]
    assert "<desc>waits: 2 s, from 0 s. works: 8 s, from 2 s. a moment: 0 s, from 10 s.</desc>" in svg
    assert "<svg" in waterfall([], title="nothing")


def test_every_colour_is_light_and_dark() -> None:
    light, dark = STYLE.split("@media (prefers-color-scheme:dark)")
    for colour in Colour:
        for scheme in (light, dark):
            assert re.search(rf"--chart-{colour}:#[0-9a-f]{{6}}", scheme)


def test_a_file_of_its_own_brings_its_looks_and_no_script() -> None:
    text = standalone(chart(line((0, 1))).svg())
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme" in text
    assert "<script" not in text


def _anchor_of(text: str, svg: str) -> str:
    [found] = [each for each in ElementTree.fromstring(svg).iter() if each.text == text]
    return str(found.get("text-anchor"))


def test_the_label_of_a_place_is_never_cut_off_at_the_edge() -> None:
    last, first = Limit(label="p99", place=10), Limit(label="p50", place=0.01, label_before=True)
    svg = chart(line((0, 10)), last, first, Limit(label="middle", place=5, label_before=True)).svg()
    assert [_anchor_of(label, svg) for label in ("p99", "p50", "middle")] == ["end", "start", "end"]
