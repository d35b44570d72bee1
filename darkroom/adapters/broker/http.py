"""Sends events to K_SINK by HTTP in binary mode: fast when the sink is healthy, and fast to fail when it is not.

An emission that fails here is not lost: the job's record is the outbox, and recovery emits it later.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from darkroom.adapters.broker.circuit import Circuit
from darkroom.adapters.broker.sink import Sink, UnreadableAnswerError
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events import tracing
from darkroom.events.cloudevents import AttributeValue, CloudEvent, encode_binary

_FIRST_PAUSE_S = 0.05
_TEMPORARY_STATUSES = {408, 425, 429}
"""The statuses, besides 5xx, after which the same event may be accepted a moment later."""


class HttpEmitter:
    """Safe to share between threads. Nothing is imported or connected before the first event."""

    def __init__(
        self,
        sink_url: str,
        *,
        deadline_s: float = 2.0,
        attempt_timeout_s: float = 1.5,
        probe_timeout_s: float = 0.5,
        ce_overrides: Mapping[str, AttributeValue] | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Prepare the emitter. `ce_overrides` are the extensions of K_CE_OVERRIDES, set on every event (SinkBinding).

        A sink that hangs costs the first callers `deadline_s` at most. Once the circuit is open, one caller every few
        seconds probes for `probe_timeout_s`, and the others fail at once. A sink that is merely busy, in a burst, must
        not be taken for one that hangs: an event that is not emitted now waits for recovery's sweep, ten times as long.
        """
        self._sink = Sink(sink_url)
        self._deadline_s = deadline_s
        self._attempt_timeout_s = attempt_timeout_s
        self._probe_timeout_s = probe_timeout_s
        self._ce_overrides = dict(ce_overrides or {})
        self._circuit = circuit or Circuit()

    def emit(self, event: CloudEvent) -> None:
        if not self._circuit.may_pass():
            raise DependencyUnavailableError(
                "broker", "it failed several times in a row and is left alone for a moment"
            )
        headers, body = encode_binary(event.with_extensions(**self._ce_overrides))
        headers |= _trace_headers()
        give_up_at = time.monotonic() + self._deadline_s
        pause_s = _FIRST_PAUSE_S
        while (problem := self._attempt(headers, body, give_up_at)) is not None:
            # Jitter needs no secrecy.
            jittered_s = pause_s * random.uniform(0.5, 1.5)  # noqa: S311
            if not self._circuit.is_closed or time.monotonic() + jittered_s >= give_up_at:
                raise DependencyUnavailableError("broker", problem)
            time.sleep(jittered_s)
            pause_s *= 2

    def close(self) -> None:
        self._sink.close()

    def _attempt(self, headers: Mapping[str, str], body: bytes, give_up_at: float) -> str | None:
        """Return None once the sink has the event, else the problem, where another attempt may succeed."""
        longest_s = self._attempt_timeout_s if self._circuit.is_closed else self._probe_timeout_s
        timeout_s = max(0.001, min(longest_s, give_up_at - time.monotonic()))
        try:
            status = self._sink.post(headers, body, timeout_s=timeout_s)
        except (OSError, UnreadableAnswerError) as exc:
            self._circuit.failed()
            return f"the event could not be handed over: {_describe_error(exc)}"
        if 200 <= status < 300:
            self._circuit.succeeded()
            return None
        problem = f"the event was answered {status}"
        if status >= 500 or status in _TEMPORARY_STATUSES:
            self._circuit.failed()
            return problem
        # The sink works; it refuses this event, now and later.
        self._circuit.succeeded()
        raise DependencyUnavailableError("broker", problem)


def _describe_error(exc: Exception) -> str:
    """Return the error's type, and for a timeout its figures; other texts may contain addresses."""
    kind = type(exc).__name__
    return f"{kind}, {exc}" if isinstance(exc, TimeoutError) else kind


def _trace_headers() -> dict[str, str]:
    """Return the trace headers of this request; the event has the job's own trace as extensions."""
    context = tracing.current()
    return {} if context is None else context.attributes()
