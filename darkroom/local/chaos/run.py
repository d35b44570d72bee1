"""One run of chaos: inflicts the plan, waits until the events have ended, and sums up.

The faults end with the run, and the run ends with whoever asked for it: a lease that is no longer renewed ends it, so
that a command that was killed leaves nothing paused and nothing failing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import nats.errors

from darkroom.errors import DependencyUnavailableError
from darkroom.local.chaos.account import Account, End, Reckoning, Turn, reckoning
from darkroom.local.chaos.deliveries import DeliveryFaults
from darkroom.local.chaos.plan import DeliveryFault, Order, Plan, ProcessFault, Targets, draw, mixed
from darkroom.local.chaos.processes import ProcessFaults
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.errors import ChaosBusyError, ChaosRefusedError
from darkroom.local.eventing.broker import BrokerAddress, Ingress
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.destinations import ServiceTarget, locate
from darkroom.local.eventing.dispatch import Dispatcher
from darkroom.local.eventing.filters import passes
from darkroom.local.eventing.stream import StoredEvent, consumer_name
from darkroom.local.reporting import Report
from darkroom.local.revisions.fleet import Fleet
from darkroom.manifests.errors import suggestion

LEASE_S = 5.0
KEPT_LINES = 20_000
QUIET_FOR_S = 3.0
"""With no Trigger having any work for so long, what has not ended yet never will."""
_LOOK_EVERY_S = 0.25
_ANSWER_WITHIN_S = 4.0


class State(StrEnum):
    RUNNING = "running"
    SETTLING = "settling"
    """No faults any more; events may still end."""
    OVER = "over"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of the stack that chaos needs."""

    fleet: Fleet
    brokers: Brokers
    ingress: Ingress
    servers: Mapping[str, Server]
    sections: Mapping[str, Callable[[], Mapping[str, Any]]]
    """The application's own, of its status. They may block."""
    report: Report


class ChaosRun:
    def __init__(self, plan: Plan, parts: Parts, *, settle_s: float) -> None:
        self.plan = plan
        self.id = f"{plan.digest}-{time.time_ns():x}"
        self.state = State.RUNNING
        self.ended_by = ""
        """Why it ended before its time; empty if it did not."""
        self._parts = parts
        self._settle_s = settle_s
        self._account = Account(began=_now())
        self._deliveries = DeliveryFaults(plan, self._account, self._expecting, parts.ingress, self._delivery_hit)
        pools = {pool.revision.label: pool for pool in parts.fleet.pools.values()}
        self._processes = ProcessFaults(pools, parts.servers)
        self._stopping = asyncio.Event()
        self._began = time.monotonic()
        self._lease: asyncio.TimerHandle | None = None
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT_LINES)
        self._counts: Counter[str] = Counter()
        self._sums: Reckoning | None = None
        self._application: Mapping[str, Mapping[str, Any]] = {}
        self._refused_duplicates = 0
        self._posted = 0

    # --- its course --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        interposition, report = self._parts.brokers.interposition, self._parts.report
        report("chaos.began", seed=self.plan.order.seed, plan=self.plan.digest, lasts_s=self.plan.order.lasts_s)
        interposition.current = self._deliveries
        self.renew()
        try:
            await self._inflict()
            self._end_faults()
            self._account.close(_now())
            self.state = State.SETTLING
            await self._settle()
            sums = reckoning(self._account, await self._busy_triggers())
            self._application = {name: await self._section(read) for name, read in self._parts.sections.items()}
            self._sums = sums
        finally:
            self._end_faults()
            self._cancel_lease()
            interposition.current = None
            self.state = State.OVER
            report("chaos.ended", seed=self.plan.order.seed, by=self.ended_by, **self._counts)

    def renew(self) -> None:
        """Renew the lease: whoever asked for the run is still there."""
        self._cancel_lease()
        if self.state is not State.OVER:
            why = f"the command has not been heard of for {LEASE_S:g} s"
            self._lease = asyncio.get_running_loop().call_later(LEASE_S, self.end, why)

    def end(self, by: str) -> None:
        """End the faults now, and wait no longer for events to end."""
        if self.state is not State.OVER and not self._stopping.is_set():
            self.ended_by = by
            self._end_faults()
            self._stopping.set()

    def _end_faults(self) -> None:
        self._deliveries.end()
        self._processes.undo()

    def _cancel_lease(self) -> None:
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None

    async def _inflict(self) -> None:
        for fault in self.plan.processes:
            if await self._stopped_until(fault.at_s):
                return
            self._process_hit(fault)
        await self._stopped_until(self.plan.order.lasts_s)

    async def _stopped_until(self, at_s: float) -> bool:
        """Wait until this time of the run; returns whether the run was stopped before."""
        waiting = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([waiting], timeout=max(0.0, at_s - self._at_s))
        finally:
            waiting.cancel()
        return self._stopping.is_set()

    async def _settle(self) -> None:
        began = time.monotonic()
        busy_at = began
        while self._account.unfinished and time.monotonic() - began < self._settle_s:
            if await self._stopped_until(self._at_s + _LOOK_EVERY_S):
                return
            if await self._busy_triggers():
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at >= QUIET_FOR_S:
                return

    @property
    def _at_s(self) -> float:
        return time.monotonic() - self._began

    # --- what happens meanwhile --------------------------------------------------------------------------------------

    def _process_hit(self, fault: ProcessFault) -> None:
        inflicted = self._processes.inflict(fault)
        self._counts[fault.kind if inflicted.pid is not None else f"{fault.kind} (nothing to hit)"] += 1
        self._line(kind=fault.kind.value, target=fault.target, planned_s=fault.at_s, **inflicted.as_dict())
        self._parts.report(
            "chaos.inflicted", fault=fault.kind.value, target=fault.target, pid=inflicted.pid, detail=inflicted.detail
        )

    def _delivery_hit(self, trigger: str, turn: Turn, fault: DeliveryFault) -> None:
        for kind in fault.kinds:
            self._counts[kind] += 1
            self._line(
                kind=kind.value,
                target=trigger,
                event=turn.course.number,
                attempt=turn.attempt,
                id=turn.record.id,
                **({"delay_s": round(fault.delay_s, 3)} if kind is fault.delay else {}),
            )

    def _line(self, **fields: Any) -> None:
        number = self._lines[-1]["number"] + 1 if self._lines else 1
        self._lines.append({"number": number, "at_s": round(self._at_s, 3), **fields})

    def observe(self, action: str, fields: Mapping[str, Any]) -> None:
        """Follow the runtime's reports: they say how events ended."""
        trigger, event_id = str(fields.get("trigger", "")), str(fields.get("id", ""))
        match action:
            case "delivery.accepted":
                self._account.end(trigger, event_id, End.ACKNOWLEDGED)
            case "event.dead_lettered":
                self._account.end(trigger, event_id, End.DEAD_LETTERED)
            case "event.lost":
                self._account.end(trigger, event_id, End.LOST, str(fields.get("why", "")))
            case "delivery.retried":
                self._account.note_failure(trigger, event_id, str(fields.get("outcome", "")))
            case "event.duplicate_dropped":
                self._refused_duplicates += 1
            case "event.accepted" if self.state is State.RUNNING:
                self._posted += 1

    def _expecting(self, broker: BrokerAddress, event: StoredEvent) -> Iterable[str]:
        for dispatcher in self._parts.brokers.dispatchers:
            route = dispatcher.route
            if route.broker == broker and passes(route.trigger.spec, event.texts):
                yield dispatcher.name

    async def _busy_triggers(self) -> set[str]:
        """Return the Triggers that have work. Where NATS cannot be asked, that is taken for work."""
        dispatchers = self._parts.brokers.dispatchers
        busy = {one.name for one in dispatchers if one.in_flight}
        for address, stream in self._parts.brokers.streams.items():
            here = [one for one in dispatchers if one.route.broker == address]
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    backlog = await stream.backlog()
            except (nats.errors.Error, DependencyUnavailableError, TimeoutError):
                busy |= {one.name for one in here}
                continue
            busy |= {one.name for one in here if backlog.get(consumer_name(one.route.trigger))}
        return busy

    @staticmethod
    async def _section(read: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await asyncio.to_thread(read)
        except DependencyUnavailableError as exc:
            return {"error": exc.detail}
        except TimeoutError:
            return {"error": f"no answer within {_ANSWER_WITHIN_S:g} s"}

    # --- what it tells -----------------------------------------------------------------------------------------------

    def as_dict(self, *, since: int = 0) -> dict[str, Any]:
        """Return the state, the lines after this number, and the reckoning once the run is over."""
        return {
            "id": self.id,
            "state": self.state.value,
            "at_s": round(self._at_s, 3),
            "unfinished": self._account.unfinished,
            "ended_by": self.ended_by,
            "lines": [line for line in self._lines if line["number"] > since],
            "reckoning": None if self._sums is None else self._reckoning(self._sums),
        }

    def _reckoning(self, sums: Reckoning) -> dict[str, Any]:
        return {
            "faults": {str(kind): count for kind, count in sorted(self._counts.items())},
            "accepted": sums.accepted,
            "posted": self._posted,
            "refused_duplicates": self._refused_duplicates,
            "left_out": sums.left_out,
            "triggers": [one.as_dict() for one in sums.triggers],
            "lost": [asdict(row) for row in sums.lost],
            "lost_count": sums.lost_count,
            "stuck": [asdict(row) for row in sums.stuck],
            "stuck_count": sums.stuck_count,
            "application": self._application,
        }


class Chaos:
    """At most one run at a time."""

    def __init__(self, parts: Parts, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._parts = parts
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self.latest: ChaosRun | None = None

    def observe(self, action: str, fields: Mapping[str, Any]) -> None:
        """Take a report of the runtime. Must be cheap: there is one for each delivery."""
        if self.latest is not None and self.latest.state is not State.OVER:
            self.latest.observe(action, fields)

    def plan(self, order: Order, *, mix: bool) -> Plan:
        """Draw the plan for an order; with `mix`, of all kinds of faults. Raises ChaosRefusedError."""
        killable = sorted(name for name, one in self._parts.servers.items() if isinstance(one, SupervisedServer))
        if mix:
            order = mixed(order, killable)
        triggers = {one.name: one for one in self._parts.brokers.dispatchers}
        services = {pool.revision.label for pool in self._parts.fleet.pools.values()}
        _check_names("Service", order.services, services)
        _check_names("Trigger", order.triggers, triggers)
        _check_names("server that runs here", order.servers, killable)
        chosen = self._chosen_triggers(order, triggers)
        if order.services:
            hit = sorted(order.services)
        elif order.triggers:
            hit = sorted(label for name in chosen if (label := self._subscriber(triggers[name])) is not None)
        else:
            hit = sorted(services)
        targets = Targets(
            services=tuple(dict.fromkeys(hit)), triggers=tuple(chosen), servers=tuple(sorted(set(order.servers)))
        )
        return draw(order, targets)

    def begin(self, plan: Plan, *, settle_s: float) -> ChaosRun:
        """Begin a run. Raises ChaosBusyError."""
        if self._task is not None and not self._task.done() and self.latest is not None:
            raise ChaosBusyError(
                f"a run of chaos with seed {self.latest.plan.order.seed} is under way: it ends with its command, or "
                f"{LEASE_S:g} s after that was killed"
            )
        self.latest = run = ChaosRun(plan, self._parts, settle_s=settle_s)
        self._task = self._spawn(run.run(), "chaos")
        return run

    def brokers(self) -> list[str]:
        """Return where events may be sent: each Broker as namespace/name."""
        return sorted(f"{namespace}/{name}" for namespace, name in self._parts.brokers.streams)

    def find(self, run_id: str) -> ChaosRun:
        """Return the latest run by its id. Raises ChaosRefusedError."""
        if self.latest is None or self.latest.id != run_id:
            raise ChaosRefusedError(f"there is no run of chaos {run_id!r}")
        return self.latest

    async def close(self) -> None:
        """End a run that is under way."""
        if self.latest is not None and self._task is not None:
            self.latest.end("the runtime stops")
            await asyncio.wait([self._task], timeout=2 * _ANSWER_WITHIN_S)

    def _chosen_triggers(self, order: Order, triggers: Mapping[str, Dispatcher]) -> list[str]:
        if order.triggers:
            return sorted(set(order.triggers))
        if order.services:
            return sorted(name for name, one in triggers.items() if self._subscriber(one) in order.services)
        return sorted(triggers)

    def _subscriber(self, dispatcher: Dispatcher) -> str | None:
        """Return the label of the Service to which a Trigger delivers; None if it is something else."""
        pools = self._parts.fleet.pools
        match locate(dispatcher.route.subscriber_name, pools):
            case ServiceTarget(service=service):
                return pools[service].revision.label
            case _:
                return None


def _check_names(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            there_is = f"there is {', '.join(names)}" if names else "there is none"
            raise ChaosRefusedError(f"there is no {kind} {name!r}{suggestion(name, names)}; {there_is}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
