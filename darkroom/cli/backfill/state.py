"""The file that remembers what was made of which picture, and what is left to do. It survives SIGKILL at any moment.

It is an SQLite database, one transaction per step, opened by one process at a time. Records of jobs expire in the job
store; this file does not, so it is also what tells a changed preset from an unchanged one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from darkroom.cli.backfill.plan import Made, Outcome, Task, idempotency_key, lacking

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (only INTEGER PRIMARY KEY CHECK (only = 1), document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS made (
    storage_key TEXT NOT NULL, preset TEXT NOT NULL, digest TEXT NOT NULL, job_id TEXT, result TEXT, code TEXT,
    message TEXT NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (storage_key, preset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (storage_key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    number INTEGER PRIMARY KEY, storage_key TEXT NOT NULL, presets TEXT NOT NULL, idempotency_key TEXT NOT NULL,
    job_id TEXT, done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS queue_left ON queue (number) WHERE done = 0;
"""


class StateUnusableError(Exception):
    """The file cannot be opened, or another process has it open."""


@dataclass(frozen=True, kw_only=True)
class Run:
    prefix: str | None = None
    """What the pictures' storage keys begin with, or"""
    keys_from: str | None = None
    """the file that lists them."""
    presets: Mapping[str, str]
    """Digests by name."""
    changed: bool = False
    is_listed: bool = False
    is_ended: bool = False

    @property
    def source(self) -> str:
        return self.prefix or f"the keys in {self.keys_from}"


@dataclass(frozen=True, kw_only=True)
class Counts:
    pictures: int
    """All that were listed."""
    to_do: int
    """Those that lacked a preset when the run began."""
    done: int


@dataclass(frozen=True, kw_only=True)
class Row:
    storage_key: str
    preset: str
    digest: str
    job_id: str | None
    result: str | None
    code: str | None
    message: str


class State:
    """A context manager, which closes the file."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None: in memory. Raises StateUnusableError."""
        try:
            self._db = sqlite3.connect(":memory:" if path is None else path, timeout=0, isolation_level=None)
            # Until this process ends, however it ends, no other one can work with the file.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("BEGIN EXCLUSIVE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in {0, _VERSION}:
                raise StateUnusableError(f"{path} is of version {version}; this Darkroom reads version {_VERSION}")
            self._db.execute("COMMIT")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.OperationalError as exc:
            reason = "another backfill works with it" if "locked" in str(exc) else str(exc)
            raise StateUnusableError(f"{path}: {reason}") from exc
        except sqlite3.DatabaseError as exc:
            raise StateUnusableError(f"{path} is no state file of a backfill: {exc}") from exc

    @classmethod
    def copy_in_memory(cls, path: Path) -> Self:
        """Copy a file's content, if it exists, so that nothing is written to it."""
        copy = cls(None)
        if path.exists():
            with cls(path) as state:
                state._db.backup(copy._db)
        return copy

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def run(self) -> Run | None:
        """Return the last run; None: there was none."""
        row = self._db.execute("SELECT document FROM run").fetchone()
        return None if row is None else Run(**json.loads(row[0]))

    def begin(self, run: Run) -> None:
        """Begin a run. What was made before stays known; what an earlier run had left to do is forgotten."""
        with self._transaction():
            self._db.execute("DELETE FROM seen")
            self._db.execute("DELETE FROM queue")
            self._put_run(run)

    def add(self, storage_keys: Sequence[str]) -> None:
        """Add listed pictures, and plan those that lack a preset. Pictures that were added before are skipped."""
        run = self.run()
        if run is None:
            raise ValueError("no run was begun")
        with self._transaction():
            for key in storage_keys:
                if self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount:
                    self._plan(run, key)

    def listed(self) -> None:
        self._change_run(is_listed=True)

    def ended(self) -> None:
        self._change_run(is_ended=True)

    def left(self) -> Iterator[Task]:
        """Yield what is left to do, as it is when it is reached."""
        number = 0
        while row := self._db.execute(
            "SELECT number, storage_key, presets, idempotency_key, job_id FROM queue WHERE done = 0 AND number > ?"
            " ORDER BY number LIMIT 1",
            (number,),
        ).fetchone():
            number, key, presets, idempotency, job_id = row
            yield Task(
                number=number,
                storage_key=key,
                presets=json.loads(presets),
                idempotency_key=idempotency,
                job_id=job_id,
            )

    def accepted(self, task: Task, job_id: str) -> None:
        self._db.execute("UPDATE queue SET job_id = ? WHERE number = ?", (job_id, task.number))

    def finished(self, task: Task, job_id: str | None, outcomes: Iterable[Outcome]) -> None:
        """Record how a picture ended, and that it is done."""
        with self._transaction():
            for one in outcomes:
                self._db.execute(
                    "INSERT INTO made VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET"
                    " attempts = CASE WHEN digest = excluded.digest THEN attempts + 1 ELSE 1 END,"
                    " digest = excluded.digest, job_id = excluded.job_id, result = excluded.result,"
                    " code = excluded.code, message = excluded.message",
                    (task.storage_key, one.preset, one.digest, job_id, one.result, one.code, one.message),
                )
            self._db.execute("UPDATE queue SET done = 1, job_id = ? WHERE number = ?", (job_id, task.number))

    def counts(self) -> Counts:
        one = self._db.execute("SELECT count(*) FROM seen").fetchone()[0]
        to_do, done = self._db.execute("SELECT count(*), coalesce(sum(done), 0) FROM queue").fetchone()
        return Counts(pictures=one, to_do=to_do, done=done)

    def rows(self, *, failed_only: bool = False) -> Iterator[Row]:
        """Yield what this run did, by storage key: every preset of every picture that it planned and that ended."""
        found = self._db.execute(
            "SELECT m.storage_key, m.preset, m.digest, m.job_id, m.result, m.code, m.message FROM queue q"
            " JOIN made m ON m.storage_key = q.storage_key, json_each(q.presets) p"
            " WHERE q.done = 1 AND p.key = m.preset AND (m.code IS NOT NULL OR ?) ORDER BY 1, 2",
            (not failed_only,),
        )
        for row in found:
            yield Row(**dict(zip(Row.__dataclass_fields__, row, strict=True)))

    def _plan(self, run: Run, key: str) -> None:
        made = self._made(key)
        presets = lacking(run.presets, made, changed=run.changed)
        if presets:
            self._db.execute(
                "INSERT INTO queue (storage_key, presets, idempotency_key) VALUES (?, ?, ?)",
                (key, json.dumps(presets), idempotency_key(key, presets, made)),
            )

    def _made(self, key: str) -> dict[str, Made]:
        rows = self._db.execute("SELECT preset, digest, code, attempts FROM made WHERE storage_key = ?", (key,))
        return {
            preset: Made(digest=digest, failed=code is not None, attempts=attempts)
            for preset, digest, code, attempts in rows
        }

    def _change_run(self, **changes: Any) -> None:
        run = self.run()
        if run is not None:
            self._put_run(Run(**{**asdict(run), **changes}))

    def _put_run(self, run: Run) -> None:
        self._db.execute("INSERT OR REPLACE INTO run VALUES (1, ?)", (json.dumps(asdict(run)),))

    def _transaction(self) -> sqlite3.Connection:
        # As a context manager, a connection commits, or rolls back after an error.
        self._db.execute("BEGIN")
        return self._db
