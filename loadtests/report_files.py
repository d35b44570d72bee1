"""Where reports lie. A new one takes its name from an earlier one, which is kept under the time of its run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from loadtests import recording
from loadtests.errors import RecordingError


def keep_earlier(page: Path) -> Path | None:
    """Rename the page and recording that have this name to NAME-TIME.html and .json. Returns the page's new name, or
    None if there was no recorded run.
    """
    try:
        earlier = recording.read(page)
    except RecordingError:
        # None, or of something else, which is overwritten as the user said with its name.
        return None
    began = datetime.fromisoformat(earlier.run.began_at).astimezone(UTC)
    kept = page.with_name(f"{page.stem}-{began:%Y%m%d-%H%M%S}{page.suffix}")
    for suffix in (page.suffix, ".json"):
        if page.with_suffix(suffix).exists():
            page.with_suffix(suffix).rename(kept.with_suffix(suffix))
    return kept
