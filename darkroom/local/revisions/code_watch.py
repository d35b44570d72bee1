"""Watches the code, so that functions run what the editor has just saved.

It polls modification times and sizes twice a second, which needs no dependency and works on every file system. `pool`
does the replacing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from darkroom.local.reporting import Report
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import ServiceKey

POLL_S = 0.5
SETTLE_S = 0.1
"""How long nothing may change before a change is acted on, because editors and git write more than one file."""
IGNORED_SUFFIXES = (".pyc", ".swp", "~")

Fingerprint: TypeAlias = dict[Path, tuple[int, int]]
"""The modification time in ns and the size in bytes of each file."""
CodeFolders: TypeAlias = Mapping[ServiceKey, Sequence[Path]]
"""The files and folders of each Service's code, including shared code."""


def fingerprint(roots: Sequence[Path]) -> Fingerprint:
    seen: Fingerprint = {}
    for root in roots:
        for path in [root, *root.rglob("*")]:
            if _is_code(path.relative_to(root)) and path.is_file():
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # it was removed after it was listed
                seen[path] = (status.st_mtime_ns, status.st_size)
    return seen


def _is_code(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and not path.name.endswith(IGNORED_SUFFIXES)


async def watch(
    folders: CodeFolders,
    on_change: Callable[[set[ServiceKey]], Awaitable[None]],
    *,
    poll_s: float = POLL_S,
    settle_s: float = SETTLE_S,
) -> None:
    """Watch until cancelled. `on_change` is awaited with the Services whose code changed."""
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


def _fingerprints(folders: CodeFolders) -> dict[ServiceKey, Fingerprint]:
    return {service: fingerprint(roots) for service, roots in folders.items()}


async def _fingerprints_after(delay_s: float, folders: CodeFolders) -> dict[ServiceKey, Fingerprint]:
    await asyncio.sleep(delay_s)
    return _fingerprints(folders)


async def keep_current(
    pools: Mapping[ServiceKey, Pool], folders: CodeFolders, report: Report, *, poll_s: float = POLL_S
) -> None:
    """Replace each Service whose code changes by a new revision, until cancelled. The old one serves until then."""
    latest = {service: pool.revision.number for service, pool in pools.items()}

    async def renew(service: ServiceKey) -> None:
        latest[service] += 1
        pool = pools[service]
        revision = replace(pool.revision, number=latest[service])
        report("code.changed", service=revision.label, revision=revision.name)
        await pool.replace(revision)

    async def renew_all(services: set[ServiceKey]) -> None:
        await asyncio.gather(*(renew(service) for service in services))

    await watch({service: folders[service] for service in pools}, renew_all, poll_s=poll_s)
