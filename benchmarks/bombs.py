"""What small files that are made to cost much cost: the CPU time until they are refused or rendered.

    python -m benchmarks.bombs [--times 10,100,1000]

Frames: a WebP of that many hundred frames of one pixel, all asked for, and as a still. Text: a PNG with that many
chunks of compressed text of 7 MB. Scans: a grey progressive JPEG of 49 megapixels with that many empty scans.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from darkroom.contract.errors import DarkroomError
from darkroom.contract.limits import MEBIBYTE, Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import probe, render
from tests.unit.imaging import handmade

FRAMES_PER_TIME = 100
ALL = parse_parameters(ResizeParameters, {"width": 10, "animation": "all"})
STILL = parse_parameters(ResizeParameters, {"width": 10})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bombs", description=__doc__)
    parser.add_argument("--times", default="10,100,1000", help="how many times each bomb is what it is")
    times = [int(number) for number in parser.parse_args().times.split(",")]
    # The first picture of a process starts libvips.
    render(handmade.saved(handmade.picture(), "PNG"), STILL, Limits())
    print("| bomb | times | MiB | probe ms | render ms | outcome |")
    print("|---|---|---|---|---|---|")
    for line in _lines(times):
        print(line)


def _lines(times: list[int]) -> Iterator[str]:
    for number in times:
        frames, text, scans = (
            handmade.frame_bomb(number * FRAMES_PER_TIME),
            handmade.text_bomb(number),
            handmade.scan_bomb(number),
        )
        yield _line("frames, all asked for", number, frames, ALL)
        yield _line("frames, a still", number, frames, STILL)
        yield _line("text", number, text, STILL)
        yield _line("scans", number, scans, STILL)


def _line(name: str, times: int, body: bytes, asked: OutputParameters) -> str:
    probe_ms, _ = _measured(lambda: probe(body, Limits(), all_frames=asked is ALL))
    render_ms, outcome = _measured(lambda: render(body, asked, Limits()))
    return f"| {name} | {times} | {len(body) / MEBIBYTE:.2f} | {probe_ms:.1f} | {render_ms:.1f} | {outcome} |"


def _measured(work: Callable[[], object]) -> tuple[float, str]:
    began_s = time.process_time()
    try:
        work()
        outcome = "done"
    except DarkroomError as exc:
        outcome = exc.code
    return (time.process_time() - began_s) * 1000, outcome


if __name__ == "__main__":
    main()
