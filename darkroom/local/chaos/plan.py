"""Which faults happen, drawn from a seed before the run begins. Pure: the same order draws the same plan, to the byte.

There are two sorts. Faults of processes (kill, pause, server) have a time and a target, drawn in advance. Faults of
deliveries (slow, fail, duplicate, drop the reply) are decided one by one, by a hash of the seed, the Trigger, the
event's number at that Trigger, and the attempt. They depend neither on the clock nor on ids, so that two runs can be
compared.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0
USUAL_INTERVAL_S = 5.0


class FaultKind(StrEnum):
    KILL = "kill"
    """SIGKILL to an instance of a Service."""
    PAUSE = "pause"
    """SIGSTOP to an instance of a Service, and SIGCONT after a while."""
    SERVER = "server"
    """SIGKILL to a server that the runtime runs, which is started again."""
    SLOW_REQUEST = "slow request"
    """The delivery reaches the function late."""
    SLOW_ANSWER = "slow answer"
    """The function's answer arrives late."""
    FAIL_BEFORE = "fail before"
    """503, and the function was not called."""
    FAIL_AFTER = "fail after"
    """503, although the function has done its work."""
    DUPLICATE = "duplicate"
    """The event is delivered twice, and both answers count."""
    DROP_REPLY = "drop reply"
    """The function has done its work, and its answer is lost with the connection."""


PROCESS_FAULTS = (FaultKind.KILL, FaultKind.PAUSE, FaultKind.SERVER)


@dataclass(frozen=True, kw_only=True)
class Slowness:
    shortest_s: float
    longest_s: float
    share: float = 1.0
    """Of the deliveries."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the user asks for."""

    seed: int
    lasts_s: float = 60.0
    interval_s: float | None = None
    """Between two faults of processes, on average; None: 5 s, or less where each kind would not have its turn."""
    services: tuple[str, ...] = ()
    """Empty: all."""
    triggers: tuple[str, ...] = ()
    """Empty: all, or those of the Services that are named."""
    servers: tuple[str, ...] = ()
    kill: bool = False
    pause: bool = False
    slow: Slowness | None = None
    fail: float = 0.0
    """Shares of the deliveries, 0 to 1."""
    duplicate: float = 0.0
    drop_reply: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.fail, self.duplicate, self.drop_reply)
        if any(not 0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError(
                f"fail, duplicate and drop-reply are shares of the same deliveries: each from 0% to 100%, and at most "
                f"100% together, were {', '.join(f'{share:.4g}' for share in shares)}"
            )


def mixed(order: Order, servers: Sequence[str]) -> Order:
    """Return the order with a mix of all faults, for a user who names none. `servers` are those that can be killed."""
    return Order(
        seed=order.seed,
        lasts_s=order.lasts_s,
        interval_s=order.interval_s,
        services=order.services,
        triggers=order.triggers,
        servers=tuple(servers),
        kill=True,
        pause=True,
        slow=Slowness(shortest_s=0.2, longest_s=2.0, share=0.1),
        fail=0.1,
        duplicate=0.05,
        drop_reply=0.05,
    )


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the faults may hit: names, each kind sorted."""

    services: tuple[str, ...]
    triggers: tuple[str, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ProcessFault:
    at_s: float
    """After the run's start."""
    kind: FaultKind
    target: str
    """A Service or a server."""
    lasts_s: float = 0.0
    """Of a pause."""
    pick: float = 0.0
    """Which of a Service's instances, from 0 to 1, oldest to newest."""


@dataclass(frozen=True, kw_only=True)
class DeliveryFault:
    """What happens to one attempt to deliver one event; at most one kind of failure, and perhaps a delay."""

    failure: FaultKind | None = None
    delay: FaultKind | None = None
    delay_s: float = 0.0

    @property
    def kinds(self) -> tuple[FaultKind, ...]:
        return tuple(kind for kind in (self.delay, self.failure) if kind is not None)


NO_FAULT = DeliveryFault()


@dataclass(frozen=True, kw_only=True)
class Plan:
    order: Order
    targets: Targets
    processes: tuple[ProcessFault, ...] = field(default=())

    def of_delivery(self, trigger: str, number: int, attempt: int) -> DeliveryFault:
        """Decide about an attempt, from 1, to deliver a Trigger's event with this number, from 1."""
        order = self.order
        if trigger not in self.targets.triggers:
            return NO_FAULT

        def drawn(what: str) -> float:
            return fraction(order.seed, trigger, number, attempt, what)

        delay, delay_s = None, 0.0
        if order.slow is not None and drawn("slow") < order.slow.share:
            delay = FaultKind.SLOW_REQUEST if drawn("side") < 0.5 else FaultKind.SLOW_ANSWER
            delay_s = order.slow.shortest_s + drawn("delay") * (order.slow.longest_s - order.slow.shortest_s)
        return DeliveryFault(failure=self._failure(drawn("failure"), drawn("when")), delay=delay, delay_s=delay_s)

    def _failure(self, which: float, when: float) -> FaultKind | None:
        order = self.order
        if which < order.fail:
            return FaultKind.FAIL_BEFORE if when < 0.5 else FaultKind.FAIL_AFTER
        if which < order.fail + order.duplicate:
            return FaultKind.DUPLICATE
        if which < order.fail + order.duplicate + order.drop_reply:
            return FaultKind.DROP_REPLY
        return None

    def as_dict(self) -> dict[str, Any]:
        return {
            "order": asdict(self.order),
            "targets": asdict(self.targets),
            "processes": [{**asdict(fault), "kind": fault.kind.value} for fault in self.processes],
        }

    @property
    def digest(self) -> str:
        """Return a short name by which two plans are compared."""
        content = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":")).encode()
        return blake2b(content, digest_size=5).hexdigest()

    def first_deliveries(self, events: int) -> Iterator[tuple[str, int, DeliveryFault]]:
        """Yield the faults among the first attempts of each Trigger's first events."""
        for trigger in self.targets.triggers:
            for number in range(1, events + 1):
                fault = self.of_delivery(trigger, number, 1)
                if fault.kinds:
                    yield trigger, number, fault


def draw(order: Order, targets: Targets) -> Plan:
    """Draw the faults of processes. Each kind comes once, in a drawn order, before chance decides."""
    choices = _choices(order, targets)
    if not choices:
        return Plan(order=order, targets=targets)
    # `random()` is the one method whose sequence Python keeps for a seed across its versions.
    source = random.Random(order.seed)  # noqa: S311 - it must be repeatable, not secret
    interval_s = order.interval_s or min(USUAL_INTERVAL_S, order.lasts_s / (len(choices) + 1))
    turns = sorted(choices, key=lambda _: source.random())
    faults: list[ProcessFault] = []
    at_s = interval_s * (0.5 + 0.5 * source.random())
    while at_s < order.lasts_s:
        kind = turns.pop() if turns else _pick(list(choices), source.random())
        target = _pick(choices[kind], source.random())
        longest_s = min(LONGEST_PAUSE_S, order.lasts_s - at_s)
        lasts_s = min(longest_s, SHORTEST_PAUSE_S + source.random() * (LONGEST_PAUSE_S - SHORTEST_PAUSE_S))
        faults.append(
            ProcessFault(
                at_s=round(at_s, 3),
                kind=kind,
                target=target,
                lasts_s=round(lasts_s, 3) if kind is FaultKind.PAUSE else 0.0,
                pick=round(source.random(), 6),
            )
        )
        at_s += interval_s * (0.5 + source.random())
    return Plan(order=order, targets=targets, processes=tuple(faults))


def _choices(order: Order, targets: Targets) -> Mapping[FaultKind, Sequence[str]]:
    wanted = {
        FaultKind.KILL: targets.services if order.kill else (),
        FaultKind.PAUSE: targets.services if order.pause else (),
        FaultKind.SERVER: targets.servers,
    }
    return {kind: names for kind, names in wanted.items() if names}


def _pick(among: Sequence[Any], where: float) -> Any:
    return among[int(where * len(among))]


def fraction(*parts: object) -> float:
    """Return a number from 0 to 1 that depends on these parts alone."""
    content = "\0".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(content, digest_size=7).digest(), "big") / 2**56
