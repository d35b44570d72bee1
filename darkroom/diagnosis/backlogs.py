"""Backlogs: one that makes no progress, and one that grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.diagnosis.finding import Finding
from darkroom.diagnosis.servers import is_up
from darkroom.diagnosis.triggers import KINDS
from darkroom.diagnosis.words import acting, counted, lasted

STUCK_AFTER_S = 30.0
"""Or as long as a delivery may take, where that is longer."""
GROWTH_SEEN_OVER_S = 20.0
KEPT_S = 60.0
"""How far back growth is looked for."""
_LEAST_GROWING = 100


@dataclass(frozen=True, kw_only=True)
class Backlogs:
    """The backlogs as they were at one time, by kind and name."""

    at: float
    waiting: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, status: Mapping[str, Any], now: float) -> Backlogs:
        waiting = {
            (kind, row[kind]): row["backlog"]
            for kind in KINDS
            for row in status.get(f"{kind}s", [])
            if row.get("backlog") is not None
        }
        return cls(at=now, waiting=waiting)


def backlog_findings(status: Mapping[str, Any], now: float, earlier: Sequence[Backlogs] = ()) -> Iterator[Finding]:
    if not is_up(status, "nats"):
        return
    for kind in KINDS:
        for row in status.get(f"{kind}s", []):
            if is_stuck(row, now):
                yield _stuck(kind, row, now)
            elif (before := _before_growth(kind, row, now, earlier)) is not None:
                yield _grows(kind, row, before, now)


def is_stuck(row: Mapping[str, Any], now: float) -> bool:
    patience_s = max(STUCK_AFTER_S, float(row.get("timeout_s") or 0.0))
    return bool(row.get("backlog")) and now - float(row.get("progressed_at") or now) > patience_s


def _before_growth(
    kind: str, row: Mapping[str, Any], now: float, earlier: Sequence[Backlogs]
) -> tuple[float, int] | None:
    """Return when the backlog was half of what it is, and how much that was; None if it does not grow."""
    key, backlog = (kind, row[kind]), row.get("backlog") or 0
    seen = [(one.at, one.waiting[key]) for one in earlier if key in one.waiting and now - one.at <= KEPT_S]
    if not seen or now - seen[0][0] < GROWTH_SEEN_OVER_S or backlog < max(_LEAST_GROWING, 2 * seen[0][1]):
        return None
    counts = [count for _, count in seen]
    return seen[0] if counts == sorted(counts) and backlog > counts[-1] else None


def _stuck(kind: str, row: Mapping[str, Any], now: float) -> Finding:
    under_way, receiver = int(row.get("in_flight") or 0), row.get("service") or row.get("subscriber")
    doing = (
        f"{receiver} has {counted(under_way, 'event')} and does not answer."
        if under_way
        else "Nothing is under way; each waits for its next try."
    )
    return Finding(
        code="backlog.stuck",
        severity="delay",
        subject=f"{kind} {row[kind]}",
        sentence=(
            f"{acting(row['backlog'], 'event', 'wait')} for {kind.capitalize()} {row[kind]}, and none has ended for "
            f"{lasted(now - row['progressed_at'])}. {doing}"
        ),
        remedy=f"Look at what {receiver} does in its log; a request that hangs is cut off after delivery.timeout.",
        since=row["progressed_at"],
    )


def _grows(kind: str, row: Mapping[str, Any], before: tuple[float, int], now: float) -> Finding:
    at, count = before
    receiver = row.get("service") or row.get("subscriber")
    return Finding(
        code="backlog.grows",
        severity="delay",
        subject=f"{kind} {row[kind]}",
        sentence=(
            f"the backlog of {kind.capitalize()} {row[kind]} grows: {row['backlog']} events wait, "
            f"{row['backlog'] - count} more than {lasted(now - at)} ago. More comes than {receiver} ends."
        ),
        remedy=f"Give {receiver} a larger max-scale, with maxAckPending about twice what it can then process; or send "
        "less.",
        since=at,
    )
