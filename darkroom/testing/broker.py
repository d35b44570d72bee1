"""The Broker that a test holds: it sends events, waits for what becomes of them, and takes the place of subscribers.

Everything here is synchronous, and may be called from any of the test's threads, handlers included.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from nats.aio.client import Client

from darkroom.events import cloudevents
from darkroom.events.cloudevents import AttributeValue, CloudEvent
from darkroom.local.eventing.broker import BrokerAddress
from darkroom.local.eventing.filters import attribute_texts, passes
from darkroom.local.eventing.flows import planned_channels
from darkroom.local.eventing.ping import ping_event
from darkroom.manifests import PingSource, Trigger, with_namespace
from darkroom.manifests.errors import suggestion
from darkroom.manifests.project import Project
from darkroom.testing.clocks import ClockName, ManualClock, clock_of
from darkroom.testing.errors import ProjectError, TestingError
from darkroom.testing.handlers import Handler
from darkroom.testing.in_process import InProcess
from darkroom.testing.project import load_manifests
from darkroom.testing.recorder import DeliveryAttempt, LostEvent, Recorder, distinct
from darkroom.testing.routing import Routing
from darkroom.testing.server import NatsServer
from darkroom.testing.streams import Backlog, backlogs

WITHIN_S = 5.0
"""How long a test waits for what it asks for, unless it says otherwise."""
SOURCE = "/tests"
START_WITHIN_S = 20.0
START_PROCESSES_WITHIN_S = 90.0
PING_TIMEOUT_S = 60.0
POLL_S = 0.005

Found = TypeVar("Found")


class _Runtime(Protocol):
    async def start(self) -> None: ...

    async def publish(self, address: BrokerAddress, event: CloudEvent) -> None: ...

    async def ingress_url(self) -> str: ...

    async def close(self) -> None: ...


class Broker:
    """The Brokers and Triggers of a project's own YAML, on a real nats-server."""

    def __init__(
        self,
        project: Project,
        server: NatsServer,
        *,
        processes: bool = False,
        clock: ClockName = "skip",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start. Raises ProjectError, and what the runtime raises if it cannot start; then nothing is left running.

        `processes`: run the project's functions, as `darkroom up` does; else each Trigger's subscriber is a handler of
        the test's, or takes every event and says nothing. `settings` are variables of functions, such as secrets.
        """
        began = time.perf_counter()
        self.manifests = load_manifests(project)
        self._server = server
        self._thread = server.thread
        self._recorder = Recorder()
        self._clock = clock_of(clock)
        self._routing = Routing(self.manifests, self._recorder, self._clock, processes=processes)
        self._sent: list[CloudEvent] = []
        self._account = server.take_account()
        self._connection: Client | None = None
        self._folder = server.next_folder()
        self._is_in_process = not processes
        try:
            self._runtime = self._make_runtime(project, settings or {}, processes=processes)
            self._thread.run(self._start(), START_PROCESSES_WITHIN_S if processes else START_WITHIN_S)
        except BaseException:
            self.close()
            raise
        self.ready_s = time.perf_counter() - began
        """Seconds from the manifests to the first Trigger that delivers."""

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(
        self,
        type: str,
        data: Any = None,
        *,
        source: str = SOURCE,
        id: str | None = None,
        subject: str | None = None,
        datacontenttype: str | None = None,
        broker: str | None = None,
        **extensions: AttributeValue,
    ) -> CloudEvent:
        """Send an event; returns it once the Broker has stored it.

        `data` is written as JSON, except for bytes, which are sent as they are. `broker` is a Broker's name, or
        `namespace/name`, or a channel's; it may be left out where there is only one. Raises EventInvalidError.
        """
        is_raw = isinstance(data, bytes)
        media_type = datacontenttype or (
            None if data is None else "application/octet-stream" if is_raw else "application/json"
        )
        event = CloudEvent(
            id=id or str(uuid4()),
            source=source,
            type=type,
            subject=subject,
            time=datetime.now(UTC),
            datacontenttype=media_type,
            extensions=extensions,
            data=data if data is None or is_raw else json.dumps(data, allow_nan=False).encode(),
        )
        return self.publish(event, broker=broker)

    def publish(self, event: CloudEvent, *, broker: str | None = None) -> CloudEvent:
        """Send a whole event; returns it once the Broker has stored it. Raises EventInvalidError."""
        checked = cloudevents.from_json_object(cloudevents.lossless_json_object(event))
        self._sent.append(checked)
        self._thread.run(self._runtime.publish(self._address(broker), checked), WITHIN_S)
        return checked

    def ping(self, name: str) -> CloudEvent:
        """Send a PingSource's event to its sink now, whatever its schedule; returns the event."""
        source = self._ping_source(name)
        event = ping_event(source, at=datetime.now(UTC))
        sink = with_namespace(source.spec.sink, source.namespace)
        to = self._routing.name_of(sink)
        kind, _, address = to.partition("/")
        if kind in ("broker", "channel"):
            return self.publish(event, broker=address)
        if not self._is_in_process:
            raise TestingError(f"the PingSource {name} sends to {to}: with processes it does so by its schedule only")
        deliver = self._routing.deliver_by(f"pingsource/{name}", to)

        async def ping() -> None:
            await deliver(event, PING_TIMEOUT_S)

        self._thread.run(ping())
        self._raise_failure()
        return event

    @property
    def url(self) -> str:
        """The address for events over HTTP, as `K_SINK` has it; of the only Broker."""
        return f"{self._thread.run(self._runtime.ingress_url())}/{'/'.join(self._address(None))}"

    # --- subscribers -------------------------------------------------------------------------------------------------

    def subscribe(self, name: str, handler: Handler) -> None:
        """Let a Python callable take the place of a subscriber, from the next delivery on.

        `name` is a Trigger's, or where something is delivered to: `service/NAME` for everything that this Service gets,
        dead letters included. The handler is given the CloudEvent, in a thread of its own. It returns None (204), an
        event (200, the reply) or a status code, or raises: TimeoutError is no answer in time, ConnectionError no
        connection, everything else a 500. A failed assertion in it also fails the test, at its next call of this
        Broker or at its end.
        """
        __tracebackhide__ = True
        self._routing.subscribe(name, handler)

    # --- what happened -----------------------------------------------------------------------------------------------

    def received(self, name: str, *, within: float = WITHIN_S, count: int = 1) -> list[CloudEvent]:
        """Return the events that were delivered by a Trigger, or to `service/NAME`, whatever was answered.

        Each is there once, in the order of the first attempts. Waits until there are `count`, and raises
        AssertionError if there are not that many within `within` seconds. With `count=0` it waits until nothing is left
        to deliver.
        """
        __tracebackhide__ = True
        self._routing.require(name)

        def look() -> list[CloudEvent]:
            by_trigger = name in self._routing.routes
            attempts = self._recorder.attempts()
            return distinct(
                each.event
                for each in attempts
                if (each.to == name if not by_trigger else each.trigger == name and not each.is_dead_letter)
            )

        return self._await(look, f"{name} received", within=within, count=count)

    def dead_letters(self, trigger: str | None = None, *, within: float = WITHIN_S, count: int = 1) -> list[CloudEvent]:
        """Return the dead letters that a Trigger's dead-letter sink has taken, with the `knativeerror...` extensions.

        All Triggers' if none is named. Waits as `received` does.
        """
        __tracebackhide__ = True

        def look() -> list[CloudEvent]:
            return [each.event for each in self._of(trigger) if each.is_dead_letter and each.succeeded]

        return self._await(look, f"dead letters of {trigger or 'all Triggers'}", within=within, count=count)

    def replies(self, trigger: str | None = None, *, within: float = WITHIN_S, count: int = 1) -> list[CloudEvent]:
        """Return the events with which subscribers answered, and which went back to the Broker. Waits likewise."""
        __tracebackhide__ = True

        def look() -> list[CloudEvent]:
            return [each.reply for each in self._of(trigger) if each.reply is not None and not each.is_dead_letter]

        return self._await(look, f"replies to {trigger or 'all Triggers'}", within=within, count=count)

    def lost(self, trigger: str | None = None, *, within: float = WITHIN_S, count: int = 1) -> list[LostEvent]:
        """Return the events that a Trigger gave up without a dead letter, and why. Waits likewise."""
        __tracebackhide__ = True
        self._require_trigger(trigger)

        def look() -> list[LostEvent]:
            return [each for each in self._recorder.lost() if trigger in (None, each.trigger)]

        return self._await(look, f"events lost by {trigger or 'all Triggers'}", within=within, count=count)

    def attempts(
        self,
        event: CloudEvent | str | None = None,
        trigger: str | None = None,
        *,
        within: float = WITHIN_S,
        count: int = 1,
    ) -> list[DeliveryAttempt]:
        """Return the attempts to deliver, without those of dead letters: of an event, or of all. Waits likewise.

        `event` may be an id.
        """
        __tracebackhide__ = True

        def look() -> list[DeliveryAttempt]:
            return [each for each in self._of(trigger) if not each.is_dead_letter and _is(each.event, event)]

        wanted = "all events" if event is None else event if isinstance(event, str) else f"{event.type} {event.id}"
        return self._await(look, f"attempts to deliver {wanted}", within=within, count=count)

    def delays(self, event: CloudEvent | str, trigger: str | None = None) -> list[float]:
        """Return the backoff, in seconds, that was asked for after each attempt so far, whatever the clock made of it.

        Does not wait.
        """
        attempts = [each for each in self._of(trigger) if not each.is_dead_letter and _is(each.event, event)]
        return [each.delay_s for each in attempts if each.delay_s is not None]

    def settled(self, *, within: float = WITHIN_S) -> None:
        """Wait until every event has come to an end: taken, dead-lettered or lost. Raises AssertionError otherwise.

        What a function process sends after it has answered is not known before it arrives.
        """
        __tracebackhide__ = True
        self._wait_for_streams(lambda trigger, left: False, "settled", within)

    # --- the clock ---------------------------------------------------------------------------------------------------

    def advance(self, seconds: float, *, within: float = WITHIN_S) -> None:
        """Let time pass for what waits out its backoff, and wait until what is due by then was tried again.

        For `clock="manual"`. First waits until nothing but the clock holds deliveries back.
        """
        clock = self._clock
        if not isinstance(clock, ManualClock):
            raise TestingError('only the clock "manual" can be advanced: @pytest.mark.darkroom(clock="manual")')

        async def advance() -> None:
            clock.advance(seconds)

        self._wait_for_the_clock(within)
        self._thread.run(advance())
        self._wait_for_the_clock(within)

    def _wait_for_the_clock(self, within_s: float) -> None:
        def is_held(trigger: str, left: Backlog) -> bool:
            full = self._routing.routes[trigger].consumer.max_ack_pending
            # What waits behind those that the clock holds has no room among the deliveries in flight.
            return left.unacked == self._clock.held(trigger) and (not left.waiting or left.unacked >= full)

        self._wait_for_streams(is_held, "waiting for nothing but the clock", within_s)

    # --- its end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything, and delete the streams. Raises what a handler's assertion raised and no call has yet."""
        try:
            self._thread.run(self._close())
        finally:
            self._account = ""
        self._raise_failure()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _make_runtime(self, project: Project, settings: Mapping[str, str], *, processes: bool) -> _Runtime:
        url, report = self._server.url(self._account), self._recorder.report
        if not processes:
            return InProcess(self.manifests, url, self._routing.adapt, report)
        # Here, because it needs everything that `darkroom up` needs.
        from darkroom.testing.processes import Processes

        return Processes(project, self._folder, url, self._routing.adapt, report, settings)

    async def _start(self) -> None:
        self._connection = await self._server.connect(self._account)
        await self._runtime.start()

    async def _close(self) -> None:
        self._clock.release()
        if hasattr(self, "_runtime"):
            await self._runtime.close()
        if self._connection is not None:
            await self._server.give_back(self._account, self._connection)
            await self._connection.close()
            self._connection = None

    def _address(self, name: str | None) -> BrokerAddress:
        addresses = [(broker.namespace, broker.name) for broker in self.manifests.brokers]
        channels = [plan.address for plan in planned_channels(self.manifests)]
        if name is not None or not addresses:
            addresses += channels
        found = [each for each in addresses if name is None or name in (each[1], "/".join(each))]
        if len(found) == 1:
            return found[0]
        known = ", ".join("/".join(each) for each in addresses)
        if name is None or found:
            raise ProjectError(f"there are several, say which with broker=: {known}")
        raise ProjectError(f"there is no Broker {name!r}; there is {known}")

    def _ping_source(self, name: str) -> PingSource:
        sources = {source.name: source for source in self.manifests.ping_sources}
        if name not in sources:
            raise ProjectError(f"there is no PingSource {name!r}{suggestion(name, sources)}; {_listed(list(sources))}")
        return sources[name]

    def _require_trigger(self, trigger: str | None) -> None:
        __tracebackhide__ = True
        routes = self._routing.routes
        if trigger is not None and trigger not in routes:
            raise ProjectError(f"there is no Trigger {trigger!r}{suggestion(trigger, routes)}; {_listed(list(routes))}")

    def _of(self, trigger: str | None) -> list[DeliveryAttempt]:
        __tracebackhide__ = True
        self._require_trigger(trigger)
        return [each for each in self._recorder.attempts() if trigger in (None, each.trigger)]

    def _await(self, look: Callable[[], Sequence[Found]], what: str, *, within: float, count: int) -> list[Found]:
        __tracebackhide__ = True
        if count == 0:
            self.settled(within=within)
            return list(look())
        is_there = self._recorder.wait_until(lambda: len(look()) >= count, within)
        self._raise_failure()
        if not is_there:
            raise AssertionError(f"{what}: {len(look())} of {count} within {within:g} s\n{self._account_of_events()}")
        return list(look())

    def _wait_for_streams(self, may_be_left: Callable[[str, Backlog], bool], state: str, within_s: float) -> None:
        __tracebackhide__ = True
        ends_at = time.monotonic() + within_s
        while True:
            activity = self._recorder.activity
            left = self._thread.run(self._backlogs())
            self._raise_failure()
            in_the_way = {name: each for name, each in left.items() if not may_be_left(name, each)}
            # A delivery in the meantime may have put an event into a stream that was looked at before.
            if not in_the_way and self._recorder.activity == activity:
                return
            if time.monotonic() > ends_at:
                shown = "; ".join(
                    f"{name}: {each.waiting} waiting, {each.unacked} unacked" for name, each in left.items()
                )
                raise AssertionError(f"not {state} within {within_s:g} s: {shown}\n{self._account_of_events()}")
            time.sleep(POLL_S)

    async def _backlogs(self) -> dict[str, Backlog]:
        if self._connection is None:
            raise TestingError("the Broker is closed")
        return await backlogs(self._connection, self._routing.routes)

    def _raise_failure(self) -> None:
        __tracebackhide__ = True
        failure = self._recorder.take_failure()
        if failure is not None:
            raise failure

    def _account_of_events(self) -> str:
        """Describe what was sent, which Triggers wanted it, and what came of it, for a failure's message."""
        lines = [f"  sent {event.type} {event.id}: {self._wanted_by(event)}" for event in self._sent]
        lines += [f"  {attempt}" for attempt in self._recorder.attempts()]
        lines += [f"  lost by {each.trigger}: {each.type} {each.id}: {each.why}" for each in self._recorder.lost()]
        lines += [f"  {note}" for note in self._recorder.notes()]
        return "\n".join(lines or ["  nothing was sent and nothing was delivered"])

    def _wanted_by(self, event: CloudEvent) -> str:
        texts = attribute_texts(event.attributes())
        triggers = [(name, route.receiver) for name, route in self._routing.routes.items()]
        names = [name for name, each in triggers if isinstance(each, Trigger) and passes(each.spec, texts)]
        return f"passes the filter of {', '.join(names)}" if names else "passes the filter of no Trigger"


def _is(event: CloudEvent, wanted: CloudEvent | str | None) -> bool:
    match wanted:
        case None:
            return True
        case str():
            return event.id == wanted
        case CloudEvent():
            return (event.id, event.source) == (wanted.id, wanted.source)


def _listed(names: list[str]) -> str:
    return f"there is {', '.join(names)}" if names else "there is none"
