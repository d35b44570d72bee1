"""The findings of `GET /why`, as the pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkroom.console.runtime import Runtime

Finding = Mapping[str, Any]

HARM = {
    "loss": ("Loses events", "What is lost does not come back."),
    "stop": ("Stands still", "Nothing is lost, and nothing moves until this is mended."),
    "delay": ("Is slow", "Everything gets done, later than it could."),
    "risk": ("At risk", "Works now, and will not under load or after the next fault."),
}
"""What each severity means, in order of harm."""


async def findings(runtime: Runtime) -> Sequence[Finding]:
    """Return what is wrong now, in order of harm. Raises as `Runtime.get`."""
    document = await runtime.get("/why")
    found: list[Finding] = document["findings"]
    return found


def about(found: Sequence[Finding], kinds: Sequence[str], namespace: str, name: str) -> Sequence[Finding]:
    """Return the findings whose subject is this resource, such as `trigger darkroom/resize`."""
    subjects = {f"{kind} {where}" for kind in kinds for where in (f"{namespace}/{name}", name)}
    return [finding for finding in found if finding["subject"].lower() in {subject.lower() for subject in subjects}]
