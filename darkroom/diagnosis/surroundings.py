"""What is around the functions: the disk, and what of the manifests does not run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.diagnosis.finding import Finding
from darkroom.diagnosis.words import size

NEARLY_FULL_BYTES = 512 * 1024 * 1024
"""An hour of a busy pipeline on one machine."""


def disk_findings(status: Mapping[str, Any]) -> Iterator[Finding]:
    data = status.get("data", {})
    free, path = data.get("free_bytes"), data.get("path")
    if data.get("state", "ok") != "ok":
        yield Finding(
            code="disk.full",
            severity="stop",
            subject="disk",
            sentence=f"{_sentence(str(data['state']))} Nothing can be stored; what is refused is said so.",
            remedy=f"Free some space, or choose another folder than {path} with --data.",
        )
    elif free is not None and free < NEARLY_FULL_BYTES:
        yield Finding(
            code="disk.nearly_full",
            severity="risk",
            subject="disk",
            sentence=f"the disk of {path} is nearly full: {size(free)} are free. The servers fail when none is left.",
            remedy="Free some space, or choose another folder with --data.",
        )


def left_out_findings(status: Mapping[str, Any]) -> Iterator[Finding]:
    for row in status.get("left_out", []):
        # What a Job prepares on a cluster, an extension prepares here.
        is_replaced = row["kind"] == "Job" and status.get("has_extension", False)
        if row.get("matters", True) and not is_replaced:
            name = f"{row['namespace']}/{row['name']}" if row.get("namespace") else row["name"]
            yield Finding(
                code="manifest.left_out",
                severity="risk",
                subject=f"{row['kind']} {name}",
                sentence=f"{row['kind']} {name} ({row['file']}:{row['line']}) is left out: {_sentence(row['reason'])}",
                remedy="What depends on it behaves otherwise than on a cluster. Change the manifest, or test that part "
                "on a cluster.",
            )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
