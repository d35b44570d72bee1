"""What is to be done with dead letters: a fixed list of them, and what a dry run says about each."""

from __future__ import annotations

import re
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.contract.errors import JobUnreadableError, ParametersInvalidError
from darkroom.redriving.redrive import Redrive

PLANS_KEPT = 50
_IDS = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27,}(?:[.-]\w+)*|(?<=event )\S+|(?<=webhook )\S+|(?<=letter )\d+")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Letters that an operator has selected. What is done later is done to these, whatever is kept meanwhile."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    letters: Sequence[KeptDeadLetter]
    """Oldest first."""
    changes: Mapping[str, str]
    described: str
    """The selection in words."""
    outcomes: Mapping[str, int]
    """How many letters the dry run says the same of."""


class Plans:
    """The latest plans, in memory: a plan is worth nothing once its page is closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def add(self, plan: Plan) -> None:
        with self._lock:
            self._plans[plan.id] = plan
            while len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)

    def get(self, id: str) -> Plan | None:
        with self._lock:
            return self._plans.get(id)


def dry_run(redrive: Redrive, letters: Sequence[KeptDeadLetter], changes: Mapping[str, str]) -> Mapping[str, int]:
    """Count what a redrive would do, by what it says without ids. Raises DependencyUnavailableError."""
    said = Counter(redriven(redrive, kept, changes, dry_run=True) for kept in letters)
    return dict(said.most_common())


def redriven(redrive: Redrive, kept: KeptDeadLetter, changes: Mapping[str, str], *, dry_run: bool) -> str:
    """Redrive a letter, and return what is said of it, without ids. Raises DependencyUnavailableError."""
    try:
        return without_ids(redrive.redrive(kept, changes, dry_run=dry_run))
    except ParametersInvalidError as exc:
        return f"cannot be redriven so: {'; '.join(f'{error.field} {error.message}' for error in exc.errors)}"
    except JobUnreadableError as exc:
        return f"cannot be read: {exc.job.reason}"


def without_ids(sentence: str) -> str:
    return _IDS.sub("…", sentence)
