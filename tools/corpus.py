"""`python -m tools.corpus FOLDER... [--fuzz N] [--seed S]`: probes and renders every picture of the folders, and with
`--fuzz` as many damaged ones, and reports what came of it. Exits with 1 after a crash, a hang or an unclean error.

Each picture is worked on in a process that may crash or hang. A picture is "clean" if it was rendered or refused with
a code for the caller's fault.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import MEBIBYTE, Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import StreamProbe, render
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import Image, library, save

CHUNK_BYTES = 64 * 1024
LONGEST_S = 30.0
REQUESTS = (
    parse_parameters(ResizeParameters, {"width": 64, "format": "jpeg"}),
    parse_parameters(ResizeParameters, {"width": 64, "animation": "all", "format": "webp", "metadata": "all"}),
    parse_parameters(ResizeParameters, {"width": 64, "height": 64, "fit": "cover", "gravity": "attention"}),
)
# Below this size the fixed costs of a probe hide what a byte costs.
_LEAST_MEASURED_BYTES = MEBIBYTE // 4


@dataclass(frozen=True, kw_only=True)
class Verdict:
    outcome: str
    """`rendered`, the code of a clean error, or the name of an exception that is none of ours."""
    is_clean: bool
    probe_cpu_s: float = 0.0
    probe_memory_bytes: int = 0
    """The most memory that the probe held beyond the chunk in hand."""
    peak_memory_bytes: int = 0
    """The most that the process has held so far, its libraries included."""


@dataclass
class Summary:
    outcomes: Counter[str] = field(default_factory=Counter)
    unclean: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    """Milliseconds of CPU time per MiB, and the picture."""
    longest: tuple[float, str] = (0.0, "")
    """Milliseconds of CPU time, and the picture."""
    probe_memory: tuple[int, str] = (0, "")
    peak_memory_bytes: int = 0

    def add(self, name: str, size: int, verdict: Verdict) -> None:
        self.outcomes[verdict.outcome] += 1
        if not verdict.is_clean:
            self.unclean.append(f"{name}: {verdict.outcome}")
        cpu_ms = verdict.probe_cpu_s * 1000
        self.longest = max(self.longest, (cpu_ms, name))
        self.slowest = max(self.slowest, (cpu_ms / max(size, _LEAST_MEASURED_BYTES) * MEBIBYTE, name))
        self.probe_memory = max(self.probe_memory, (verdict.probe_memory_bytes, name))
        self.peak_memory_bytes = max(self.peak_memory_bytes, verdict.peak_memory_bytes)

    def lines(self) -> Iterator[str]:
        yield f"pictures: {sum(self.outcomes.values())}"
        for outcome, count in self.outcomes.most_common():
            yield f"  {outcome}: {count}"
        yield f"crashes, hangs and unclean errors: {len(self.unclean)}"
        yield from (f"  {line}" for line in self.unclean[:50])
        yield f"longest probe: {self.longest[0]:.1f} ms of CPU time ({self.longest[1]})"
        yield f"longest probe per MiB: {self.slowest[0]:.1f} ms of CPU time ({self.slowest[1]})"
        yield f"most memory of a probe: {self.probe_memory[0] / MEBIBYTE:.1f} MiB ({self.probe_memory[1]})"
        yield f"most memory of a process that probes and renders: {self.peak_memory_bytes / MEBIBYTE:.0f} MiB"


class Examiner:
    """A process that probes and renders pictures, replaced by a new one when it crashes or hangs."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(target=_examine, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def examine(self, body: bytes, index: int) -> Verdict:
        try:
            self._connection.send((body, index))
            if self._connection.poll(LONGEST_S):
                verdict: Verdict = self._connection.recv()
                return verdict
            outcome = f"hang (over {LONGEST_S:g} s)"
        except (EOFError, ConnectionError):
            self._process.join()
            outcome = f"crash (exit code {self._process.exitcode})"
        self.close()
        self._start()
        return Verdict(outcome=outcome, is_clean=False)

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _examine(connection: Connection[Any, Any]) -> None:
    while True:
        try:
            body, index = connection.recv()
        except EOFError:
            return
        connection.send(_verdict(body, index))


def _verdict(body: bytes, index: int) -> Verdict:
    # The shorter of two: the collector of garbage may run in one.
    probe_cpu_s = min(_probe_cpu_s(body) for _ in range(2))
    tracemalloc.start()
    _probe(body)
    probe_memory_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    outcome, is_clean = "rendered", True
    try:
        render(body, REQUESTS[index % len(REQUESTS)], Limits())
    except (PictureError, RejectedError) as exc:
        outcome = exc.code
    except Exception as exc:
        outcome, is_clean = f"{type(exc).__name__}: {exc}"[:300], False
    return Verdict(
        outcome=outcome,
        is_clean=is_clean,
        probe_cpu_s=probe_cpu_s,
        probe_memory_bytes=probe_memory_bytes,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _probe_cpu_s(body: bytes) -> float:
    began_s = time.process_time()
    _probe(body)
    return time.process_time() - began_s


def _probe(body: bytes) -> None:
    """Probe as ingest does, chunk by chunk."""
    stream = StreamProbe(Limits(), all_frames=False)
    try:
        for start in range(0, len(body), CHUNK_BYTES):
            stream.feed(body[start : start + CHUNK_BYTES])
        stream.finish()
    except (PictureError, RejectedError):
        # `render` raises it again, and it is counted there.
        return


# --- damaged pictures ------------------------------------------------------------------------------------------------


def fuzzed(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Make damaged pictures in all formats; equal arguments make equal ones."""
    random = Random(seed)  # noqa: S311 pictures, not secrets
    originals = sorted(_originals().items())
    for index in range(count):
        name, body = originals[index % len(originals)]
        yield f"{name} #{index}", damaged(body, random)


def damaged(body: bytes, random: Random) -> bytes:
    """Damage a body in one to four ways."""
    changed = bytearray(body)
    for _ in range(random.randint(1, 4)):
        random.choice(_DAMAGES)(changed, random)
    return bytes(changed)


def _place(body: bytearray, random: Random) -> int:
    """Choose an offset, more often where the headers are."""
    reach = min(len(body), random.choice((64, 512, len(body))))
    return random.randrange(reach) if reach else 0


def _flip(body: bytearray, random: Random) -> None:
    for _ in range(random.randint(1, 8)):
        if body:
            body[_place(body, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _cut(body: bytearray, random: Random) -> None:
    del body[random.randrange(len(body) + 1) :]


def _repeat(body: bytearray, random: Random) -> None:
    start = _place(body, random)
    part = bytes(body[start : start + random.choice((1, 8, 64, 1024))])
    body[start:start] = part * random.choice((1, 2, 100))


def _remove(body: bytearray, random: Random) -> None:
    start = _place(body, random)
    del body[start : start + random.choice((1, 4, 16, 256))]


def _move(body: bytearray, random: Random) -> None:
    start, place = _place(body, random), _place(body, random)
    part = bytes(body[start : start + random.choice((4, 12, 100))])
    body[place:place] = part


def _number(body: bytearray, random: Random) -> None:
    """Overwrite a field of two, four or eight bytes by an extreme number."""
    size = random.choice((2, 4, 8))
    number = random.choice((0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**64 - 1))
    place = _place(body, random)
    body[place : place + size] = (number % 256**size).to_bytes(size, random.choice(("big", "little")))


def _append(body: bytearray, random: Random) -> None:
    body += random.randbytes(random.choice((1, 16, 1000)))


_DAMAGES = (_flip, _flip, _number, _number, _cut, _repeat, _remove, _move, _append)


@cache
def _originals() -> dict[str, bytes]:
    small = photograph(120, 90)
    bodies: dict[str, bytes] = {}
    for format in (Format.JPEG, Format.PNG, Format.WEBP, Format.GIF, Format.AVIF):
        options = {"compression": "av1", "effort": 0} if format is Format.AVIF else {}
        for name, image in _variants(small, format).items():
            bodies[f"{format} {name}"] = save(format, image, keep="all", **options)
        if format in (Format.JPEG, Format.PNG, Format.GIF):
            bodies[f"{format} progressive"] = save(format, small, interlace=True)
    bodies["webp lossless"] = save(Format.WEBP, small, lossless=True)
    bodies["png palette"] = save(Format.PNG, small, palette=True)
    bodies["png 16 bits"] = save(Format.PNG, small.colourspace("rgb16"), bitdepth=16)
    bodies["avif 10 bits"] = save(Format.AVIF, small.colourspace("rgb16"), compression="av1", bitdepth=10, effort=0)
    return bodies


def _variants(small: Image, format: Format) -> dict[str, Image]:
    pyvips = library()
    tagged = small.copy()
    tagged.set_type(pyvips.GValue.gint_type, "orientation", 6)
    tagged.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    variants = {"plain": small, "grey": small.colourspace("b-w"), "tagged": tagged}
    variants["profile"] = small.icc_transform("p3", input_profile="srgb")
    if format is not Format.JPEG:
        variants["alpha"] = small.bandjoin(small.extract_band(1))
    if format in (Format.GIF, Format.WEBP):
        strip = pyvips.Image.arrayjoin([small, small.fliphor(), small.flipver()], across=1).copy()
        strip.set_type(pyvips.GValue.gint_type, "page-height", small.height)
        strip.set_type(pyvips.GValue.array_int_type, "delay", [40, 80, 120])
        variants["animated"] = strip
    return variants


# --- the command -----------------------------------------------------------------------------------------------------


def _files(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and path.stat().st_size <= Limits().max_input_bytes:
                yield str(path), path.read_bytes()


def examine_all(pictures: Iterator[tuple[str, bytes]]) -> Summary:
    summary, examiner = Summary(), Examiner()
    try:
        for index, (name, body) in enumerate(pictures):
            summary.add(name, len(body), examiner.examine(body, index))
    finally:
        examiner.close()
    return summary


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.corpus", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="folders of pictures, or pictures")
    parser.add_argument("--fuzz", type=int, default=0, metavar="N", help="also make N damaged pictures")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="draw the damage from this seed (default 1)")
    options = parser.parse_args(arguments)

    def pictures() -> Iterator[tuple[str, bytes]]:
        yield from _files(options.folders)
        yield from fuzzed(options.fuzz, options.seed)

    summary = examine_all(pictures())
    for line in summary.lines():
        print(line)
    return 1 if summary.unclean else 0


if __name__ == "__main__":
    sys.exit(main())
