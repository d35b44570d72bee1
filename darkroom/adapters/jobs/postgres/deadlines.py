"""psycopg's connection with a deadline for each exchange. In a module of its own, because it imports psycopg."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen

AnswerT = TypeVar("AnswerT")
_POLL_S = 0.1


class NoAnswerError(OperationalError):
    """The server did not answer in time."""


class DeadlineConnection(Connection[Any]):
    answer_timeout_s: float | None = None
    """After this long without an answer, the exchange ends with an error, and the connection is of no more use."""

    def wait(self, gen: PQGen[AnswerT], interval: float = _POLL_S, timeout: float | None = None) -> AnswerT:
        if timeout is not None or self.answer_timeout_s is None:
            return super().wait(gen, interval, timeout)
        deadline_s, began = self.answer_timeout_s, time.monotonic()
        try:
            return super().wait(gen, interval, deadline_s)
        except OperationalError as exc:
            # The library's own error for this has no public name.
            if exc.sqlstate is not None or time.monotonic() - began < deadline_s:
                raise
            raise NoAnswerError(f"no answer within {deadline_s:g} s") from exc
