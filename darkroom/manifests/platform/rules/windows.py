"""The window of jobs that the application hands to the Broker, compared with what the Broker delivers at once."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.platform.bundle import Bundle, Manifest, whole
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.timing import GOOD as GOOD_TIMING
from darkroom.manifests.platform.rules.timing import Path, paths
from darkroom.manifests.platform.rules.workers import shared_settings
from darkroom.manifests.platform.severity import Severity

_VARIABLE = "BROKER_WINDOW"
_WINDOW = '[{name: JOB_TIMEOUT, value: 30s}, {name: BROKER_WINDOW, value: "40"}]'

GOOD = GOOD_TIMING.replace("[{name: JOB_TIMEOUT, value: 30s}]", _WINDOW)


@rule(
    "broker-window-low",
    Severity.WARNING,
    "fewer jobs are handed to the Broker than it delivers at once, or than the function processes",
    on_the_cluster="The autoscaler sees no more than the window: instances that max-scale allows are never wanted, and "
    "those that run wait between one job and the next.",
    fix="Set BROKER_WINDOW to the consumer's maxAckPending.",
    bad=GOOD.replace('value: "40"', 'value: "8"'),
    good=GOOD,
)
def broker_window_low(bundle: Bundle) -> Iterator[RuleViolation]:
    for path, window in _windows(bundle):
        wanted = max(path.max_ack_pending if path.channel is not None else 0, path.capacity or 0)
        if window < wanted:
            yield _violation(path, window)


@rule(
    "broker-window-high",
    Severity.WARNING,
    "more jobs are handed to the Broker than it delivers at once",
    on_the_cluster="What is with the Broker is served in the order in which it came: the jobs above maxAckPending wait "
    "in the stream, and one key's jobs there delay every other key's.",
    fix="Set BROKER_WINDOW to the consumer's maxAckPending.",
    bad=GOOD.replace('value: "40"', 'value: "400"'),
    good=GOOD,
)
def broker_window_high(bundle: Bundle) -> Iterator[RuleViolation]:
    for path, window in _windows(bundle):
        if path.channel is not None and window > max(path.max_ack_pending, path.capacity or 0):
            yield _violation(path, window)


def _windows(bundle: Bundle) -> Iterator[tuple[Path, int]]:
    """Yield every Trigger whose function has a window, once per function."""
    seen = set()
    for path in paths(bundle):
        window = _window(bundle, path.function)
        if window is not None and path.function.name not in seen:
            seen.add(path.function.name)
            yield path, window


def _window(bundle: Bundle, function: Manifest) -> int | None:
    own = function.variable(_VARIABLE)
    if own is not None:
        return whole(own)
    return next((whole(shared) for shared in shared_settings(bundle, function, _VARIABLE)), None)


def _violation(path: Path, window: int) -> RuleViolation:
    function = path.function
    message = f"{_VARIABLE} of {function.name} is {window}, maxAckPending {path.max_ack_pending}"
    if path.capacity is not None:
        message += f"; it processes {path.capacity} at once"
    return function, ("spec", "template", "spec", "containers"), message
