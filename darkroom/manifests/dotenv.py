"""Reads a .env file: `NAME=value` per line, with quotes, comments and `export`, as docker compose and dotenv take it.

Nothing is expanded: a `$` in a secret is a `$`.
"""

from __future__ import annotations

import re
from pathlib import Path

from darkroom.manifests.errors import Finding, ManifestError

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(?P<value>.*)")
_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?', re.S)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_dotenv(file: Path) -> dict[str, str]:
    """Read a file. Raises ManifestError, whose messages do not repeat what might be a secret."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError([Finding(file=file, line=1, path="", message=f"cannot be read: {exc}")]) from exc
    values, findings = _parse(text, file)
    if findings:
        raise ManifestError(findings)
    return values


def _parse(text: str, file: Path) -> tuple[dict[str, str], list[Finding]]:
    values: dict[str, str] = {}
    findings: list[Finding] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        began, line = number + 1, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            findings.append(Finding(file=file, line=began, path="", message="must be NAME=value"))
            continue
        given = found["value"]
        # A value in double quotes may go on over several lines, as a key in PEM does.
        while given.startswith('"') and not _DOUBLE.fullmatch(given) and number < len(lines):
            given = f"{given}\n{lines[number]}"
            number += 1
        value = _value(given)
        if value is None:
            message = f"the quotes of {found['name']} do not end, or something follows them"
            findings.append(Finding(file=file, line=began, path="", message=message))
            number = began
            continue
        values[found["name"]] = value
    return values, findings


def _value(text: str) -> str | None:
    """Return the value that a line gives; None if its quotes are not whole."""
    if text.startswith("'"):
        found = _SINGLE.fullmatch(text)
        return None if found is None else found["text"]
    if text.startswith('"'):
        found = _DOUBLE.fullmatch(text)
        return None if found is None else re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[0]), found["text"])
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()
