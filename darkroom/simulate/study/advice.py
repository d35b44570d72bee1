"""What a run shows about its settings, in sentences: why it panics, what waits, what is paid for nothing.

The reasons of single decisions come from the autoscaler itself (`autoscaler.reasons`). These are about the whole run,
for somebody who looks at the chart and asks what to change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import fmean

from darkroom.local.revisions.autoscaler.kpa import TICK_S, target_value
from darkroom.local.revisions.autoscaler.reasons import Code
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate.model import Scenario
from darkroom.simulate.result import Bend, Result, ServiceResult
from darkroom.simulate.study.outcome import Path

_OFTEN = 0.02
_GROWN = 1.8
_MUCH_IDLE = 0.5
_A_PART = 0.05


@dataclass(frozen=True, kw_only=True)
class Advice:
    about: str
    """What it is about, in a word or two, for a heading."""
    sentence: str
    remedy: str


def advise(scenario: Scenario, result: Result, path: Path) -> list[Advice]:
    """Return what is worth saying, the most harmful first."""
    service, config = result.services[path.service], scenario.service(path.service).scaling
    return [
        *_throttled(scenario, result, path),
        *_capped(service, config),
        *_panics(scenario, service, config),
        *_cold(service, config, path),
        *_idle(service, config),
    ]


def _share(flags: list[bool]) -> float:
    return fmean(flags) if flags else 0.0


# --- panic -----------------------------------------------------------------------------------------------------------


def _panics(scenario: Scenario, service: ServiceResult, config: ScalingConfig) -> Iterator[Advice]:
    share = _share(list(service.series.panicking))
    if share < _OFTEN:
        return
    begins = [bend for bend in service.bends if bend.reason.code is Code.PANIC_BEGINS]
    unprovoked = [bend for bend in begins if not _grew(scenario.arrivals[0].times_s, bend.at_s, config)]
    often = f"It is in panic mode for {share:.0%} of the time."
    cost = f"In panic mode nothing is scaled down, until {config.window_s:g} s after the threshold was last reached."
    if not unprovoked:
        yield Advice(
            about="panic",
            sentence=f"{often} The traffic itself grew that fast, which is what panic mode is for. {cost}",
            remedy="If such bursts are usual, min-scale has instances ready before they come.",
        )
        return
    why = _why_panic(config, unprovoked[0])
    times = f"In {len(unprovoked)} of {len(begins)} cases" if len(begins) > 1 else "When it began,"
    yield Advice(
        about="panic",
        sentence=f"{often} {times} the traffic had not grown: the settings do it. {why} {cost}",
        remedy=_panic_remedy(config),
    )


def _grew(times_s: Sequence[float], at_s: float, config: ScalingConfig) -> bool:
    """Return whether far more came in the panic window before a moment than in the stable window before that."""
    panic_s = max(1.0, config.window_s * config.panic_window_percentage / 100) + TICK_S
    recent = bisect_left(times_s, at_s) - bisect_left(times_s, at_s - panic_s)
    before_s = min(config.window_s, at_s - panic_s)
    before = bisect_left(times_s, at_s - panic_s) - bisect_left(times_s, at_s - panic_s - config.window_s)
    if before_s <= 0 or not before:
        return True
    # Twice as many, and more than chance: three standard deviations of a Poisson count.
    usual = before / before_s * panic_s
    return recent > _GROWN * usual and recent > usual + 3 * sqrt(usual)


def _why_panic(config: ScalingConfig, bend: Bend) -> str:
    """Explain how few requests reach the threshold with these settings, by the moment at which they did."""
    numbers, target = bend.reason.numbers, target_value(config)
    pods = max(1, round(numbers["ready"]))
    threshold = config.panic_threshold_percentage / 100
    enough = next(n for n in range(1, 10**6) if ceil(n / target) >= threshold * pods)
    window_s = max(1.0, config.window_s * config.panic_window_percentage / 100)
    ready = f"{_count(pods, 'instance')} {'was' if pods == 1 else 'were'} ready"
    reach = (
        f"At {bend.at_s:.0f} s, {ready}. The target is {target:g} in flight per instance ({config.target:g} at "
        f"{config.target_utilization:.0%}), so {_count(enough, 'request')} in flight, on average over a panic window "
        f"of {window_s:g} s, want {_count(ceil(enough / target), 'instance')}: {config.panic_threshold_percentage:g} % "
        f"of what is ready, where panic begins. There were {numbers['panic']:.1f}."
    )
    if config.container_concurrency != 1:
        return reach
    return (
        f"{reach} With containerConcurrency 1 an instance has no room for a second request: whenever two come close "
        f"together one of them waits, and what waits counts as in flight. Of {enough} requests, {pods} "
        f"can be worked on and the others only wait for a moment, yet each asks for 1/{target:g} of an instance."
    )


def _panic_remedy(config: ScalingConfig) -> str:
    if 0 < config.container_concurrency <= 2:
        return (
            "Let an instance take several requests (containerConcurrency, and as many workers), so that their ups and "
            "downs cancel out; or keep instances for the peaks with min-scale. A higher panic-threshold-percentage "
            "only hides it: the queue stays."
        )
    return "Keep instances for the peaks with min-scale, or lengthen the panic window (panic-window-percentage)."


# --- too little, too much --------------------------------------------------------------------------------------------


def _throttled(scenario: Scenario, result: Result, path: Path) -> Iterator[Advice]:
    flow = next((each for each in scenario.flows if path.name == f"trigger {each.name}"), None)
    if flow is None or flow.service is None:
        return
    config = scenario.service(flow.service).scaling
    backlog = result.flows[flow.name].longest_backlog
    most = config.max_scale * config.container_concurrency
    if backlog and most and flow.consumer.max_ack_pending < most:
        yield Advice(
            about="maxAckPending",
            sentence=(
                f"The Broker gives the function at most {flow.consumer.max_ack_pending} events at once, and "
                f"{config.max_scale} instances could take {most}; up to {backlog:,} waited in the stream meanwhile. "
                "The autoscaler sees only what is in flight, so it never wants the rest."
            ),
            remedy=f"Set maxAckPending to {2 * most}: twice what the function takes at max-scale.",
        )


def _capped(service: ServiceResult, config: ScalingConfig) -> Iterator[Advice]:
    if not config.max_scale:
        return
    series = service.series
    at_limit = [w >= config.max_scale and q > 0 for w, q in zip(series.wanted, series.queue, strict=True)]
    share = _share(at_limit)
    if share >= _OFTEN:
        yield Advice(
            about="max-scale",
            sentence=(
                f"For {share:.0%} of the time all {config.max_scale} instances that max-scale allows were wanted and "
                f"requests still waited, up to {service.longest_queue:,} at once."
            ),
            remedy="Raise max-scale, or make the function faster; nothing else shortens this queue.",
        )


def _cold(service: ServiceResult, config: ScalingConfig, path: Path) -> Iterator[Advice]:
    share = service.cold_requests / path.offered if path.offered else 0.0
    if share >= _A_PART:
        keep = "min-scale" if not config.min_scale else "a larger min-scale"
        yield Advice(
            about="cold starts",
            sentence=(
                f"{service.cold_requests:,} requests ({share:.0%}) waited for an instance to start; "
                f"{_count(service.starts, 'start')} in all."
            ),
            remedy=f"Use {keep}, a longer window, or scale-to-zero-pod-retention-period, if that is too many.",
        )


def _idle(service: ServiceResult, config: ScalingConfig) -> Iterator[Advice]:
    if not service.pod_seconds or not config.container_concurrency:
        return
    used = service.busy_seconds / (service.pod_seconds * config.container_concurrency)
    if used < 1 - _MUCH_IDLE:
        yield Advice(
            about="idle instances",
            sentence=(
                f"{1 - used:.0%} of the paid capacity is idle: {service.pod_seconds:,.0f} pod seconds with room for "
                f"{config.container_concurrency} each did {service.busy_seconds:,.0f} seconds of work."
            ),
            remedy="A shorter window gives instances back sooner; a higher target-utilization-percentage wants fewer.",
        )


def _count(number: float, what: str) -> str:
    return f"{number:,g} {what}" if number == 1 else f"{number:,g} {what}s"
