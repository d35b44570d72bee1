"""What each function's role may do in the database. `darkroom setup` gives these rights to the roles that there are.

The roles themselves are made by whoever runs the server: an application that may create roles could give itself any
right. Where there are none, everything runs as the owner of the schema, as on a laptop.

A function changes jobs only by calling the transitions that are its own, which run with their owner's rights
(SECURITY DEFINER); of the tables it reads those that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

PREFIX = "darkroom_"
READ, ADD, REMOVE = "SELECT", "INSERT, UPDATE", "DELETE"
ALL_VERBS = f"{READ}, {ADD}, {REMOVE}"
VIEW = "darkroom_jobs"


@dataclass(frozen=True, kw_only=True)
class Rights:
    functions: frozenset[str] = frozenset()
    tables: Mapping[str, str] = field(default_factory=dict)
    """Verbs, by the table's name."""


_JOBS = {"jobs": READ, "finished": READ}
_HEALTH = {"lanes": READ}
"""`check` looks whether the tables are there."""
_SENDS_EVENTS = {"emitted", "next_in_line", "unemitted"}
_WORKER = Rights(
    functions=frozenset(
        {"claim", "withdraw", "renew", "rendered", "complete", "fail", "release", "is_erased", *_SENDS_EVENTS}
    ),
    tables={**_JOBS, **_HEALTH},
)
ROLES: Mapping[str, Rights] = {
    "ingest": Rights(
        functions=frozenset(
            {
                *("accept", "retract", "admission", "count_refused", "cancel", "erase", "is_erased", "ask_rate"),
                *_SENDS_EVENTS,
            }
        ),
        tables={**_JOBS, **_HEALTH, "keepers_owed": f"{READ}, {ADD}"},
    ),
    "status": Rights(functions=frozenset({"ask_rate"}), tables={**_JOBS, **_HEALTH}),
    "resize": _WORKER,
    "crop": _WORKER,
    "renditions": _WORKER,
    "recovery": Rights(
        functions=frozenset(
            {
                *(
                    "recover",
                    "recover_overdue",
                    "statistics",
                    "unfinished",
                    "due_erasures",
                    "erasure_done",
                    "is_erased",
                ),
                *("without_record", "restore", "given_up_owed", "clock"),
                *("add_up", "remove_expired", "make_partitions", "drop_partitions"),
                *_SENDS_EVENTS,
            }
        ),
        tables={
            **_JOBS,
            **_HEALTH,
            "given_up": f"{READ}, {REMOVE}",
            "owed": f"{READ}, {REMOVE}",
            "keepers_owed": f"{READ}, {REMOVE}",
        },
    ),
    "notify": Rights(functions=frozenset({"take_owed", "settle_owed"}), tables=_HEALTH),
    "console": Rights(
        functions=frozenset({"cancel", "erase", "is_erased", "redrive", "owe_again", *_SENDS_EVENTS}),
        tables={**_JOBS, **_HEALTH, "owed": READ, "keepers_owed": f"{READ}, {ADD}"},
    ),
    "reader": Rights(tables={VIEW: READ}),
}
"""By the name without its prefix."""
OPERATOR = "operator"
"""A person with the darkroom command: all rows, and no change of a table. Also the role of functions while jobs
move."""
ENTRY_POINTS = frozenset().union(*(rights.functions for rights in ROLES.values())) | {
    *("redrive", "owe_again", "adopt", "adopt_statistics", "make_past_partitions"),
}
"""Called from outside: they run with their owner's rights, and look up names in PostgreSQL's own schema only."""

_FUNCTIONS = """
SELECT p.oid::regprocedure::text, p.proname, p.prosecdef, p.proacl IS NULL
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'darkroom'
"""


def grant(connection: Connection[Any]) -> list[str]:
    """Give the roles that there are exactly their rights, in one transaction. Returns their names.

    Run by the owner of the schema. Idempotent.
    """
    with connection.transaction():
        functions = connection.execute(_FUNCTIONS).fetchall()
        for signature, name, is_definer, is_public in functions:
            if name in ENTRY_POINTS and not is_definer:
                # A migration that replaces a function takes these away.
                connection.execute(f"ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = pg_catalog, pg_temp")
            if is_public:
                connection.execute(f"REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC")
        signatures = [(signature, name) for signature, name, *_ in functions]
        there = _roles(connection)
        for role in there:
            _grant_one(connection, role, signatures)
    return there


def _roles(connection: Connection[Any]) -> list[str]:
    known = [f"{PREFIX}{name}" for name in (*ROLES, OPERATOR)]
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) ORDER BY 1", (known,)).fetchall()
    return [row[0] for row in rows]


def _grant_one(connection: Connection[Any], role: str, signatures: list[tuple[str, str]]) -> None:
    for things in ("TABLES", "FUNCTIONS"):
        connection.execute(f"REVOKE ALL ON ALL {things} IN SCHEMA darkroom FROM {role}")
    connection.execute(f"GRANT USAGE ON SCHEMA darkroom TO {role}")
    if role == PREFIX + OPERATOR:
        connection.execute(f"GRANT {ALL_VERBS} ON ALL TABLES IN SCHEMA darkroom TO {role}")
        connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA darkroom TO {role}")
        connection.execute(f"REVOKE ALL ON darkroom.migrations FROM {role}")
        return
    rights = ROLES[role.removeprefix(PREFIX)]
    for table, verbs in rights.tables.items():
        connection.execute(f"GRANT {verbs} ON darkroom.{table} TO {role}")
    for signature, name in signatures:
        if name in rights.functions:
            connection.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")
