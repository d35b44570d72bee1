"""The application's rule for `darkroom check`: dead letters are kept for as long as the records of their jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.config_maps import config_map_values, yaml_files
from darkroom.events.durations import parse_retention

if TYPE_CHECKING:
    from darkroom.local.extension import Complaint

RULE = "dead-letter-retention"
_SETTING = "JOB_RETENTION"
_MAX_AGE = "max_age"
_NS_PER_DAY = 86400 * 10**9


def retention_complaints(definition: Path, manifests: Sequence[Path]) -> list[Complaint]:
    """Return whether the stream's definition lets dead letters go before the records that they could redrive."""
    from darkroom.local.extension import Complaint

    max_age_ns = _max_age_ns(definition)
    if not max_age_ns:
        return []
    messages = [message for text in _retentions(manifests) if (message := _message(text, max_age_ns)) is not None]
    return [
        Complaint(file=definition, line=_line_of_max_age(definition), rule=RULE, message=message)
        for message in dict.fromkeys(messages)
    ]


def _max_age_ns(definition: Path) -> int:
    """Return how long letters are kept; 0: for ever, or there is no such stream."""
    try:
        document: Any = json.loads(definition.read_text(encoding="utf-8"))
        return int(document.get(_MAX_AGE, 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0  # `darkroom setup` says what is wrong with it


def _retentions(manifests: Sequence[Path]) -> Iterator[str]:
    for file in yaml_files(manifests):
        yield from (value.text for value in config_map_values(file, _SETTING))


def _message(text: str, max_age_ns: int) -> str | None:
    try:
        kept_s = parse_retention(text)
    except ValueError:
        return None  # the functions say what is wrong with it
    if kept_s is not None and max_age_ns >= kept_s * 10**9:
        return None
    return (
        f"{_MAX_AGE} is {max_age_ns / _NS_PER_DAY:g} d, and {_SETTING} is {text}: a job's letter would be gone while "
        f"the job can still be redriven. Give {_MAX_AGE} at least as long, or 0, for ever"
    )


def _line_of_max_age(definition: Path) -> int:
    lines = definition.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, start=1) if f'"{_MAX_AGE}"' in line), 1)
