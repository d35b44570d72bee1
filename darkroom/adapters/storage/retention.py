"""How long the storage keeps originals and results. `prepare` makes the storage's rules of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from darkroom.errors import SettingsError
from darkroom.events.durations import parse_retention

ORIGINALS = "uploads/"
RESULTS = "processed/"
DAY_S = 24 * 3600
ORIGINALS_KEPT_S = 8.0 * DAY_S
"""A day longer than a job's record is kept after its end, since the job may be redriven until then. An upload that no
job ever used expires in the same way."""


@dataclass(frozen=True, kw_only=True)
class StorageRetention:
    """Counted from when an object was stored; None: for ever."""

    originals_s: float | None = ORIGINALS_KEPT_S
    results_s: float | None = None

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> StorageRetention:
        """Read ORIGINAL_RETENTION and RESULT_RETENTION where they are set. Raises SettingsError."""
        names = {"originals_s": "ORIGINAL_RETENTION", "results_s": "RESULT_RETENTION"}
        try:
            kept = {field: parse_retention(variables[name]) for field, name in names.items() if name in variables}
        except ValueError as exc:
            raise SettingsError(f"ORIGINAL_RETENTION, RESULT_RETENTION: {exc}") from exc
        return cls(**kept)

    def by_prefix(self) -> Iterator[tuple[str, float]]:
        """Yield the prefixes under which objects expire, and after how many seconds."""
        for prefix, kept_s in ((ORIGINALS, self.originals_s), (RESULTS, self.results_s)):
            if kept_s is not None:
                yield prefix, kept_s

    def days_by_prefix(self) -> dict[str, int]:
        """Return the same in whole days, rounded up: S3 knows nothing shorter."""
        return {prefix: ceil(kept_s / DAY_S) for prefix, kept_s in self.by_prefix()}
