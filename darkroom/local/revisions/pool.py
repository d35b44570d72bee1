"""The instances of one Service: as many as the autoscaler wants and the machine allows, replaced when code changes.

Starting and stopping a single instance is in `instances`. The desired number is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from darkroom.local.children.backoff import Backoff
from darkroom.local.children.reasons import reason_in
from darkroom.local.errors import StartFailedError
from darkroom.local.reporting import Report
from darkroom.local.revisions.instances import Instance, InstanceContext, InstanceState
from darkroom.local.revisions.launching import AddressLaunch, Launch, NoLaunch
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.queueing import surplus
from darkroom.manifests.revision import Revision
from darkroom.telemetry.platform_metrics import COLD_START_DURATION, COLD_STARTS
from darkroom.telemetry.tally import Tally

LAST_LINES_REPORTED = 20
GRPC_NOTE = "its grpc probe is made as a tcpSocket probe: gRPC probes are not supported here"
FAILING_AFTER = 3
"""Failed starts in a row after which requests are answered instead of kept waiting."""
KEPT_STATES = (InstanceState.STARTING, InstanceState.READY, InstanceState.UNREADY)
"""The states of instances that count towards the desired number."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Instances that failed to start or died, one after the other."""

    since: float
    """Seconds since the epoch."""
    last_at: float
    failures: int
    failed_starts: int
    """In a row, up to now."""
    reason: str
    """Of the last one, with the line of its output that says why."""
    last_lines: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A new revision that did not start, so that the one before it serves on."""

    at: float
    """Seconds since the epoch."""
    revision: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Pool:
    """The instances of one Service.

    `scale_to` sets the desired number and returns at once. Reports and `on_change` announce the results.
    """

    def __init__(self, revision: Revision, context: InstanceContext, limit: InstanceLimit, report: Report) -> None:
        self.revision = revision
        """The revision of new instances."""
        self.revision_at = time.time()
        """Since when it is this one, in seconds since the epoch."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when an instance has become ready or is gone, so that the activator can assign waiting requests."""
        self.on_failing: Callable[[], None] = lambda: None
        """Called when another start has failed while `is_failing`."""
        self._latest_number = revision.number
        self._context = context
        self._limit = limit
        self._report = report
        self._desired = 0
        self._instances: list[Instance] = []
        self._backoff = Backoff()
        self._hold: asyncio.TimerHandle | None = None
        """Set after a death: nothing is started until it has run."""
        self._trouble: Trouble | None = None
        self._failed_starts = 0
        """In a row."""
        self.refused: Refused | None = None
        """The latest revision, as long as it did not start and an earlier one serves."""
        self._reported_cap: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.tally = Tally()
        """Counts cold starts."""
        self.tally.begin(COLD_STARTS, revision.label)
        self.tally.begin(COLD_START_DURATION, revision.label)
        limit.join(self)

    @property
    def desired(self) -> int:
        return self._desired

    @property
    def instances(self) -> list[Instance]:
        """Return all instances whose process is not gone yet, in any state."""
        return list(self._instances)

    @property
    def ready(self) -> list[Instance]:
        return [one for one in self._instances if one.state is InstanceState.READY]

    @property
    def processes(self) -> int:
        return len(self._instances)

    @property
    def limit(self) -> int:
        """Return how many processes this machine has room for, all Services together."""
        return self._limit.most

    @property
    def reserved(self) -> int:
        return self.revision.scaling.min_scale

    @property
    def launch(self) -> Launch:
        """Return how new instances are started."""
        return self._context.launcher.find(self.revision)

    @property
    def not_run(self) -> str:
        """Return why there are no instances, if no way to start them is known."""
        launch = self.launch
        return f"{self.revision.label}: {launch.reason}" if isinstance(launch, NoLaunch) else ""

    @property
    def remarks(self) -> list[str]:
        """Return sentences about why there are no instances, or what may keep them from working."""
        if self.not_run:
            return [self.not_run]
        checks = (self.revision.startup, self.revision.readiness, self.revision.liveness)
        grpc = [GRPC_NOTE] if any(check is not None and check.is_grpc for check in checks) else []
        return [f"{self.revision.label}: {note}" for note in (*self.launch.notes, *grpc)]

    @property
    def trouble(self) -> Trouble | None:
        """Return what is wrong with the Service's instances; None once one has been up for a while."""
        is_over = any(one.uptime_s >= self._backoff.reset_after_s for one in self.ready)
        return None if is_over else self._trouble

    @property
    def is_failing(self) -> bool:
        """Report whether the latest starts have failed, and nothing is ready or starting."""
        if self.not_run and not self._instances:
            return True
        return self._failed_starts >= FAILING_AFTER and self._hold is not None and not self._kept(self.revision)

    def next_number(self) -> int:
        """Return a revision number that no revision has had, also not one that failed to start."""
        self._latest_number = max(self._latest_number, self.revision.number) + 1
        return self._latest_number

    def scale_to(self, count: int) -> None:
        self._desired = count
        self.reconcile()

    def reconcile(self) -> None:
        """Move towards the desired number: start missing instances within the limit, and drain surplus ones."""
        if self._closing or self.not_run:
            return
        # Somebody else's server is one, however many requests there are.
        wanted = min(self._desired, 1) if isinstance(self.launch, AddressLaunch) else self._desired
        kept = self._kept(self.revision)
        for instance in surplus(kept, wanted):
            self._retire(instance)
        missing = wanted - len(self._kept(self.revision))
        if missing <= 0 or self._hold is not None:
            self._reported_cap = None
            return
        for _ in range(missing):
            if not self._limit.allows_one_more(self):
                self._report_cap()
                return
            self._launch(self.revision)
        self._reported_cap = None

    async def replace(self, revision: Revision, *, if_it_starts: bool = True) -> bool:
        """Replace the revision, and drain the old instances once the new ones are ready.

        With `if_it_starts`, returns False if the first new instance did not start; then the old ones keep serving.
        """
        self._release_hold()
        self.refused = None
        old = [one for one in self._instances if one.state in KEPT_STATES]
        if if_it_starts and old and not await self._first_instance_starts(revision):
            return False
        replaced, self.revision, self.revision_at = self.revision, revision, time.time()
        self.reconcile()
        for new in self._kept(revision):
            await new.settled.wait()
        for instance in old:
            self._retire(instance)
        self._report("revision.replaced", service=revision.label, revision=revision.name, replaced=replaced.name)
        return True

    async def close(self, *, drain: bool = True) -> None:
        """End all instances; with `drain`, after their requests have ended. May be called again without `drain`."""
        self._closing = True
        self._desired = 0
        self._cancel_hold()
        for instance in self.instances:
            self._retire(instance, drain=drain)
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        self._limit.leave(self)

    def _kept(self, revision: Revision) -> list[Instance]:
        return [one for one in self._instances if one.revision is revision and one.state in KEPT_STATES]

    async def _first_instance_starts(self, revision: Revision) -> bool:
        """Start the first instance of a new revision beside the old ones, ignoring the limit, which may be reached."""
        first = self._launch(revision)
        await first.settled.wait()
        return first.state is InstanceState.READY

    def _launch(self, revision: Revision) -> Instance:
        instance = Instance(revision, self._context)
        self._instances.append(instance)
        self._spawn(self._run(instance), f"{revision.name}: life")
        return instance

    def _retire(self, instance: Instance, *, drain: bool = True) -> None:
        """Drain and end an instance. If it is draining already, only a call without `drain` has an effect."""
        if instance.state in KEPT_STATES or not drain:
            self._spawn(self._end(instance, drain=drain), f"{instance.revision.name}: end")

    async def _run(self, instance: Instance) -> None:
        """Run an instance from its start until its process is gone."""
        try:
            await instance.start()
        except StartFailedError as error:
            self._remove_unstarted(instance, error)
            return
        self._report(
            "instance.ready", **_identity(instance), pid=_pid(instance), port=instance.port, ready_s=instance.ready_s
        )
        self._count_start(instance)
        if self._failed_starts:
            self._failed_starts, self._trouble = 0, None
        self.on_change()
        watching = asyncio.create_task(self._watch(instance), name=f"{instance.revision.name}: readiness")
        try:
            await instance.wait()
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        await self._remove_ended(instance)

    async def _watch(self, instance: Instance) -> None:
        def changed() -> None:
            answer = "" if instance.readiness is None else instance.readiness.last_answer
            action = "instance.unready" if instance.state is InstanceState.UNREADY else "instance.ready_again"
            self._report(action, **_identity(instance), pid=_pid(instance), detail=answer)
            self.on_change()

        def unhealthy(answer: str) -> None:
            self._report("instance.unhealthy", **_identity(instance), pid=_pid(instance), detail=answer)

        await instance.watch(changed, unhealthy)

    def _count_start(self, instance: Instance) -> None:
        service = instance.revision.label
        self.tally.count(COLD_STARTS, service)
        self.tally.observe(COLD_START_DURATION, service, value=instance.ready_s or 0.0)

    async def _end(self, instance: Instance, *, drain: bool) -> None:
        starting = instance.state is InstanceState.STARTING
        if drain and not starting and not await instance.drain():
            self._report("instance.drain_timed_out", **_identity(instance), in_flight=instance.in_flight)
        await (instance.kill() if starting or not drain else instance.stop())

    def _remove_unstarted(self, instance: Instance, error: StartFailedError) -> None:
        self._instances.remove(instance)
        if error.retired:
            self._report("instance.stopped", **_identity(instance))
        else:
            self._report_failed_start(instance, error)
        self._limit.offer_room()

    def _report_failed_start(self, instance: Instance, error: StartFailedError) -> None:
        fields = {**_identity(instance), "detail": error.reason, "last_lines": list(error.last_lines)}
        if instance.revision is self.revision:
            self._failed_starts += 1
            self._note(error.reason, error.last_lines)
            delay_s = self._hold_back(uptime_s=0)
            self._report("instance.start_failed", **fields, retry_in_s=delay_s)
            if self.is_failing:
                self.on_failing()
        else:
            cause = reason_in(error.last_lines)
            reason = f"{error.reason}: {cause}" if cause else error.reason
            self.refused = Refused(at=time.time(), revision=instance.revision.name, reason=reason)
            self._report("revision.failed", **fields, serving=self.revision.name)

    async def _remove_ended(self, instance: Instance) -> None:
        self._instances.remove(instance)
        if instance.state is InstanceState.STOPPED:
            self._report("instance.stopped", **_identity(instance))
        else:
            await self._clean_up_dead(instance)
        self.on_change()
        self._limit.offer_room()

    async def _clean_up_dead(self, instance: Instance) -> None:
        """Clean up and report an instance that died, or was killed by somebody else."""
        process, in_flight = instance.process, instance.in_flight
        await instance.kill()
        if process is None:
            reason = f"nobody listens at http://{instance.address} any more"
            self._note(reason, ())
            delay_s = self._hold_back(uptime_s=instance.uptime_s)
            self._report("instance.died", **_identity(instance), detail=reason, in_flight=in_flight, retry_in_s=delay_s)
            return
        self._note(f"{instance.revision.name} ended with {process.returncode}", process.last_lines)
        delay_s = self._hold_back(uptime_s=process.uptime_s)
        self._report(
            "instance.died",
            **_identity(instance),
            pid=process.pid,
            returncode=process.returncode,
            uptime_s=process.uptime_s,
            in_flight=in_flight,
            retry_in_s=delay_s,
            last_lines=list(process.last_lines)[-LAST_LINES_REPORTED:],
        )

    def _note(self, reason: str, last_lines: Sequence[str]) -> None:
        """Keep a failure for the status."""
        earlier = self.trouble
        cause = reason_in(last_lines)
        self._trouble = Trouble(
            since=time.time() if earlier is None else earlier.since,
            last_at=time.time(),
            failed_starts=self._failed_starts,
            failures=1 if earlier is None else earlier.failures + 1,
            reason=f"{reason}: {cause}" if cause else reason,
            last_lines=tuple(last_lines)[-LAST_LINES_REPORTED:],
        )

    def _hold_back(self, *, uptime_s: float) -> float:
        """Start nothing for a while, longer each time. Returns the delay in seconds."""
        self._cancel_hold()
        delay_s = self._backoff.next_delay_s(uptime_s=uptime_s)
        if not self._closing:
            self._hold = asyncio.get_running_loop().call_later(delay_s, self._end_hold)
        return delay_s

    def _end_hold(self) -> None:
        self._hold = None
        self.reconcile()

    def _cancel_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _release_hold(self) -> None:
        """Allow starts again after the code has changed: earlier failures no longer mean anything."""
        self._cancel_hold()
        self._backoff.reset()
        self._failed_starts, self._trouble = 0, None

    def _report_cap(self) -> None:
        if self._reported_cap != self._desired:
            self._reported_cap = self._desired
            self._report(
                "scale.capped",
                service=self.revision.label,
                wanted=self._desired,
                granted=len(self._kept(self.revision)),
                limit=self._limit.most,
            )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _identity(instance: Instance) -> dict[str, Any]:
    return {"service": instance.revision.label, "revision": instance.revision.name}


def _pid(instance: Instance) -> int | None:
    return None if instance.process is None else instance.process.pid
