"""Go programs: built with the toolchain of this machine into the data folder, and started from there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from darkroom.local.revisions.launching.launch import Build, NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.source import Source

MODULE_FILE = "go.mod"
BUILT = "built"
"""The folder of built programs, in the data folder."""


def go_program(source: Source) -> ProgramLaunch | NoLaunch | None:
    if not _is_in_a_module(source) or not any(source.folder.glob("*.go")):
        return None
    go = source.find_program("go")
    if go is None:
        return source.nothing(
            f"{source.where} is a Go program, and there is no go on PATH to build it with; install Go, or name a "
            "program that is built already",
            command='["./PROGRAM"]',
        )
    program = _target(source)
    return ProgramLaunch(
        how=f"go build in {source.where} ({MODULE_FILE})",
        argv=(str(program),),
        cwd=source.folder,
        expands=False,
        watched=source.watched,
        build=Build(argv=(go, "build", "-o", str(program), "."), cwd=source.folder),
    )


def _is_in_a_module(source: Source) -> bool:
    """Report whether there is a go.mod in the folder or above it, up to the root."""
    folder, root = source.folder.resolve(), source.root.resolve()
    places = [folder, *(above for above in folder.parents if above == root or root in above.parents)]
    return any((place / MODULE_FILE).is_file() for place in places)


def _target(source: Source) -> Path:
    # Two folders may have the same name.
    digest = hashlib.sha256(str(source.folder.resolve()).encode()).hexdigest()[:8]
    return source.data.resolve() / BUILT / f"{source.folder.resolve().name}-{digest}"
