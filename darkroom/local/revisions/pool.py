"""The instances of one Service: as many as the autoscaler wants and the machine carries, replaced when code changes.

Starting and stopping one is `instances`; who wants how many, and why, is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from darkroom.local.children.backoff import Backoff
from darkroom.local.errors import StartFailedError
from darkroom.local.reporting import Report
from darkroom.local.revisions.instances import Instance, InstanceState, Surroundings
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.manifests.revision import Revision
from darkroom.telemetry.platform_metrics import COLD_START_DURATION, COLD_STARTS
from darkroom.telemetry.tally import Tally

LAST_LINES_REPORTED = 20
SERVING = (InstanceState.STARTING, InstanceState.READY)


class Pool:
    """`scale_to` sets a wish and returns; reports and `on_change` tell what became of it."""

    def __init__(self, revision: Revision, surroundings: Surroundings, limit: InstanceLimit, report: Report) -> None:
        self.revision = revision
        """The one from which new instances are started."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when an instance has become ready or is gone: the activator hands out what waits."""
        self._surroundings = surroundings
        self._limit = limit
        self._report = report
        self._desired = 0
        self._instances: list[Instance] = []
        self._backoff = Backoff()
        self._hold: asyncio.TimerHandle | None = None
        """After a death nothing is started until this has run."""
        self._reported_cap: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.tally = Tally()
        """Of cold starts."""
        self.tally.begin(COLD_STARTS, revision.service)
        self.tally.begin(COLD_START_DURATION, revision.service)
        limit.join(self)

    @property
    def desired(self) -> int:
        return self._desired

    @property
    def instances(self) -> list[Instance]:
        """In whatever state, until their process is gone."""
        return list(self._instances)

    @property
    def ready(self) -> list[Instance]:
        return [one for one in self._instances if one.state is InstanceState.READY]

    @property
    def processes(self) -> int:
        return len(self._instances)

    @property
    def reserved(self) -> int:
        return self.revision.scaling.min_scale

    def scale_to(self, count: int) -> None:
        self._desired = count
        self.reconcile()

    def reconcile(self) -> None:
        """Towards the wish: start what is missing and allowed, drain what is too much."""
        if self._closing:
            return
        serving = self._serving(self.revision)
        for surplus in _dispensable(serving)[: max(0, len(serving) - self._desired)]:
            self._retire(surplus)
        missing = self._desired - len(self._serving(self.revision))
        if missing <= 0 or self._hold is not None:
            self._reported_cap = None
            return
        for _ in range(missing):
            if not self._limit.allows_one_more(self):
                self._tell_of_the_cap()
                return
            self._launch(self.revision)
        self._reported_cap = None

    async def replace(self, revision: Revision) -> bool:
        """From now on `revision`; those that run are drained once the new ones are ready.

        False: the first new one did not start, and the old ones serve on.
        """
        self._release_hold()
        old = [one for one in self._instances if one.state in SERVING]
        if old and not await self._proves_to_start(revision):
            return False
        replaced, self.revision = self.revision, revision
        self.reconcile()
        for new in self._serving(revision):
            await new.settled.wait()
        for instance in old:
            self._retire(instance)
        self._report("revision.replaced", service=revision.service, revision=revision.name, replaced=replaced.name)
        return True

    async def close(self, *, drain: bool = True) -> None:
        """End all instances; with `drain`, once their requests have ended. A second call may be less patient."""
        self._closing = True
        self._desired = 0
        self._cancel_hold()
        for instance in self.instances:
            self._retire(instance, drain=drain)
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        self._limit.leave(self)

    def _serving(self, revision: Revision) -> list[Instance]:
        return [one for one in self._instances if one.revision is revision and one.state in SERVING]

    async def _proves_to_start(self, revision: Revision) -> bool:
        """The first of a new revision runs beside the old ones, whatever the limit says: else nothing could change."""
        first = self._launch(revision)
        await first.settled.wait()
        return first.state is InstanceState.READY

    def _launch(self, revision: Revision) -> Instance:
        instance = Instance(revision, self._surroundings)
        self._instances.append(instance)
        self._begin(self._live(instance), f"{revision.name}: life")
        return instance

    def _retire(self, instance: Instance, *, drain: bool = True) -> None:
        """A second call finds it draining; then only an end without draining changes anything."""
        if instance.state in SERVING or not drain:
            self._begin(self._end(instance, drain=drain), f"{instance.revision.name}: end")

    async def _live(self, instance: Instance) -> None:
        """An instance's life, from its start until its process is gone."""
        try:
            await instance.start()
        except StartFailedError as error:
            self._remove_unstarted(instance, error)
            return
        self._report(
            "instance.ready", **_identity(instance), pid=_pid(instance), port=instance.port, ready_s=instance.ready_s
        )
        self._count_start(instance)
        self.on_change()
        if instance.process is not None:
            await instance.process.wait()
        await self._remove_ended(instance)

    def _count_start(self, instance: Instance) -> None:
        service = instance.revision.service
        self.tally.count(COLD_STARTS, service)
        self.tally.observe(COLD_START_DURATION, service, value=instance.ready_s or 0.0)

    async def _end(self, instance: Instance, *, drain: bool) -> None:
        starting = instance.state is InstanceState.STARTING
        if drain and not starting and not await instance.drain():
            self._report("instance.drain_timed_out", **_identity(instance), in_flight=instance.in_flight)
        await (instance.kill() if starting else instance.stop())

    def _remove_unstarted(self, instance: Instance, error: StartFailedError) -> None:
        self._instances.remove(instance)
        if error.retired:
            self._report("instance.stopped", **_identity(instance))
        else:
            self._tell_of_the_failed_start(instance, error)
        self._limit.room_was_made()

    def _tell_of_the_failed_start(self, instance: Instance, error: StartFailedError) -> None:
        fields = {**_identity(instance), "detail": error.reason, "last_lines": list(error.last_lines)}
        if instance.revision is self.revision:
            delay_s = self._hold_back(uptime_s=0)
            self._report("instance.start_failed", **fields, retry_in_s=delay_s)
        else:
            self._report("revision.failed", **fields, serving=self.revision.name)

    async def _remove_ended(self, instance: Instance) -> None:
        self._instances.remove(instance)
        if instance.state is InstanceState.STOPPED:
            self._report("instance.stopped", **_identity(instance))
        else:
            await self._bury(instance)
        self.on_change()
        self._limit.room_was_made()

    async def _bury(self, instance: Instance) -> None:
        """It died by itself, or was killed by somebody else."""
        process, in_flight = instance.process, instance.in_flight
        await instance.kill()
        if process is None:
            return
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

    def _hold_back(self, *, uptime_s: float) -> float:
        """Start nothing for a while, the longer the more often it happens. Returns how long."""
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
        """The code has changed: what failed so far says nothing any more."""
        self._cancel_hold()
        self._backoff.reset()

    def _tell_of_the_cap(self) -> None:
        if self._reported_cap != self._desired:
            self._reported_cap = self._desired
            self._report(
                "scale.capped",
                service=self.revision.service,
                wanted=self._desired,
                granted=len(self._serving(self.revision)),
                limit=self._limit.most,
            )

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _dispensable(instances: list[Instance]) -> list[Instance]:
    """Those that are not ready yet first, then those with the fewest requests; of equals the newest."""
    newest_first = reversed(instances)
    return sorted(newest_first, key=lambda one: (one.state is InstanceState.READY, one.in_flight))


def _identity(instance: Instance) -> dict[str, Any]:
    return {"service": instance.revision.service, "revision": instance.revision.name}


def _pid(instance: Instance) -> int | None:
    return None if instance.process is None else instance.process.pid
