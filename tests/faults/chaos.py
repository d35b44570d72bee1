"""Faults drawn from a seed, and how each is inflicted. The same seed draws the same faults at the same moments."""

from __future__ import annotations

import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from darkroom.contract.errors import DependencyUnavailableError
from tests.faults.faulty_stack import FaultyStack, StoreLoss
from tests.faults.proxy import Manner, Proxy
from tests.faults.restoring import RestoreFailedError, restore
from tests.faults.streams import full_stream
from tests.pausing import paused
from tests.stack import eventually

BACK_WITHIN_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    at_s: float
    """After the start."""
    kind: str
    lasts_s: float
    pick: float
    """Which of several is hit, 0 to 1."""

    def __str__(self) -> str:
        return f"{self.at_s:6.1f} s  {self.kind} ({self.lasts_s:.1f} s)"


Kinds = Mapping[str, tuple[int, Callable[[FaultyStack, Fault], None]]]


def draw(seed: int, *, seconds: float, every_s: float, kinds_of: Kinds | None = None) -> list[Fault]:
    """One about every so many seconds, each kind about as often as its weight says."""
    source, known = random.Random(seed), KINDS if kinds_of is None else kinds_of
    kinds, weights = list(known), [weight for weight, _ in known.values()]
    # Every kind comes once before chance decides.
    order = source.sample(kinds, len(kinds))
    faults, at_s = [], every_s
    while at_s < seconds:
        kind = order.pop() if order else source.choices(kinds, weights)[0]
        lasts_s = source.uniform(0.5, 4.0)
        faults.append(Fault(at_s=at_s, kind=kind, lasts_s=lasts_s, pick=source.random()))
        at_s += every_s * source.uniform(0.5, 1.5)
    return faults


def inflict(faulty: FaultyStack, fault: Fault, kinds_of: Kinds | None = None) -> None:
    """Returns when it is over; what it did to the system is the system's to mend."""
    (KINDS if kinds_of is None else kinds_of)[fault.kind][1](faulty, fault)


# --- processes -------------------------------------------------------------------------------------------------------


def _workers(faulty: FaultyStack) -> list[psutil.Process]:
    services = ("resize", "crop", "renditions", "renditions-background")
    return [worker for service in services for worker in faulty.workers(service)]


def _kill_worker(faulty: FaultyStack, fault: Fault) -> None:
    _signal_one(_workers(faulty), fault, signal.SIGKILL)


def _pause_worker_beyond_its_lease(faulty: FaultyStack, fault: Fault) -> None:
    """In a thread of its own: the other faults do not wait for it."""
    found = _pick(_workers(faulty), fault)
    if found is None:
        return

    def pause() -> None:
        try:
            with paused(found.pid):
                time.sleep(12)
        except ProcessLookupError:
            return  # it was killed meanwhile

    threading.Thread(target=pause, daemon=True).start()


def _kill_instance(service: str) -> Callable[[FaultyStack, Fault], None]:
    def kill(faulty: FaultyStack, fault: Fault) -> None:
        _signal_one(faulty.instances(service), fault, signal.SIGKILL)

    return kill


def _terminate_instance(service: str) -> Callable[[FaultyStack, Fault], None]:
    def terminate(faulty: FaultyStack, fault: Fault) -> None:
        _signal_one(faulty.instances(service), fault, signal.SIGTERM)

    return terminate


def _kill_server(name: str) -> Callable[[FaultyStack, Fault], None]:
    def kill(faulty: FaultyStack, fault: Fault) -> None:
        _signal_one([psutil.Process(_server(faulty, name))], fault, signal.SIGKILL)

    return kill


def _pause_server(name: str) -> Callable[[FaultyStack, Fault], None]:
    def pause(faulty: FaultyStack, fault: Fault) -> None:
        with paused(_server(faulty, name)):
            time.sleep(fault.lasts_s)

    return pause


def _kill_supervisor(faulty: FaultyStack, fault: Fault) -> None:
    children = faulty.stack.descendants()
    faulty.stack.kill()
    eventually(lambda: not any(_runs(child) for child in children), within_s=20, what="the children die too")
    faulty.stack.start()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal_one(processes: list[psutil.Process], fault: Fault, number: signal.Signals) -> None:
    found = _pick(processes, fault)
    if found is not None and found.is_running():
        found.send_signal(number)


def _pick(processes: list[psutil.Process], fault: Fault) -> psutil.Process | None:
    """None: there is none at this moment, as when a function is at zero."""
    return processes[int(fault.pick * len(processes))] if processes else None


def _server(faulty: FaultyStack, name: str) -> int:
    """It may be starting again because of the fault before."""

    def look() -> int | None:
        row = next(row for row in faulty.stack.status()["servers"] if row["name"] == name)
        return row["pid"] if row["state"] == "up" else None

    return eventually(look, within_s=BACK_WITHIN_S, what=f"{name} is up")


def _lose_job_store(faulty: FaultyStack, fault: Fault) -> None:
    """All jobs, and `darkroom restore` a moment later. It runs twice, as an operator is told to: a POST that was being
    answered may write its keeper after the first run has passed it."""
    _server(faulty, "redis")
    _server(faulty, "s3")
    eventually(lambda: _owes_no_keeper(faulty), within_s=BACK_WITHIN_S, what="storage has all keepers")
    erased = frozenset(str(line["job_id"]) for line in faulty.said("job.erased"))
    with faulty.redis_client() as client:
        client.flushall()
    faulty.losses.append(StoreLoss(at=time.monotonic(), erased=erased))
    time.sleep(fault.lasts_s)
    for _ in range(2):
        eventually(lambda: _is_restored(faulty), within_s=BACK_WITHIN_S, what="darkroom restore succeeds")
        time.sleep(2)


def _owes_no_keeper(faulty: FaultyStack) -> bool:
    store = faulty.store
    try:
        return not store.owed_keepers(limit=1)
    except DependencyUnavailableError:
        return False
    finally:
        store.close()


def _is_restored(faulty: FaultyStack) -> bool:
    try:
        restore(faulty)
    except RestoreFailedError:
        return False
    return True


# --- networks --------------------------------------------------------------------------------------------------------


def network(
    proxy: Callable[[FaultyStack], Proxy], manner: Manner, *, longest_s: float = 4.0
) -> Callable[[FaultyStack, Fault], None]:
    def misbehave(faulty: FaultyStack, fault: Fault) -> None:
        with proxy(faulty).being(manner):
            time.sleep(min(fault.lasts_s, longest_s))

    return misbehave


def _redis(faulty: FaultyStack) -> Proxy:
    return faulty.redis


def _s3(faulty: FaultyStack) -> Proxy:
    return faulty.s3


# --- what fills up ---------------------------------------------------------------------------------------------------


def _fill_redis(faulty: FaultyStack, fault: Fault) -> None:
    _server(faulty, "redis")
    with faulty.redis_client() as client:
        client.config_set("maxmemory", "1")
        time.sleep(fault.lasts_s)
        client.config_set("maxmemory", "0")


def _fill_disk_of_nats(faulty: FaultyStack, fault: Fault) -> None:
    """Files that may not grow; afterwards NATS stays stuck until its health check has it restarted."""
    process = psutil.Process(_server(faulty, "nats"))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(fault.lasts_s)
    if process.is_running():
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _fill_stream(faulty: FaultyStack, fault: Fault) -> None:
    _server(faulty, "nats")
    with full_stream(faulty):
        time.sleep(fault.lasts_s)


KINDS: Kinds = {
    "worker killed": (8, _kill_worker),
    "worker paused beyond its lease": (2, _pause_worker_beyond_its_lease),
    "resize instance killed": (3, _kill_instance("resize")),
    "resize instance terminated": (2, _terminate_instance("resize")),
    "crop instance killed": (3, _kill_instance("crop")),
    "renditions instance killed": (2, _kill_instance("renditions")),
    "ingest killed": (3, _kill_instance("ingest")),
    "ingest terminated": (2, _terminate_instance("ingest")),
    "status killed": (1, _kill_instance("status")),
    "recovery killed": (2, _kill_instance("recovery")),
    "nats killed": (3, _kill_server("nats")),
    "nats paused": (2, _pause_server("nats")),
    "nats' disk full": (1, _fill_disk_of_nats),
    "stream full": (2, _fill_stream),
    "redis killed": (3, _kill_server("redis")),
    "redis paused": (2, _pause_server("redis")),
    "redis full": (2, _fill_redis),
    "job store lost, and restored": (2, _lose_job_store),
    "redis cut off": (2, network(_redis, Manner(cut=True))),
    "redis slow": (1, network(_redis, Manner(delay_s=0.3))),
    "redis' answers lost": (2, network(_redis, Manner(swallow_answers_to=b"EVALSHA"))),
    "s3 killed": (2, _kill_server("s3")),
    "s3 paused": (1, _pause_server("s3")),
    "s3 cut off in mid-PUT": (2, network(_s3, Manner(cut_after_bytes=2000))),
    "s3 answers 503": (2, network(_s3, Manner(answer_503=True))),
    "s3 slow": (1, network(_s3, Manner(delay_s=0.3))),
    "supervisor killed": (1, _kill_supervisor),
}
"""How often each is drawn in proportion, and what it does."""
