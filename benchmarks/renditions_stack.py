"""The part of benchmarks/renditions.py that goes through the whole stack."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure.clients import Endings, Http
from benchmarks.measure.closed_loop import ClosedLoop, Exchange, Measured
from benchmarks.measure.counting_proxy import CountingProxy, counting
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.rendition_engines import FIVE
from benchmarks.measure.rendition_peers import bullmq_peer, celery_peer, has_bullmq, has_celery
from benchmarks.measure.thumbor_peer import S3
from benchmarks.pipeline_rounds import CORES
from darkroom.imaging.photograph import make_photograph
from darkroom.local.run_folder import RunFolder
from tests.stack import ROOT, RunningStack, running_stack

if TYPE_CHECKING:
    from benchmarks.renditions import Case

BUCKET = "processed-images"
"""As defined in darkroom.toml."""
WARM_UP_S = 4.0
COUNTED_JOBS = 10
TOGETHER, FIVE_JOBS, CELERY, BULLMQ = "one job", "five jobs", "Celery, libvips", "BullMQ, sharp"
_TARGET = "            - name: FUNCTION_TARGET\n"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    name: str
    exchange: Exchange
    families: Sequence[Family]


def compare_stacks(cases: Sequence[Case], folder: Path, options: argparse.Namespace) -> None:
    with running_stack(folder / "stack", verbose=False) as stack:
        for case in cases:
            asyncio.run(_speeds(case, stack, options))
    for case in cases:
        asyncio.run(_counts(case, folder / f"counted-{case.name}", options))


# --- speed -----------------------------------------------------------------------------------------------------------


async def _speeds(case: Case, stack: RunningStack, options: argparse.Namespace) -> None:
    rounds: list[dict[str, Measured]] = []
    async with _contestants(case, stack, _s3_of(stack), options) as contestants:
        for _ in range(options.rounds):
            found = {}
            for one in contestants:
                loop = ClosedLoop(one.exchange, in_flight=options.in_flight)
                found[one.name] = await loop.measure(one.families, warm_up_s=WARM_UP_S, seconds=options.seconds)
            rounds.append(found)
    _print_speeds(case, rounds)


def _print_speeds(case: Case, rounds: Sequence[dict[str, Measured]]) -> None:
    print(f"\n{case.name}: JPEG {case.size[0]}x{case.size[1]} in storage to five renditions in storage")
    print(f"  {'':16} {'jobs/s':>7} {'CPU ms':>8}   of these, by process")
    for name in rounds[0]:
        per_s = median(one[name].per_s for one in rounds)
        cpu_ms = median(one[name].total_ms_each for one in rounds)
        last = rounds[-1][name]
        parts = ", ".join(f"{part} {last.milliseconds_each(part):.1f}" for part in sorted(last.spent.by_name))
        print(f"  {name:16} {per_s:7.1f} {cpu_ms:8.1f}   {parts}")
    cpu = median(one[TOGETHER].total_ms_each / one[FIVE_JOBS].total_ms_each for one in rounds)
    print(f"  {_verdict(cpu <= case.most_cpu)}: {cpu:.2f} of the CPU time of five jobs, the goal is {case.most_cpu}")
    peers = [name for name in (CELERY, BULLMQ) if name in rounds[0]]
    if peers:
        ratio = median(one[TOGETHER].per_s / max(one[name].per_s for name in peers) for one in rounds)
        print(
            f"  {_verdict(ratio >= case.least_per_s)}: {ratio:.2f} times the jobs per second of the better peer, "
            f"the goal is {case.least_per_s}"
        )


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "**not reached**"


# --- what goes to and from the storage -------------------------------------------------------------------------------


async def _counts(case: Case, folder: Path, options: argparse.Namespace) -> None:
    """Count with the functions' and the peers' storage behind a proxy."""
    stack: RunningStack | None = None

    def target() -> str:
        if stack is None:
            raise RuntimeError("the stack does not run yet")
        return stack.addresses["s3"]

    async with counting(target) as proxy:
        with running_stack(folder / "data", *_manifests(folder, proxy), verbose=False) as stack:
            s3 = S3(
                endpoint=proxy.url,
                bucket=BUCKET,
                access_key=_s3_of(stack).access_key,
                secret_key=_s3_of(stack).secret_key,
            )
            print(f"\n{case.name}: to and from the storage, per picture")
            async with _contestants(case, stack, s3, options) as contestants:
                for one in contestants:
                    await one.exchange()
                    proxy.counts.clear()
                    for _ in range(COUNTED_JOBS):
                        await one.exchange()
                    _print_counts(one.name, proxy)


def _print_counts(name: str, proxy: CountingProxy) -> None:
    counts = proxy.counts
    requests = ", ".join(f"{count / COUNTED_JOBS:.1f} {method}" for method, count in sorted(counts.requests.items()))
    print(
        f"  {name:16} {counts.received_bytes / COUNTED_JOBS:12,.0f} bytes read "
        f"{counts.sent_bytes / COUNTED_JOBS:12,.0f} written   {requests}"
    )


def _manifests(folder: Path, proxy: CountingProxy) -> list[str]:
    """Copy the manifests, with the proxy as every function's storage; return the options that name the copy."""
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    endpoint = f"            - name: STORAGE_ENDPOINT\n              value: {proxy.url}\n"
    for file in (folder / "knative/base").glob("*.yaml"):
        file.write_text(file.read_text().replace(_TARGET, endpoint + _TARGET))
    return [option for name in ("knative/base", "nats-eventing") for option in ("--manifests", str(folder / name))]


# --- contestants -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _contestants(
    case: Case, stack: RunningStack, s3: S3, options: argparse.Namespace
) -> AsyncIterator[list[Contestant]]:
    redis_url = stack.addresses["redis"].rsplit("/", 1)[0] + "/1"
    servers = [Family(pid=stack.server_pid(name), name=name) for name in ("redis", "s3")]
    async with AsyncExitStack() as resources:
        http = await resources.enter_async_context(Http(connections=5 * options.in_flight + 8))
        endings = await resources.enter_async_context(Endings(stack.addresses["redis"]))
        ours = Ours(stack.addresses["api"], http, endings)
        key = await ours.stored(make_photograph(*case.size, seed=7))
        if stack.process is None:
            raise RuntimeError("the stack does not run")
        family = [Family(pid=stack.process.pid, name="runtime")]
        found = [
            Contestant(name=TOGETHER, exchange=ours.together(key), families=family),
            Contestant(name=FIVE_JOBS, exchange=ours.five_jobs(key), families=family),
        ]
        if has_celery():
            peer = await resources.enter_async_context(celery_peer(redis_url, s3, key, processes=CORES))
            found.append(Contestant(name=CELERY, exchange=peer.exchange, families=[peer.family, *servers]))
        else:
            print("Celery is left out: it is in the extra `bench`")
        if has_bullmq(options.modules):
            peer = await resources.enter_async_context(
                bullmq_peer(redis_url, s3, key, processes=CORES, modules=options.modules)
            )
            found.append(Contestant(name=BULLMQ, exchange=peer.exchange, families=[peer.family, *servers]))
        else:
            print("BullMQ is left out: --node-modules needs `npm install bullmq ioredis sharp @aws-sdk/client-s3`")
        yield found


class Ours:
    """Exchanges with the stack."""

    def __init__(self, api: str, http: Http, endings: Endings) -> None:
        self._api = api
        self._http = http
        self._endings = endings

    async def stored(self, picture: bytes) -> str:
        """Upload the picture to storage and return its key."""
        signed = json.loads(await self._http.ask("POST", f"{self._api}/api/v1/uploads", expect=201))
        upload = signed["upload"]
        await self._http.ask(upload["method"], upload["url"], body=picture, headers=upload["headers"], expect=200)
        return str(signed["storage_key"])

    def together(self, key: str) -> Exchange:
        renditions = {name: {"type": "resize", "parameters": fields} for name, fields in FIVE.items()}
        body = json.dumps({"renditions": renditions, "input": {"storage_key": key}}).encode()
        return lambda: self._job("renditions", body)

    def five_jobs(self, key: str) -> Exchange:
        bodies = [
            json.dumps({"parameters": fields, "input": {"storage_key": key}}).encode() for fields in FIVE.values()
        ]

        async def exchange() -> None:
            await asyncio.gather(*(self._job("resize", body) for body in bodies))

        return exchange

    async def _job(self, type: str, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        said = await self._http.ask("POST", f"{self._api}/api/v1/{type}", body=body, headers=headers, expect=202)
        await self._endings.completed(json.loads(said)["job_id"])


def _s3_of(stack: RunningStack) -> S3:
    credentials = RunFolder(stack.data).s3_credentials()
    return S3(
        endpoint=stack.addresses["s3"],
        bucket=BUCKET,
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
    )
