"""What the console needs of whoever has the functions' logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class LogLine:
    time: str
    process: str
    action: str
    fields: str
    level: str = "info"


@dataclass(frozen=True, kw_only=True)
class LogLines:
    lines: Sequence[LogLine]
    """Oldest first."""
    is_cut: bool
    """Older lines may be in parts of the files that were not read."""


ReadLogLines: TypeAlias = Callable[[UUID], LogLines]
