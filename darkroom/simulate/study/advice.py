"""What a run shows about its settings, in sentences: why it panics, what waits, what is paid for nothing.

The reasons of single decisions come from the autoscaler itself (`autoscaler.reasons`). These are about the whole run, for
somebody who looks at the chart and asks what to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from statistics import fmean

from darkroom.local.revisions.autoscaler.kpa import target_value
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate.model import Scenario
from darkroom.simulate.result import Result, ServiceResult
from darkroom.simulate.study.outcome import Path

_OFTEN = 0.02
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
        *_panics(service, config),
        *_cold(service, config, path),
        *_idle(service, config),
    ]


def _share(flags: list[bool]) -> float:
    return fmean(flags) if flags else 0.0


# --- panic -----------------------------------------------------------------------------------------------------------


def _panics(service: ServiceResult, config: ScalingConfig) -> Iterator[Advice]:
    series = service.series
    share = _share(list(series.panicking))
    begins = sum(1 for before, now in zip(series.panicking, series.panicking[1:], strict=False) if now and not before)
    if share < _OFTEN:
        return
    ready = [count for count, panicking in zip(series.ready, series.panicking, strict=True) if panicking]
    pods = max(1, round(fmean(ready))) if ready else 1
    yield Advice(
        about="panic",
        sentence=(
            f"It is in panic mode for {share:.0%} of the time ({begins + bool(series.panicking[0])} times). "
            f"{_why_panic(config, pods)} In panic mode nothing is scaled down, so each such moment costs instances for "
            f"{config.window_s:g} s and more."
        ),
        remedy=_panic_remedy(config),
    )


def _why_panic(config: ScalingConfig, pods: int) -> str:
    """Explain how few requests reach the threshold with these settings, on this many instances."""
    target = target_value(config)
    threshold = config.panic_threshold_percentage / 100
    enough = next(n for n in range(1, 10**6) if ceil(n / target) >= threshold * pods)
    window_s = max(1.0, config.window_s * config.panic_window_percentage / 100)
    room = pods * config.container_concurrency
    reach = (
        f"A target of {target:g} in flight per instance ({config.target:g} at {config.target_utilization:.0%}) makes "
        f"{_count(enough, 'request')} in flight, averaged over a panic window of {window_s:g} s, need "
        f"{_count(ceil(enough / target), 'instance')}: {config.panic_threshold_percentage:g} % of the {pods} that are "
        "ready, which is where panic begins."
    )
    if config.container_concurrency == 1:
        return (
            f"{reach} With containerConcurrency 1 an instance has no room for a second request, so the normal ups and "
            f"downs of the traffic become a queue: {enough} in flight are only {max(0, enough - room)} more than the "
            f"{pods} can take, and each one that waits counts like a whole instance divided by {target:g}."
        )
    return reach


def _panic_remedy(config: ScalingConfig) -> str:
    if 0 < config.container_concurrency <= 2:
        return (
            "Let an instance take several requests (containerConcurrency, and as many workers), so that their ups and "
            "downs cancel out; or keep instances for the peaks with min-scale. A higher panic-threshold-percentage only "
            "hides it: the queue stays."
        )
    return "Keep instances for the peaks with min-scale, or lengthen the window over which panic-window-percentage is taken."


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
                f"The Broker gives the function at most {flow.consumer.max_ack_pending} events at once, and {config.max_scale} "
                f"instances could take {most}; up to {backlog:,} waited in the stream meanwhile. The autoscaler sees only "
                "what is in flight, so it never wants the rest."
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
