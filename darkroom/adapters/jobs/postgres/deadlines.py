"""psycopg's connection with a deadline for each exchange. In a module of its own, because it imports psycopg."""

from __future__ import annotations

from typing import Any, TypeVar

from psycopg import Connection
from psycopg.abc import PQGen

AnswerT = TypeVar("AnswerT")
_POLL_S = 0.1


class DeadlineConnection(Connection[Any]):
    answer_timeout_s: float | None = None
    """After this long without an answer, the exchange ends with an error, and the connection is of no more use."""

    def wait(self, gen: PQGen[AnswerT], interval: float = _POLL_S, timeout: float | None = None) -> AnswerT:
        return super().wait(gen, interval, self.answer_timeout_s if timeout is None else timeout)
