"""Settings, objectives, searches and advice, on small scenarios that are really simulated."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate import LOCAL, Arrivals, ColdStart, Distribution, Scenario, ServiceModel, Target, run
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.study.advice import advise
from darkroom.simulate.study.calibration import calibrate
from darkroom.simulate.study.objective import Objective, ObjectiveError
from darkroom.simulate.study.outcome import Answer, Figures, Path, answer, confidence
from darkroom.simulate.study.search import Found, search
from darkroom.simulate.study.settings import AS_IS, Axis, Base, Setting, SettingError, combinations, parse_axis

ONE_SECOND = Objective(share=0.95, within_s=1.0)


def scenario(times_s: list[float], *, duration_s: float = 60.0, **scaling: float) -> Scenario:
    config = ScalingConfig(**{"container_concurrency": 1, "target": 1.0, "window_s": 10.0, **scaling})  # type: ignore[arg-type]
    service = ServiceModel(
        name="f",
        scaling=config,
        service_time=Distribution.constant(0.25),
        cold_start=ColdStart(alone=Distribution.constant(0.5)),
    )
    arrivals = Arrivals(name="traffic", kind=Target.SERVICE, to="f", times_s=times_s)
    return Scenario(services=(service,), arrivals=(arrivals,), duration_s=duration_s, platform=LOCAL)


def path_of(made: Scenario) -> Path:
    return Path(name="service f", service="f", offered=len(made.arrivals[0].times_s))


def poisson(rate: float, seconds: float, seed: int = 3) -> list[float]:
    draw, at_s, times = Random(seed), 0.0, []
    while (at_s := at_s + draw.expovariate(rate)) < seconds:
        times.append(at_s)
    return times


# --- objectives and settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["99.5%<10s", "99.5 % within 10s", "99.5%<10000ms"])
def test_an_objective_is_read_in_both_forms(text: str) -> None:
    assert Objective.parse(text) == Objective(share=0.995, within_s=10)
    assert Objective.parse(str(Objective.parse(text))) == Objective.parse(text)


@pytest.mark.parametrize("text", ["99.5<10s", "101%<1s", "0%<1s", "99%<soon", "99%<0s"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(ObjectiveError):
        Objective.parse(text)


def test_an_axis_names_a_service_a_setting_and_values() -> None:
    assert parse_axis("f.max-scale=5, 10,5", ["f"]) == Axis(service="f", name="max-scale", values=("5", "10"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max-scale=5", "reads like resize.max-scale=5,10"),
        ("g.max-scale=5", "no Service 'g'"),
        ("f.max-scal=5", "no setting 'max-scal'.*max-scale"),
        ("f.max-scale=,", "has no value"),
    ],
)
def test_an_axis_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        parse_axis(text, ["f"])


def test_all_combinations_are_tried_up_to_a_limit() -> None:
    axes = [Axis(service="f", name=name, values=("1", "2")) for name in ("min-scale", "max-scale")]
    assert [each.label for each in combinations(axes)][1] == "min-scale 1, max-scale 2"
    with pytest.raises(SettingError, match="600 combinations, and at most 500"):
        combinations([*axes, Axis(service="f", name="target", values=tuple(map(str, range(1, 151))))])


def test_a_setting_replaces_the_manifests_annotation_and_leaves_the_others() -> None:
    base = Base(
        scenario=scenario([0.0]),
        annotations={"f": {"autoscaling.knative.dev/max-scale": "3", "autoscaling.knative.dev/window": "10s"}},
    )
    changed = base.apply(Setting(values={("f", "max-scale"): "7", ("f", "container-concurrency"): "4"}))
    config = changed.services[0].scaling
    assert (config.max_scale, config.window_s, config.container_concurrency, config.target) == (7, 10.0, 4, 4.0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("window", "3s", r"f: .*window must be from 6s to 1h, was 3s"),
        ("container-concurrency", "1001", "container-concurrency must be a whole number from 0 to 1000, was '1001'"),
        ("max-scale", "many", "max-scale must be a whole number"),
    ],
)
def test_a_value_that_serving_would_refuse_is_refused_with_its_bounds(name: str, value: str, said: str) -> None:
    base = Base(scenario=scenario([0.0]), annotations={"f": {}})
    with pytest.raises(SettingError, match=said):
        base.apply(Setting(values={("f", name): value}))


def test_values_that_contradict_each_other_are_left_out_and_those_out_of_bounds_are_not() -> None:
    base = Base(scenario=scenario([0.0]), annotations={"f": {}})
    axes = [
        Axis(service="f", name="min-scale", values=("1", "3")),
        Axis(service="f", name="max-scale", values=("2", "4")),
    ]
    assert [each.label for each in base.possible(combinations(axes))] == [
        "min-scale 1, max-scale 2",
        "min-scale 1, max-scale 4",
        "min-scale 3, max-scale 4",
    ]
    with pytest.raises(SettingError, match="max-scale must"):
        base.possible(combinations([axes[0], Axis(service="f", name="max-scale", values=("4", "many"))]))
    with pytest.raises(SettingError, match="must not be below"):
        base.possible([Setting(values={("f", "min-scale"): "3", ("f", "max-scale"): "2"})])


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_a_request_that_was_refused_is_not_done_in_time() -> None:
    made = scenario([0.0] * 20, max_scale=1)
    made = replace(made, services=(replace(made.services[0], max_queued=4),))
    figures = Figures.of(run(made), path_of(made), ONE_SECOND)
    assert figures.refused == 16
    # Four are done, the first after a start of half a second and a quarter of work.
    assert figures.within < 0.25
    assert figures.at_share_s == float("inf")


def test_the_range_of_six_runs_encloses_the_median_with_97_percent() -> None:
    assert confidence(6) == pytest.approx(0.969, abs=0.001)


def test_the_same_seeds_give_the_same_answer() -> None:
    made = scenario(poisson(6, 30), max_scale=4)
    first, again = (answer(AS_IS, made, path=path_of(made), objective=ONE_SECOND, seeds=range(3)) for _ in range(2))
    assert first == again


# --- the search ------------------------------------------------------------------------------------------------------


def searched(values: tuple[str, ...], share: float = 0.95) -> Found:
    made = scenario(poisson(14, 60), duration_s=90)
    base, objective = Base(scenario=made, annotations={"f": {}}), Objective(share=share, within_s=2.0)

    def attempt(setting: Setting) -> Answer:
        return answer(setting, base.apply(setting), path=path_of(made), objective=objective, seeds=[1])

    axes = [Axis(service="f", name="max-scale", values=values)]
    return search(axes, base, attempt=attempt, cost=lambda each: each.spread("pod_seconds").middle)


def test_the_search_finds_a_value_between_those_of_the_grid() -> None:
    # 14 a second of a quarter second each are 3.5 instances: 4 are enough, 3 are not, and neither is in the grid.
    found = searched(("2", "16"))
    assert found.best is not None
    assert found.next_cheaper is not None
    best, below = (int(each.setting.values["f", "max-scale"]) for each in (found.best, found.next_cheaper))
    assert 4 <= best < 9
    assert below < best
    assert not found.next_cheaper.holds
    assert list(found.costs) == sorted(found.costs)


def test_nothing_on_the_frontier_is_beaten() -> None:
    found = searched(("2", "4", "8", "16"))
    costs, times = zip(*found.frontier, strict=True)
    assert list(costs) == sorted(costs)
    assert list(times) == sorted(times, reverse=True)


def test_an_objective_that_nothing_holds_finds_nothing() -> None:
    assert searched(("1", "2")).best is None


# --- advice ----------------------------------------------------------------------------------------------------------


def test_container_concurrency_1_at_70_percent_is_said_to_panic_because_of_the_settings() -> None:
    # 8.4 a second of a quarter second each: three instances at 70 %.
    made = scenario(poisson(8.4, 240), duration_s=260, target_utilization=0.7, window_s=30.0)
    [panic] = [each for each in advise(made, run(made), path_of(made)) if each.about == "panic"]
    assert "the traffic had not grown: the settings do it" in panic.sentence
    assert "The target is 0.7 in flight per instance (1 at 70%)" in panic.sentence
    assert "With containerConcurrency 1 an instance has no room for a second request" in panic.sentence
    assert "Let an instance take several requests" in panic.remedy


def test_a_burst_is_said_to_panic_because_the_traffic_grew() -> None:
    times = [*(place / 2 for place in range(60)), *(30 + place / 40 for place in range(200))]
    made = scenario(times, container_concurrency=2, target=2.0, window_s=20.0)
    [panic] = [each for each in advise(made, run(made), path_of(made)) if each.about == "panic"]
    assert "The traffic itself grew that fast" in panic.sentence


def test_a_limit_that_makes_requests_wait_is_named() -> None:
    made = scenario(poisson(14, 60), max_scale=2)
    [limit] = [each for each in advise(made, run(made), path_of(made)) if each.about == "max-scale"]
    assert "all 2 instances that max-scale allows were wanted and requests still waited" in limit.sentence


def test_a_run_without_trouble_needs_no_advice() -> None:
    made = scenario([place / 3.9 for place in range(200)], min_scale=1, max_scale=1, target_utilization=1.0)
    assert advise(made, run(made), path_of(made)) == []


# --- calibration -----------------------------------------------------------------------------------------------------


def recording_of(made: Scenario, *, later_s: float = 0.0, more: int = 0) -> Recording:
    """Record a simulation as if it had been real, with a difference."""
    result = run(made)
    series, latencies = result.services["f"].series, result.latencies["service f"]
    pairs = sorted(zip(latencies.arrived_s, latencies.seconds, strict=True))
    return Recording(
        name="made",
        service="f",
        arrivals_s=[at for at, _ in pairs],
        took_s=[took + later_s for _, took in pairs],
        ticks=[(at, ready + more, ready) for at, ready in zip(series.times_s, series.ready, strict=True)],
        starts=[],
    )


def test_a_run_that_is_its_own_simulation_has_no_error() -> None:
    made = scenario(poisson(6, 30), max_scale=4)
    found = calibrate(recording_of(made), run(made), path_of(made))
    assert found.is_within
    assert {tick.difference for tick in found.ticks} == {0}
    assert [each.difference_s for each in found.percentiles] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize(("later_s", "more", "is_within"), [(0.05, 1, True), (0.05, 2, False), (0.4, 0, False)])
def test_a_difference_beyond_the_tolerance_is_one(later_s: float, more: int, is_within: bool) -> None:
    made = scenario(poisson(6, 30), max_scale=4)
    assert calibrate(recording_of(made, later_s=later_s, more=more), run(made), path_of(made)).is_within is is_within
