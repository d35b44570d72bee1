"""Jobs per second and CPU time per job through the whole stack, compared with the raw render and with thumbor.

    python -m benchmarks.pipeline [--seconds 10] [--rounds 3] [--cases 2k,12mp] [--in-flight 32]
                                  [--thumbor-python PATH] [--save]

All servers, all functions, the runtime, the clients and the peers share the machine's cores. The contestants take turns
in rounds, so that noise from other processes affects all alike. The results are the ratios within a round, and their
median. The raw render is the same call as the functions make, on as many processes as there are cores, with the picture
in memory. thumbor has as many processes, and reads and writes through thumbor-aws in the same S3 server as the stack.
It reads its source there, so it is compared with jobs whose picture is in storage already.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import machine, renders, thumbor_peer
from benchmarks.measure.clients import Endings, Http, Pipeline, rendering_by_thumbor, written
from benchmarks.measure.closed_loop import ClosedLoop, Exchange, Measured
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.raw_render import RawRender, RawRenderers
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.charts import Bar, BarGroup, Colour, bar_chart, standalone
from darkroom.imaging.photograph import make_photograph
from darkroom.local.run_folder import RunFolder
from tests.stack import RunningStack, running_stack

RESULTS = Path(__file__).parent / "results"
CORES = os.cpu_count() or 1
WARM_UP_S = 5.0
PEER_WARM_UP_S = 2.0
DISTURBED = 0.05
"""A round in which other processes took more than this share of the machine is marked."""
RAW = "raw render"
UPLOADED, STORED, WAITED = "uploaded", "from storage", "uploaded and waited for"
THUMBOR_S3, THUMBOR_FILE = "thumbor, S3 to S3", "thumbor, from a file"
OURS = (UPLOADED, STORED, WAITED)
GOAL_OUTSIDE_MS = 12.0
BOUGHT = ("nats", "redis", "s3")
"""Third-party servers, which we cannot make faster."""


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    source: tuple[int, int]
    target: tuple[int, int]
    goal: float
    """The share of the raw render's throughput to reach."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {"width": self.target[0], "height": self.target[1]}

    @property
    def title(self) -> str:
        return f"{self.name}: JPEG {_size(self.source)} to {_size(self.target)}"


CASES = (
    Case(name="2k", source=(2048, 1536), target=(512, 384), goal=0.35),
    Case(name="12mp", source=(4000, 3000), target=(400, 300), goal=0.7),
)


@dataclass(frozen=True, kw_only=True)
class Contestant:
    name: str
    exchange: Exchange
    families: Sequence[Family]
    warm_up_s: float


@dataclass(frozen=True, kw_only=True)
class Round:
    raw: RawRender
    measured: dict[str, Measured]
    rendering_ms: dict[str, float]
    """CPU time of a job's render by the clock of the process that did it; our contestants only."""

    def of_raw(self, name: str) -> float:
        return self.measured[name].per_s / self.raw.per_s

    def of_raw_by_cpu(self, name: str) -> float:
        """Return the ratio of throughputs on a machine where nothing else runs and no core is ever idle."""
        measured = self.measured[name]
        client_ms = measured.client_s * 1000 / measured.count
        return self.raw.cpu_ms_each / (measured.total_ms_each + client_ms)

    def outside_ms(self, name: str) -> float:
        """Return the CPU time of everything measured for this contestant, minus that of the render."""
        return self.measured[name].total_ms_each - self.raw.cpu_ms_each

    def ours_outside_ms(self, name: str) -> float:
        """Return the CPU time of our own processes minus the raw render: the render's loss by shared caches counts as
        outside.
        """
        return self.outside_ms(name) - self.bought_ms(name)

    def ours_outside_own_render_ms(self, name: str) -> float:
        """Return the CPU time of our own processes minus the render as it ran in them."""
        return self.measured[name].total_ms_each - self.bought_ms(name) - self.rendering_ms[name]

    def bought_ms(self, name: str) -> float:
        return sum(self.measured[name].milliseconds_each(server) for server in BOUGHT)

    @property
    def disturbed(self) -> bool:
        return any(one.others_s > DISTURBED * CORES * one.seconds for one in self.measured.values())


# --- measuring -------------------------------------------------------------------------------------------------------


async def measure(case: Case, stack: RunningStack, folder: Path, options: argparse.Namespace) -> list[Round]:
    picture = make_photograph(*case.source, seed=7)
    path = written(picture, folder / "pictures" / case.name / "picture.jpg")
    async with AsyncExitStack() as resources:
        http = await resources.enter_async_context(Http(connections=options.in_flight + 8))
        endings = await resources.enter_async_context(Endings(stack.addresses["redis"]))
        raw = resources.enter_context(RawRenderers(path, case.parameters, processes=CORES))
        pipeline = Pipeline(stack.addresses["api"], http, endings, case.parameters)
        contestants = await _ours(stack, pipeline, picture)
        if thumbor_peer.is_installed(options.thumbor_python):
            contestants += _thumbors(case, stack, path, folder / f"thumbor-{case.name}", http, resources, options)
        else:
            print("thumbor is left out: it needs --thumbor-python with `pip install thumbor thumbor-aws`")
        rounds = []
        for number in range(1, options.rounds + 1):
            rounds.append(await _round(contestants, raw, stack.data / "logs", options))
            _print_round(f"{case.name}, round {number} of {options.rounds}", rounds[-1])
        print(f"{len(picture):,} bytes a picture")
        if THUMBOR_S3 in rounds[0].measured:
            _require_stored(case, _s3_of(stack), options.in_flight)
    return rounds


async def _ours(stack: RunningStack, pipeline: Pipeline, picture: bytes) -> list[Contestant]:
    exchanges: dict[str, Exchange] = {
        UPLOADED: pipeline.uploading(picture),
        STORED: await pipeline.from_storage(picture),
        WAITED: pipeline.uploading_and_waiting(picture),
    }
    families = [family_of(stack)]
    return [
        Contestant(name=name, exchange=exchange, families=families, warm_up_s=WARM_UP_S)
        for name, exchange in exchanges.items()
    ]


def family_of(stack: RunningStack) -> Family:
    if stack.process is None:
        raise RuntimeError("the stack does not run")
    return Family(pid=stack.process.pid, name="runtime")


def _thumbors(
    case: Case,
    stack: RunningStack,
    picture: Path,
    folder: Path,
    http: Http,
    resources: AsyncExitStack,
    options: argparse.Namespace,
) -> list[Contestant]:
    s3, key = _s3_of(stack), _source_key(case)
    storage = _storage(s3)
    storage.put(key, picture.read_bytes(), content_type="image/jpeg")
    storage.close()
    python = options.thumbor_python
    from_s3 = resources.enter_context(thumbor_peer.thumbor_from_s3(python, s3, folder / "s3", processes=CORES))
    from_file = resources.enter_context(
        thumbor_peer.thumbor_from_files(python, picture.parent, folder / "file", processes=CORES)
    )
    s3_server = Family(pid=stack.server_pid("s3"), name="s3")
    return [
        Contestant(
            name=THUMBOR_S3,
            exchange=rendering_by_thumbor(http, from_s3.url, case.target, f"request-{{number}}/{key}"),
            families=[from_s3.family, s3_server],
            warm_up_s=PEER_WARM_UP_S,
        ),
        Contestant(
            name=THUMBOR_FILE,
            exchange=rendering_by_thumbor(http, from_file.url, case.target, picture.name),
            families=[from_file.family],
            warm_up_s=PEER_WARM_UP_S,
        ),
    ]


def _require_stored(case: Case, s3: thumbor_peer.S3, requests: int) -> None:
    """Check that thumbor did the whole work: the first requests' results are in storage, each under its own key."""
    storage = _storage(s3)
    width, height = case.target
    for number in range(requests):
        path = f"unsafe/{width}x{height}/request-{number}/{_source_key(case)}"
        if storage.info(f"{thumbor_peer.RESULTS_PREFIX}/{path}") is None:
            raise RuntimeError(f"thumbor did not store the result of {path}")
    storage.close()


def _storage(s3: thumbor_peer.S3) -> S3Storage:
    return S3Storage(
        endpoint=s3.endpoint, public_endpoint=None, access_key=s3.access_key, secret_key=s3.secret_key, bucket=s3.bucket
    )


BUCKET = "processed-images"
"""As defined in darkroom.toml."""


def _source_key(case: Case) -> str:
    return f"uploads/benchmark-{case.name}.jpg"


def _s3_of(stack: RunningStack) -> thumbor_peer.S3:
    credentials = RunFolder(stack.data).s3_credentials()
    return thumbor_peer.S3(
        endpoint=stack.addresses["s3"],
        bucket=BUCKET,
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
    )


async def _round(
    contestants: Sequence[Contestant], raw: RawRenderers, logs: Path, options: argparse.Namespace
) -> Round:
    rendered = await asyncio.to_thread(raw.run, options.seconds)
    measured = {}
    for one in contestants:
        loop = ClosedLoop(one.exchange, in_flight=options.in_flight)
        measured[one.name] = await loop.measure(one.families, warm_up_s=one.warm_up_s, seconds=options.seconds)
    rendering_ms = {name: renders.cpu_ms_each(logs, measured[name].window) for name in OURS}
    return Round(raw=rendered, measured=measured, rendering_ms=rendering_ms)


# --- reporting -------------------------------------------------------------------------------------------------------


def _print_round(title: str, one: Round) -> None:
    print(f"\n{title}: raw render {one.raw.per_s:.1f}/s, {one.raw.cpu_ms_each:.1f} ms")
    for name, measured in one.measured.items():
        others = measured.others_s / measured.seconds / CORES
        print(
            f"  {name:<26}{measured.per_s:>7.1f}/s {one.of_raw(name):>6.2f} {measured.total_ms_each:>7.1f} ms"
            f"   client {measured.client_s * 1000 / measured.count:4.1f} ms, others {others:.0%} of the machine"
        )
    sys.stdout.flush()


def report(results: dict[Case, list[Round]]) -> str:
    lines = []
    for case, rounds in results.items():
        lines += ["", f"## {case.title}", "", *_table(rounds), "", *_split(rounds), "", *_goal_results(case, rounds)]
    return "\n".join(lines) + "\n"


def _table(rounds: list[Round]) -> list[str]:
    lines = [
        "| | jobs per second | of the raw render | by CPU time | ms per job | outside the render | client's ms |",
        "|---|---|---|---|---|---|---|",
        f"| {RAW}, {CORES} processes | {median(one.raw.per_s for one in rounds):.1f} | 1 | 1 "
        f"| {median(one.raw.cpu_ms_each for one in rounds):.1f} | | |",
    ]
    for name in rounds[0].measured:
        per_s, ratio = median(one.measured[name].per_s for one in rounds), median(one.of_raw(name) for one in rounds)
        total = median(one.measured[name].total_ms_each for one in rounds)
        by_cpu = median(one.of_raw_by_cpu(name) for one in rounds)
        client = median(one.measured[name].client_s * 1000 / one.measured[name].count for one in rounds)
        outside = f"{median(one.outside_ms(name) for one in rounds):.1f}" if name in OURS else ""
        lines.append(f"| {name} | {per_s:.1f} | {ratio:.2f} | {by_cpu:.2f} | {total:.1f} | {outside} | {client:.1f} |")
    return lines


def _split(rounds: list[Round]) -> list[str]:
    """Return the table of where a job's CPU time goes."""
    spent: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in OURS}
    for one in rounds:
        for name in OURS:
            for process in one.measured[name].spent.by_name:
                spent[name][process].append(one.measured[name].milliseconds_each(process))
    processes = sorted({process for found in spent.values() for process in found}, key=lambda name: _cost(spent, name))
    lines = ["| CPU ms per job | " + " | ".join(OURS) + " |", "|---|" + "---|" * len(OURS)]
    for process in processes:
        cells = [f"{median(spent[name][process] or [0.0]):.2f}" for name in OURS]
        lines.append(f"| {process} | " + " | ".join(cells) + " |")
    cells = [f"{median(one.rendering_ms[name] for one in rounds):.2f}" for name in OURS]
    return [*lines, "| of resize: the render | " + " | ".join(cells) + " |"]


def _cost(spent: dict[str, dict[str, list[float]]], process: str) -> float:
    return -max(median(found[process]) if process in found else 0.0 for found in spent.values())


def _goal_results(case: Case, rounds: list[Round]) -> list[str]:
    ratio = median(one.of_raw(UPLOADED) for one in rounds)
    outside = median(one.ours_outside_ms(UPLOADED) for one in rounds)
    outside_own = median(one.ours_outside_own_render_ms(UPLOADED) for one in rounds)
    rendering = median(one.rendering_ms[UPLOADED] for one in rounds)
    bought = median(one.bought_ms(UPLOADED) for one in rounds)
    verdicts = [
        f"- {_reached(ratio >= case.goal)}: {ratio:.2f} of the raw render's throughput, the goal is {case.goal}",
        f"- by CPU time, which is what it would be with the machine to itself: "
        f"{median(one.of_raw_by_cpu(UPLOADED) for one in rounds):.2f}",
        f"- {_reached(outside < GOAL_OUTSIDE_MS)}: {outside:.1f} ms outside the render in our own processes, the goal "
        f"is {GOAL_OUTSIDE_MS:g} ms; and {bought:.1f} ms in {', '.join(BOUGHT)}",
        f"- that is less the raw render's time; in the functions, beside everything else, a render took "
        f"{rendering:.1f} ms, and less that it is {outside_own:.1f} ms",
    ]
    if THUMBOR_S3 in rounds[0].measured:
        beside = median(one.measured[STORED].per_s / one.measured[THUMBOR_S3].per_s for one in rounds)
        verdicts.append(f"- {_reached(beside >= 1)}: {beside:.2f} of thumbor's throughput from S3 to S3, the goal is 1")
    if any(one.disturbed for one in rounds):
        count = sum(one.disturbed for one in rounds)
        verdicts.append(
            f"- {count} of {len(rounds)} rounds were disturbed: others took more than {DISTURBED:.0%} of the machine"
        )
    return verdicts


def _reached(yes: bool) -> str:
    return "reached" if yes else "**not reached**"


def drawing(results: dict[Case, list[Round]]) -> str:
    groups = []
    for case, rounds in results.items():
        raw = median(one.raw.per_s for one in rounds)
        bars = [Bar(label=f"{RAW}, {CORES} processes", value=raw, colour=Colour.GREY, text=f"{raw:.1f}")]
        for name in rounds[0].measured:
            value = median(one.measured[name].per_s for one in rounds)
            colour = Colour.BLUE if name in OURS else Colour.ORANGE
            ratio = median(one.of_raw(name) for one in rounds)
            bars.append(Bar(label=name, value=value, colour=colour, text=f"{value:.1f}, {ratio:.2f} of raw"))
        groups.append(BarGroup(title=f"{case.title}, jobs per second", bars=bars, goal=case.goal * raw))
    return standalone(bar_chart(groups, title="Jobs per second of the whole pipeline"))


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement, after its warm-up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default=",".join(case.name for case in CASES))
    parser.add_argument("--in-flight", type=int, default=32, help="jobs under way at any time")
    parser.add_argument("--thumbor-python", default=sys.executable)
    parser.add_argument("--save", action="store_true", help="write the table and the chart to benchmarks/results")
    return parser.parse_args()


def main() -> None:
    options = parsed_arguments()
    head = machine.description()
    results = {}
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack", verbose=False) as stack:
        for case in CASES:
            if case.name in options.cases.split(","):
                results[case] = asyncio.run(measure(case, stack, Path(name), options))
    text = "# The whole pipeline\n\n" + "\n".join(f"- {line}" for line in head) + "\n"
    command = " ".join(["python -m benchmarks.pipeline", *sys.argv[1:]])
    text += f"- median of {options.rounds} rounds of {options.seconds:g} s, {options.in_flight} jobs in flight\n"
    text += report(results)
    print(f"\n{command}\n\n{text}")
    if options.save:
        (RESULTS / "pipeline.md").write_text(text.replace("\n\n## ", "\n\n![Jobs a second](pipeline.svg)\n\n## ", 1))
        (RESULTS / "pipeline.svg").write_text(drawing(results))


if __name__ == "__main__":
    main()
