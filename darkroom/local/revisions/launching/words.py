"""Splits a command line into a program's words where no shell is needed, so that signals reach the program itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_NEEDS_A_SHELL = re.compile(r"[|&;<>()`*?\[\]~#{}!\n]|\$\(|\$\{[^}]*[^A-Za-z0-9_}]")
_VARIABLE = re.compile(
    r"\$(?:\((?P<k8s>[A-Za-z_]\w*)\)|\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*)|(?P<dollar>\$))"
)
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.S)
_BUILT_IN = frozenset({"cd", "export", "source", ".", "exec", "eval", "set", "ulimit", "umask", "trap", "if", "for"})
_BRACED = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Words:
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set before the program's name."""
    is_shell: bool = False
    """True: a shell is needed, and expands variables itself."""


def split(line: str) -> Words:
    """Return the words of a line; those of a shell that runs it, if only a shell understands it."""
    # Braces without anything but a name are variables; so is what follows a dollar sign without braces.
    plain = _BRACED.sub(r"$\1", line.strip())
    if _NEEDS_A_SHELL.search(plain):
        return _by_shell(line)
    try:
        words = shlex.split(plain)
    except ValueError:
        return _by_shell(line)
    env: dict[str, str] = {}
    while words and (found := _ASSIGNMENT.fullmatch(words[0])):
        env[found["name"]] = found["value"]
        words.pop(0)
    if not words or words[0] in _BUILT_IN or ("'" in plain and "$" in plain):
        # In single quotes, a variable is not expanded.
        return _by_shell(line)
    return Words(argv=tuple(words), env=env)


def _by_shell(line: str) -> Words:
    return Words(argv=("sh", "-c", line.strip()), is_shell=True)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}` and Kubernetes' `$(NAME)`. Unknown names stay as they are; `$$` becomes `$`."""

    def replacement(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        return env.get(found["k8s"] or found["braced"] or found["plain"], found[0])

    return _VARIABLE.sub(replacement, text)
