"""Makes renditions of a large picture in a process of its own, and prints the most memory that took and the plan's
estimate, in bytes.

Usage: python -m tests.unit.imaging.renditions_memory CASE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from darkroom.contract.parameters.values import Format
from darkroom.imaging import RenditionRequest, probe, render_all, renditions_cost
from tests import pictures
from tests.unit.imaging.rendition_requests import LIMITS, crop, five, resize

SIZE = (4000, 3000)


def asked(case: str) -> list[RenditionRequest]:
    if case.startswith("held"):
        return [resize(f"w{side}", width=side, height=side, fit="cover", format="jpeg") for side in (990, 980, 970)]
    if case.startswith("large-part"):
        return [crop("part", x=0, y=0, width=3000, height=3000), *five()]
    return five()


def picture(case: str) -> bytes:
    format = Format.PNG if case.endswith("png") else Format.JPEG
    return pictures.encoded(pictures.plain(*SIZE), format, interlace=case.startswith("progressive"))


def status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def main() -> None:
    case = sys.argv[1]
    body = picture(case)
    facts, requests = probe(body, LIMITS, all_frames=False), asked(case)
    idle = status_bytes("VmRSS")
    # Making the picture has had its own peak.
    Path("/proc/self/clear_refs").write_text("5")
    for _, made in render_all(body, facts, requests, LIMITS):
        if isinstance(made, Exception):
            raise made
    measured = status_bytes("VmHWM") - idle
    print(json.dumps([measured, renditions_cost(facts, requests).memory_bytes]))  # noqa: T201 the result, for the test


if __name__ == "__main__":
    main()
