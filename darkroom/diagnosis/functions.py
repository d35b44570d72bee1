"""Functions: a crash loop with its exception, no way to start one, no room for more instances, none that is ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.diagnosis.finding import Finding
from darkroom.diagnosis.words import acting, counted

CRASH_LOOP_FAILURES = 2
"""One death may be a kill; the next instance shows whether it is more."""
RECENT_S = 60.0


def function_findings(status: Mapping[str, Any], now: float) -> Iterator[Finding]:
    for row in status.get("functions", []):
        if row.get("not_run"):
            yield _not_run(row)
        elif is_in_crash_loop(row, now):
            yield _crash_loop(row)
        elif row.get("refused"):
            yield _not_replaced(row)
        elif row.get("capped"):
            yield _capped(row)
        elif row.get("unready") and not row.get("ready"):
            yield _unready(row)


def is_in_crash_loop(row: Mapping[str, Any], now: float) -> bool:
    """Report whether a function's instances fail one after the other, until one stays up or the code changes."""
    failing = row.get("failing")
    if not failing or int(failing.get("failures", 0)) < CRASH_LOOP_FAILURES:
        return False
    return bool(failing.get("failed_starts")) or now - float(failing.get("last_at", now)) < RECENT_S


def does_not_start(row: Mapping[str, Any]) -> str:
    """Say that a function does not start, how often it was tried, and the exception."""
    failing = row["failing"]
    return f"{row.get('service')} does not start ({failing.get('failures')} times): {failing.get('reason')}"


def _crash_loop(row: Mapping[str, Any]) -> Finding:
    serves = row.get("ready", 0)
    harm = f"{acting(serves, 'instance', 'serve')} on." if serves else "What is sent to it waits or fails."
    return Finding(
        code="function.crash_loop",
        severity="delay" if serves else "stop",
        subject=f"function {row['service']}",
        sentence=f"{does_not_start(row)}. {harm}",
        remedy=_crash_remedy(str(row["failing"].get("reason", ""))),
        since=row["failing"].get("since"),
    )


def _not_replaced(row: Mapping[str, Any]) -> Finding:
    refused = row["refused"]
    return Finding(
        code="function.not_replaced",
        severity="delay",
        subject=f"function {row['service']}",
        sentence=(
            f"what was changed in {row['service']} does not start: {refused['reason']}. {row['revision']}, from before "
            "the change, serves on."
        ),
        remedy=_crash_remedy(str(refused["reason"])),
        since=refused["at"],
    )


def _crash_remedy(reason: str) -> str:
    again = "`darkroom up` starts it again when its code is saved, and tries again by itself too."
    if "ModuleNotFoundError" in reason or "ImportError" in reason or "Cannot find module" in reason:
        return f"Correct the import, or install what it names where the function runs. {again}"
    if "SyntaxError" in reason or "IndentationError" in reason:
        return f"Correct the line that it names. {again}"
    return f"Mend what the exception names: the function's code, or a setting that it misses. {again}"


def _not_run(row: Mapping[str, Any]) -> Finding:
    return Finding(
        code="function.not_run",
        severity="stop",
        subject=f"function {row['service']}",
        sentence=f"{row['not_run']}. What is sent to it fails.",
        remedy='Say in darkroom.toml how its image runs here, in a table [images."NAME"] with `path` or `command`.',
    )


def _capped(row: Mapping[str, Any]) -> Finding:
    running, limit = int(row.get("ready", 0)) + int(row.get("unready", 0)), row.get("limit")
    of_limit = "" if limit is None else f": this machine's limit of {limit} processes is reached"
    return Finding(
        code="function.capped",
        severity="delay",
        subject=f"function {row['service']}",
        sentence=(
            f"the autoscaler wants {counted(int(row.get('wanted', 0)), 'instance')} of {row['service']}, and {running} "
            f"run{of_limit}. {acting(int(row.get('waiting', 0)), 'request', 'wait')}."
        ),
        remedy="Start `darkroom up` with a larger --max-instances, if this machine has cores to spare; else it takes "
        "longer.",
        link="/autoscaler",
    )


def _unready(row: Mapping[str, Any]) -> Finding:
    because = row.get("unready_because")
    return Finding(
        code="function.unready",
        severity="stop",
        subject=f"function {row['service']}",
        sentence=(
            f"{row['service']} runs ({counted(int(row['unready']), 'instance')}), and none is ready"
            + (f": {because}" if because else "")
            + ". What is sent to it waits."
        ),
        remedy="Mend what its readinessProbe asks for; the answer of the probe names it.",
    )
