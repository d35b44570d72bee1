"""Connections to PostgreSQL for threads, each call with a deadline.

The server ends a statement after the same time (`statement_timeout`). The deadline here is for a server that does not
answer at all: one that is stopped, or gone with its network.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import describe

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT_S = 2
"""libpq takes no less."""
_AT_ONCE = 4
"""A caller beyond these waits, which takes a millisecond or two: a connection of its own costs the server ten."""
_IDLE_FOR_S = 60.0
"""An idle connection is a process of the server; after this time it is given back at the next call."""
_SCHEMA_IS_MISSING = frozenset({"3F000", "42P01", "42883"})
"""invalid_schema_name, undefined_table, undefined_function."""


def session_options(statement_timeout_s: float) -> dict[str, Any]:
    """Return the options of every connection, for `psycopg.connect`."""
    milliseconds = round(statement_timeout_s * 1000)
    return {
        "autocommit": True,
        "prepare_threshold": 1,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "darkroom",
        "options": f"-c statement_timeout={milliseconds} -c timezone=UTC",
        "keepalives_idle": 10,
        "tcp_user_timeout": 10_000,
    }


def unavailable(error: Exception) -> DependencyUnavailableError:
    """Translate an error of the library."""
    if getattr(error, "sqlstate", None) in _SCHEMA_IS_MISSING:
        detail = f"the database has no job store of this version; `darkroom setup` makes it ({describe(error)})"
        return DependencyUnavailableError("jobs", detail)
    return DependencyUnavailableError("jobs", describe(error))


def may_have_been_done(error: DependencyUnavailableError) -> bool:
    """Whether the server may have carried out the call. False if it answered: then it refused."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    # Classes 08 and 57: the connection failed, or an operator intervened.
    return error.__cause__ is not None and (sqlstate is None or sqlstate[:2] in {"08", "57"})


class Connections:
    """Safe to share between threads. Nothing is imported or connected before the first call."""

    def __init__(self, url: str, *, answer_timeout_s: float) -> None:
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection[Any], float]] = []
        """With the moment since which each is idle, the latest last."""

    def ask(
        self, statement: str, arguments: Sequence[Any] | Mapping[str, Any] = (), *, patient: bool = False
    ) -> list[Any]:
        """Run one statement, which is a transaction, and return its rows.

        It waits for one of the process' few connections, as long as for an answer. It is sent once more, at once, if
        the connection broke: a server that restarted has closed those that were idle.
        `patient` also sends it again after a timeout. So every statement may be carried out twice.

        Raises DependencyUnavailableError.
        """
        import psycopg

        try:
            try:
                return self._ask_once(statement, arguments)
            except psycopg.Error as exc:
                if not self._is_worth_a_retry(exc, patient=patient):
                    raise
                return self._ask_once(statement, arguments)
        except psycopg.Error as exc:
            raise unavailable(exc) from exc

    @contextmanager
    def own_connection(self) -> Iterator[Connection[Any]]:
        """Open a connection for more than one statement, without deadline. It is closed at the end."""
        import psycopg

        options = {**session_options(0), "prepare_threshold": None}
        try:
            with psycopg.connect(self._url, **options) as connection:
                yield connection
        except psycopg.Error as exc:
            raise unavailable(exc) from exc

    def close(self) -> None:
        for connection, _ in self._take_all():
            connection.close()

    def _ask_once(self, statement: str, arguments: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        if not self._free.acquire(timeout=self._answer_timeout_s):
            detail = f"all {_AT_ONCE} connections were busy for {self._answer_timeout_s:g} s"
            raise DependencyUnavailableError("jobs", detail)
        try:
            return self._ask_on_one(statement, arguments)
        finally:
            self._free.release()

    def _ask_on_one(self, statement: str, arguments: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        connection = self._take() or self._connect()
        is_sound = False
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                rows = cursor.fetchall() if cursor.description is not None else []
            is_sound = True
            return rows
        except Exception as exc:
            # What the server refused leaves the connection as it was. What did not end in time is still under way.
            is_sound = getattr(exc, "sqlstate", None) is not None and not connection.broken
            raise
        finally:
            if is_sound:
                self._give_back(connection)
            else:
                _abandon(connection)

    def _is_worth_a_retry(self, error: Exception, *, patient: bool) -> bool:
        from psycopg import errors

        from darkroom.adapters.jobs.postgres.deadlines import NoAnswerError

        if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
            return True
        if isinstance(error, NoAnswerError | errors.QueryCanceled | errors.ConnectionTimeout):
            return patient
        broke = isinstance(error, errors.OperationalError) and error.sqlstate in {None, "57P01", "57P02"}
        if broke:
            # The others broke with it.
            self.close()
        return broke

    def _take(self) -> Connection[Any] | None:
        expired = []
        with self._lock:
            while self._idle and time.monotonic() - self._idle[0][1] > _IDLE_FOR_S:
                expired.append(self._idle.pop(0))
            found = self._idle.pop()[0] if self._idle else None
        for connection, _ in expired:
            connection.close()
        return found

    def _take_all(self) -> list[tuple[Connection[Any], float]]:
        with self._lock:
            idle, self._idle = self._idle, []
        return idle

    def _give_back(self, connection: Connection[Any]) -> None:
        with self._lock:
            self._idle.append((connection, time.monotonic()))

    def _connect(self) -> Connection[Any]:
        from darkroom.adapters.jobs.postgres.deadlines import DeadlineConnection

        connection = DeadlineConnection.connect(self._url, **session_options(self._answer_timeout_s))
        connection.answer_timeout_s = self._answer_timeout_s
        return connection


def _abandon(connection: Connection[Any]) -> None:
    with suppress(Exception):
        connection.close()
