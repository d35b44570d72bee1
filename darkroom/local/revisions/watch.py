"""Seeing that code has changed, so that the functions run what the editor has just saved.

Looks at times and sizes, twice a second: no dependency, and the same on every file system. What is then replaced, and
how, is `pool`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from darkroom.local.reporting import Report
from darkroom.local.revisions.pool import Pool

POLL_S = 0.5
SETTLE_S = 0.1
"""A change is acted upon once nothing more changes for so long: editors and git write more than one file."""
IGNORED_SUFFIXES = (".pyc", ".swp", "~")

Fingerprint: TypeAlias = dict[Path, tuple[int, int]]
"""Modification time in ns and size in bytes of each file."""
CodeFolders: TypeAlias = Mapping[str, Sequence[Path]]
"""Of each Service: the files and folders of its code, shared ones included."""


def fingerprint(roots: Sequence[Path]) -> Fingerprint:
    seen: Fingerprint = {}
    for root in roots:
        for path in [root, *root.rglob("*")]:
            if _is_code(path.relative_to(root)) and path.is_file():
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # removed since we listed it, so it is part of no fingerprint
                seen[path] = (status.st_mtime_ns, status.st_size)
    return seen


def _is_code(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and not path.name.endswith(IGNORED_SUFFIXES)


async def watch(
    folders: CodeFolders,
    on_change: Callable[[set[str]], Awaitable[None]],
    *,
    poll_s: float = POLL_S,
    settle_s: float = SETTLE_S,
) -> None:
    """Until cancelled; `on_change` gets the names of the Services whose code changed, and is awaited."""
    known = _fingerprints(folders)
    while True:
        await asyncio.sleep(poll_s)
        current = _fingerprints(folders)
        if current == known:
            continue
        while (settled := await _fingerprints_after(settle_s, folders)) != current:
            current = settled
        changed = {service for service in folders if current[service] != known[service]}
        known = current
        if changed:
            await on_change(changed)


def _fingerprints(folders: CodeFolders) -> dict[str, Fingerprint]:
    return {service: fingerprint(roots) for service, roots in folders.items()}


async def _fingerprints_after(delay_s: float, folders: CodeFolders) -> dict[str, Fingerprint]:
    await asyncio.sleep(delay_s)
    return _fingerprints(folders)


async def keep_current(
    pools: Mapping[str, Pool], folders: CodeFolders, report: Report, *, poll_s: float = POLL_S
) -> None:
    """Until cancelled: a Service whose code changed gets a new revision, the old one serving until that is ready."""
    latest = {service: pool.revision.number for service, pool in pools.items()}

    async def renew(service: str) -> None:
        latest[service] += 1
        pool = pools[service]
        revision = replace(pool.revision, number=latest[service])
        report("code.changed", service=service, revision=revision.name)
        await pool.replace(revision)

    async def renew_all(services: set[str]) -> None:
        await asyncio.gather(*(renew(service) for service in services))

    await watch({service: folders[service] for service in pools}, renew_all, poll_s=poll_s)
