"""The file of API keys, where keys are asked for: gone, unusable, or without a valid key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from darkroom.diagnosis import Finding
from darkroom.serving.key_file import KeyFileError, read_key_file


def key_findings(settings: Mapping[str, str]) -> Iterator[Finding]:
    if settings.get("API_KEYS") != "on":
        return
    path = settings.get("API_KEYS_FILE", "")
    try:
        keys = read_key_file(Path(path))
    except KeyFileError as exc:
        yield _finding(
            "keys.unusable",
            f"API_KEYS is on, and the file of keys cannot be used: {exc}. Ingest and status go on with the keys that "
            "they had, and do not start again.",
            f"Put {path} back, or write a new one with `darkroom keys create --file {path}`.",
        )
        return
    if not any(key.revoked_at is None for key in keys):
        yield _finding(
            "keys.none",
            f"API_KEYS is on, and {path} has no valid key: every request is refused with 401.",
            f"Create one with `darkroom keys create --file {path}`; it is good within a second.",
        )


def _finding(code: str, sentence: str, remedy: str) -> Finding:
    return Finding(code=code, severity="stop", subject="API keys", sentence=sentence, remedy=remedy)
