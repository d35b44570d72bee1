"""A finding: one thing that is wrong now, with its cause and its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

Severity: TypeAlias = Literal["loss", "stop", "delay", "risk"]
"""By harm: something is lost; does not work; takes longer than it should; may go wrong."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, kw_only=True)
class Finding:
    code: str
    """Stable, for programs: `server.down`."""
    severity: Severity
    subject: str
    """A kind and a name: `trigger shop/confirm`, `server nats`."""
    sentence: str
    """What is wrong and why, with the measured value and the limit."""
    remedy: str
    """What to do, as a sentence or two."""
    since: float | None = None
    """In seconds since the epoch; None: not known."""
    link: str = ""
    """A page of the console that shows more, such as `/events?trigger=shop/confirm`; empty: there is none."""

    @property
    def key(self) -> tuple[str, str]:
        """Return what stays the same as long as the same thing is wrong."""
        return self.code, self.subject

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Finding:
        """Parse what `as_dict` makes; members of another version are left out."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__ if name in document})


def by_harm(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: the most harmful first, and what has lasted longest first among equals."""
    return sorted(
        findings,
        key=lambda one: (SEVERITIES.index(one.severity), one.since is None, one.since or 0.0, one.subject, one.code),
    )
