"""What the console's process is told, in a file of the run folder: it has addresses and passwords of the servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from darkroom.local.extension import Run


@dataclass(frozen=True, kw_only=True)
class ConsolePlan:
    admin: str
    """The admin API's address, at which the console is reached too."""
    project_root: str
    audit_file: str
    extension: str | None = None
    """The project's extension, whose pages the console has."""
    keys_file: str | None = None
    hosts: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str | None] = field(default_factory=dict)
    logs: str | None = None

    @property
    def run(self) -> Run:
        return Run(
            project_root=Path(self.project_root),
            variables=self.variables,
            settings=self.settings,
            addresses=self.addresses,
            logs=None if self.logs is None else Path(self.logs),
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "hosts": tuple(document["hosts"])})
