"""Watches the code, so that functions run what the editor has just saved.

It polls modification times and sizes, which needs no dependency and works on every file system. Only source code
counts: of a Python function, what it imports from the project (`imports`) and its own folder; of others, their folder.
What a function writes beside its code is no reason to replace it. `pool` does the replacing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from darkroom.local.reporting import Report
from darkroom.local.revisions.imports import ImportedFiles
from darkroom.local.revisions.launching import Watched
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import ServiceKey

POLL_S = 0.5
SETTLE_S = 0.1
"""How long nothing may change before a change is acted on, because editors and git write more than one file."""
MAX_SHARE = 0.015
"""The share of one core that looking may take: in a large tree, it looks less often."""
LONGEST_PAUSE_S = 10.0
"""However large the tree: nobody waits for longer to see what was saved."""
CODE_SUFFIXES = frozenset(
    {
        *(".py", ".pyi", ".pyx", ".so", ".lua", ".sql", ".toml"),
        *(".js", ".mjs", ".cjs", ".ts", ".go", ".rs", ".rb", ".php", ".java", ".kt"),
        *(".j2", ".jinja", ".jinja2", ".tmpl"),
    }
)
IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "logs"})
"""Besides those whose name begins with a dot, and virtual environments of any name."""
_VENV_MARK = "pyvenv.cfg"

Fingerprint: TypeAlias = dict[str, tuple[int, int]]
"""The modification time in ns and the size in bytes of each file, by its path."""
Code: TypeAlias = Mapping[ServiceKey, Watched]
"""The files and folders of each Service's code, including shared code."""


def fingerprint(roots: Sequence[Path], *, ignored: Collection[Path] = ()) -> Fingerprint:
    """Look at the code below some folders, except below the ignored ones."""
    skipped = {os.path.realpath(folder) for folder in ignored}
    return _stamps(found for root in roots for found in _code_files(os.path.realpath(root), skipped))


def _code_files(
    root: str, skipped: Collection[str], *, every_file: bool = False
) -> Iterator[tuple[str, os.stat_result]]:
    folders = [root]
    while folders:
        try:
            with os.scandir(folders.pop()) as listing:
                entries = list(listing)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # it was removed after it was listed, or is not ours to read
        if any(entry.name == _VENV_MARK for entry in entries):
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if _may_hold_code(entry.name) and entry.path not in skipped:
                        folders.append(entry.path)
                elif (every_file or _is_code(entry.name)) and entry.is_file():
                    yield entry.path, entry.stat()
            except FileNotFoundError:
                continue  # it was removed after it was listed


def _named_files(path: Path, skipped: Collection[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield a file that the project file names, or every file in a folder."""
    real = os.path.realpath(path)
    if os.path.isdir(real):
        yield from _code_files(real, skipped, every_file=True)
        return
    with suppress(OSError):
        yield real, os.stat(real)


def _may_hold_code(folder: str) -> bool:
    return not folder.startswith(".") and folder not in IGNORED_FOLDERS


def _is_code(name: str) -> bool:
    # Editors' own files begin with a dot, or end with a tilde and so have no suffix of code.
    return not name.startswith((".", "#")) and os.path.splitext(name)[1] in CODE_SUFFIXES


@dataclass(kw_only=True)
class _Look:
    """Looks at the code of all Services; a folder that several share is read once."""

    code: Callable[[], Code]
    ignored: Collection[Path]
    took_s: float = 0.0
    _imported: ImportedFiles = field(default_factory=ImportedFiles)

    async def take(self) -> dict[ServiceKey, Fingerprint]:
        code = dict(self.code())
        # In a thread, because a large tree takes longer than the event loop may stand still.
        return await asyncio.to_thread(self._take, code)

    def _take(self, code: Code) -> dict[ServiceKey, Fingerprint]:
        began = time.thread_time()
        skipped = {os.path.realpath(folder) for folder in self.ignored}
        folders: dict[Path, Fingerprint] = {}
        seen = {service: self._files(watched, skipped, folders) for service, watched in code.items()}
        self.took_s = time.thread_time() - began
        return seen

    def _files(self, watched: Watched, skipped: Collection[str], folders: dict[Path, Fingerprint]) -> Fingerprint:
        seen: Fingerprint = {}
        for folder in watched.folders:
            if folder not in folders:
                folders[folder] = _stamps(_code_files(os.path.realpath(folder), skipped))
            seen |= folders[folder]
        for path in watched.named:
            seen |= _stamps(_named_files(path, skipped))
        if watched.entry is not None and watched.root is not None:
            seen |= _stamps(self._imported.of(watched.entry, watched.root).items())
        return seen


def _stamps(files: Iterable[tuple[str, os.stat_result]]) -> Fingerprint:
    return {path: (status.st_mtime_ns, status.st_size) for path, status in files}


def pause_s(poll_s: float, look_s: float) -> float:
    """Return how long to wait after a look that took `look_s`."""
    return min(max(poll_s, look_s / MAX_SHARE), LONGEST_PAUSE_S)


async def watch(
    code: Callable[[], Code],
    on_change: Callable[[set[ServiceKey]], Awaitable[None]],
    *,
    began_at: float | None = None,
    ignored: Collection[Path] = (),
    poll_s: float = POLL_S,
    settle_s: float = SETTLE_S,
) -> None:
    """Watch until cancelled. `on_change` is awaited with the Services whose code changed.

    The first look takes seconds in a large project. What was saved meanwhile, since `began_at` (in seconds since the
    epoch), has changed too.
    """
    began_ns = (time.time() if began_at is None else began_at) * 1e9
    look = _Look(code=code, ignored=ignored)
    known = await look.take()
    if newer := {service for service, seen in known.items() if any(stamp > began_ns for stamp, _ in seen.values())}:
        await on_change(newer)
    # Only now it shows what a look takes: the first one has read all imports.
    await look.take()
    while True:
        await asyncio.sleep(pause_s(poll_s, look.took_s))
        current = await look.take()
        if current == known:
            continue
        await asyncio.sleep(settle_s)
        while (settled := await look.take()) != current:
            current = settled
            await asyncio.sleep(settle_s)
        changed = {service for service in current if service in known and current[service] != known[service]}
        known = current
        if changed:
            await on_change(changed)


async def keep_current(
    pools: Mapping[ServiceKey, Pool],
    shared: Callable[[], Sequence[Path]],
    report: Report,
    *,
    began_at: float | None = None,
    ignored: Collection[Path] = (),
    poll_s: float = POLL_S,
) -> None:
    """Replace each Service whose code changes by a new revision, until cancelled. The old one serves until then.

    `shared` returns the folders of code that every function uses.
    """

    def code() -> Code:
        folders = tuple(shared())
        return {
            key: replace(pool.launch.watched, folders=(*pool.launch.watched.folders, *folders))
            for key, pool in pools.items()
        }

    async def renew(service: ServiceKey) -> None:
        pool = pools[service]
        revision = replace(pool.revision, number=pool.next_number())
        report("code.changed", service=revision.label, revision=revision.name)
        await pool.replace(revision)

    async def renew_all(services: set[ServiceKey]) -> None:
        await asyncio.gather(*(renew(service) for service in services))

    await watch(code, renew_all, began_at=began_at, ignored=ignored, poll_s=poll_s)
