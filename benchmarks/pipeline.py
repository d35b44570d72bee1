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
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import machine, renders, thumbor_peer
from benchmarks.measure.clients import Endings, Http, Pipeline, rendering_by_thumbor, written
from benchmarks.measure.closed_loop import ClosedLoop, Exchange
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.raw_render import RawRenderers
from benchmarks.pipeline_report import chart, print_round, report
from benchmarks.pipeline_rounds import (
    CASES,
    CORES,
    OURS,
    STORED,
    THUMBOR_FILE,
    THUMBOR_S3,
    UPLOADED,
    WAITED,
    Case,
    Round,
)
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.imaging.photograph import make_photograph
from darkroom.local.run_folder import RunFolder
from tests.stack import RunningStack, running_stack

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 5.0
PEER_WARM_UP_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Contestant:
    name: str
    exchange: Exchange
    families: Sequence[Family]
    warm_up_s: float


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
            print_round(f"{case.name}, round {number} of {options.rounds}", rounds[-1])
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
        (RESULTS / "pipeline.md").write_text(text.replace("\n\n## ", "\n\n![Jobs per second](pipeline.svg)\n\n## ", 1))
        (RESULTS / "pipeline.svg").write_text(chart(results))


if __name__ == "__main__":
    main()
