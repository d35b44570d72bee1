"""Events per second in and out through the local broker, compared with bare nats-py on the same nats-server.

    python -m benchmarks.broker [--events 2000] [--rounds 3]

In: published, each stored before it is answered, 32 at once. With the broker, that is a POST to its ingress, which
parses the CloudEvent and publishes it to JetStream; without it, `publish` alone. Out: read from the stream until every
event is acked. With the broker, that is the dispatchers of the Triggers, which filter each event, with a subscriber
that answers 204 at once; without it, `fetch` and `ack` of one consumer. The stream, its settings and the events are the
same, and the contestants take turns.

The broker's first line is one Trigger alone, the second the same with the record that `darkroom events` reads. The last
has all Triggers: the difference to the first is the cost of additional ones that match none of these events. Everything
runs in one process on one event loop, as in `darkroom up`; the client that posts has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import nats
import psutil
from aiohttp import web
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from benchmarks.measure import machine
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.local.eventing.broker import Ingress
from darkroom.local.eventing.delivery import Answered, consumer_settings, delivery_of
from darkroom.local.eventing.dispatch import Dispatcher, Route
from darkroom.local.eventing.record.recorder import Recorder, RecordLimits
from darkroom.local.eventing.stream import BrokerStream
from darkroom.local.eventing.subscribers import Attempt
from darkroom.manifests import Broker, Manifests, Trigger, load
from tests.servers import LOOPBACK, Server, free_port, nats_server, running

AT_ONCE = 32
FETCHED_AT_ONCE = 100
DRAINED_WITHIN_S = 120.0
MANIFESTS = (Path("knative/base"), Path("nats-eventing"))
BARE, ONE_TRIGGER, ALL_TRIGGERS = "bare nats-py", "broker, one Trigger", "broker, all Triggers"
RECORDED = "the same, recorded"


@dataclass(frozen=True, kw_only=True)
class Run:
    in_per_s: float
    out_per_s: float
    cpu_ms: float
    """CPU time per event, in and out, of this process (without the posting one) and of nats-server."""


class CountingSubscriber:
    """A subscriber that accepts everything, and knows when it has everything."""

    def __init__(self, expected: int) -> None:
        self.done = asyncio.Event()
        self._left = expected

    async def deliver(self, _event: CloudEvent, _timeout_s: float) -> Attempt:
        self._left -= 1
        if self._left == 0:
            self.done.set()
        return Attempt(result=Answered(status=204, body=b""))


# --- the broker ------------------------------------------------------------------------------------------------------


async def through_broker(
    server: Server, manifests: Manifests, triggers: Sequence[Trigger], count: int, *, is_recorded: bool = False
) -> Run:
    [broker] = manifests.brokers
    connection = await nats.connect(server.url)
    stream = BrokerStream(connection, broker, manifests.channel(broker), _silent)
    await stream.ensure()
    await stream.drop_other_consumers(triggers)
    recorder = Recorder(RecordLimits(), _silent)
    ingress = Ingress({(broker.namespace, broker.name): stream}, _silent, recorder)
    recording = asyncio.create_task(recorder.run())
    if is_recorded:
        await recorder.open(connection)
    counted = CountingSubscriber(count)
    dispatchers = [
        Dispatcher(_route(trigger, broker, stream, counted, manifests), ingress, _silent) for trigger in triggers
    ]
    try:
        async with _listening(ingress, broker) as url:
            # With Interest retention, an event is kept only for consumers that already exist.
            for dispatcher in dispatchers:
                await dispatcher.ensure_consumer()
            before = _cpu_s(server)
            in_s = await asyncio.to_thread(_post_from_a_process, url, count)
            started = time.monotonic()
            for dispatcher in dispatchers:
                await dispatcher.start(connection)
            await _until(counted.done.is_set)
            await _until_acked(stream)
            out_s = time.monotonic() - started
            await recorder.close()
            spent_s = _cpu_s(server) - before
    finally:
        recording.cancel()
        await asyncio.gather(*(dispatcher.stop() for dispatcher in dispatchers))
        await _delete(connection, stream)
    return Run(in_per_s=count / in_s, out_per_s=count / out_s, cpu_ms=spent_s * 1000 / count)


def _route(
    trigger: Trigger,
    broker: Broker,
    stream: BrokerStream,
    counted: CountingSubscriber,
    manifests: Manifests,
) -> Route:
    delivery, address = delivery_of(trigger, broker), (broker.namespace, broker.name)
    return Route(
        receiver=trigger,
        label=trigger.name,
        origin=address,
        stream=stream,
        delivery=delivery,
        consumer=consumer_settings(delivery, manifests.channel(broker)),
        subscriber_name=trigger.name,
        subscriber=counted.deliver,
        dead_letter_sink=None,
    )


@asynccontextmanager
async def _listening(ingress: Ingress, broker: Broker) -> AsyncIterator[str]:
    runner, port = web.AppRunner(ingress.application(), access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        yield f"http://{LOOPBACK}:{port}/{broker.namespace}/{broker.name}"
    finally:
        await runner.cleanup()


def _post_from_a_process(url: str, count: int) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        took_s: float = pool.apply(_post_all, (url, count))
        return took_s


def _post_all(url: str, count: int) -> float:
    return asyncio.run(_posted(url, [cloudevents.encode_binary(event) for event in _events(count)]))


async def _posted(url: str, requests: list[tuple[dict[str, str], bytes]]) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def post(headers: dict[str, str], body: bytes) -> None:
            async with session.post(url, headers=headers, data=body) as answer:
                if answer.status != 202:
                    raise RuntimeError(f"{answer.status}: {await answer.text()}")

        started = time.monotonic()
        await asyncio.gather(*(post(headers, body) for headers, body in requests))
        return time.monotonic() - started


async def _until_acked(stream: BrokerStream) -> None:
    ends_at = time.monotonic() + DRAINED_WITHIN_S
    while sum((await stream.backlog()).values()) > 0:
        if time.monotonic() > ends_at:
            raise RuntimeError(f"not acked in {DRAINED_WITHIN_S:g} s: {await stream.backlog()}")
        await asyncio.sleep(0.005)


# --- bare ------------------------------------------------------------------------------------------------------------


async def bare(server: Server, manifests: Manifests, count: int) -> Run:
    [broker] = manifests.brokers
    connection = await nats.connect(server.url)
    stream = BrokerStream(connection, broker, manifests.channel(broker), _silent)
    await stream.ensure()
    await stream.drop_other_consumers([])
    jetstream = connection.jetstream()
    try:
        pulling = await jetstream.pull_subscribe(
            stream.subject, durable="bare", stream=stream.name, config=ConsumerConfig(max_ack_pending=FETCHED_AT_ONCE)
        )
        payloads = [(event.id, cloudevents.encode_structured(event)[1]) for event in _events(count)]
        gate = asyncio.Semaphore(AT_ONCE)

        async def publish(event_id: str, payload: bytes) -> None:
            async with gate:
                await jetstream.publish(stream.subject, payload, headers={"Nats-Msg-Id": event_id})

        before, started = _cpu_s(server), time.monotonic()
        await asyncio.gather(*(publish(*one) for one in payloads))
        in_s, started = time.monotonic() - started, time.monotonic()
        taken = 0
        while taken < count:
            messages = await pulling.fetch(FETCHED_AT_ONCE, timeout=5)
            for message in messages:
                await message.ack()
            taken += len(messages)
        await _until_acked(stream)
        out_s, spent_s = time.monotonic() - started, _cpu_s(server) - before
    finally:
        await _delete(connection, stream)
    return Run(in_per_s=count / in_s, out_per_s=count / out_s, cpu_ms=spent_s * 1000 / count)


async def _delete(connection: Client, stream: BrokerStream) -> None:
    await connection.jetstream().delete_stream(stream.name)
    await connection.close()


# --- both ------------------------------------------------------------------------------------------------------------


def _events(count: int) -> list[CloudEvent]:
    """Make events like those that ingest emits, in size and in the attributes that filters read."""
    data: dict[str, Any] = {
        "job_id": "0d5f0d8c-6f0b-4c7e-9c60-3d1c0d9f3f10",
        "type": "resize",
        "parameters": {"width": 512, "height": 384},
        "input": {"storage_key": "uploads/0d5f0d8c-6f0b-4c7e-9c60-3d1c0d9f3f10/original.jpg"},
        "metadata": {"created_at": "2026-01-01T00:00:00Z", "retry_count": 0, "request_id": "benchmark"},
    }
    event = new_event(
        "dev.darkroom.resize.requested",
        "/darkroom/ingest",
        data,
        extensions={"requestid": "benchmark", "costclass": "standard"},
    )
    return [replace(event, id=f"{event.id}-{number}") for number in range(count)]


async def _until(is_so: Any) -> None:
    ends_at = time.monotonic() + DRAINED_WITHIN_S
    while not is_so():
        if time.monotonic() > ends_at:
            raise RuntimeError(f"not within {DRAINED_WITHIN_S:g} s")
        await asyncio.sleep(0.005)


def _cpu_s(server: Server) -> float:
    processes = (psutil.Process(), psutil.Process(server.pid))
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def _silent(_action: str, /, **_fields: Any) -> None:
    """Discard what the runtime would report about each event."""


def measure(name: str, server: Server, manifests: Manifests, count: int) -> Run:
    [broker] = manifests.brokers
    triggers = manifests.triggers_of(broker)
    match name:
        case "bare nats-py":
            return asyncio.run(bare(server, manifests, count))
        case "broker, one Trigger" | "the same, recorded":
            [resize] = [trigger for trigger in triggers if trigger.name == "resize"]
            recorded = name == RECORDED
            return asyncio.run(through_broker(server, manifests, [resize], count, is_recorded=recorded))
        case _:
            return asyncio.run(through_broker(server, manifests, triggers, count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    manifests = load(MANIFESTS)
    print("\n".join(machine.description()))
    runs: dict[str, list[Run]] = {name: [] for name in (BARE, ONE_TRIGGER, RECORDED, ALL_TRIGGERS)}
    for number in range(options.rounds):
        # Neighbours take turns at being first.
        for name, found in list(runs.items())[:: 1 if number % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory() as folder, running(nats_server(Path(folder))) as server:
                found.append(measure(name, server, manifests, options.events))
    print(f"\n{options.events} events, {AT_ONCE} at once, median of {options.rounds} rounds")
    print(f"{'':<24}{'in/s':>8}{'of bare':>9}{'out/s':>9}{'of bare':>9}{'CPU time':>14}")
    for name, found in runs.items():
        ratios = [
            (one.in_per_s / bare_one.in_per_s, one.out_per_s / bare_one.out_per_s)
            for one, bare_one in zip(found, runs[BARE], strict=True)
        ]
        print(
            f"{name:<24}{median(run.in_per_s for run in found):>8.0f}{median(each[0] for each in ratios):>9.2f}"
            f"{median(run.out_per_s for run in found):>9.0f}{median(each[1] for each in ratios):>9.2f}"
            f"{median(run.cpu_ms for run in found):>11.3f} ms"
        )
    pairs = zip(runs[RECORDED], runs[ONE_TRIGGER], strict=True)
    more = median(recorded.cpu_ms / plain.cpu_ms - 1 for recorded, plain in pairs)
    print(f"the record takes {more:+.1%} of the CPU time per event, median of pairs")


if __name__ == "__main__":
    main()
