"""Applies the migrations: numbered SQL files, each once, in their order, and never changed afterwards.

Each leaves the database so that the version before still works: columns and functions are added, and only removed once
no version that is still in use calls them. There is no way back but a newer migration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.roles import grant
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from psycopg import Connection

_LOCK = 0x6461726B
"""An advisory lock: two that set up at once do so one after the other."""
_HISTORY = """
CREATE SCHEMA IF NOT EXISTS darkroom;
CREATE TABLE IF NOT EXISTS darkroom.migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, kw_only=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationChangedError(DependencyUnavailableError):
    """The database was made by a file of this number with another content."""


def migrations() -> list[Migration]:
    """Return the migrations of this version, in their order."""
    folder = resources.files(__package__).joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [
        Migration(number=int(file.name[:4]), name=file.name[5:-4], sql=file.read_text(encoding="utf-8"))
        for file in files
    ]


def prepare(url: str, wanted: Sequence[Migration] | None = None) -> list[Migration]:
    """Bring the database to this version, make the next days' partitions, and give the functions' roles their rights.
    Returns the migrations that were applied.

    Idempotent. Those that a newer version applied stay. Raises DependencyUnavailableError.
    """
    connections = Connections(url, answer_timeout_s=2.0)
    with connections.own_connection() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(_HISTORY)
        applied = _apply(connection, migrations() if wanted is None else wanted)
        connection.execute("SELECT darkroom.make_partitions()")
        grant(connection)
    return applied


def _apply(connection: Connection[Any], wanted: Sequence[Migration]) -> list[Migration]:
    there: dict[int, str] = dict(connection.execute("SELECT number, checksum FROM darkroom.migrations").fetchall())
    new = []
    for migration in wanted:
        known = there.get(migration.number)
        if known is None:
            _apply_one(connection, migration)
            new.append(migration)
        elif known != migration.checksum:
            raise MigrationChangedError(
                "jobs",
                f"migration {migration.number:04} ({migration.name}) was applied with checksum {known[:12]}, and this "
                f"version has {migration.checksum[:12]}: the database is of another build",
            )
    return new


def _apply_one(connection: Connection[Any], migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO darkroom.migrations (number, name, checksum) VALUES (%s, %s, %s)",
            (migration.number, migration.name, migration.checksum),
        )
