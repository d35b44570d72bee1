"""The Python environment that a function runs in: one of the project's own where there is one, else Darkroom's.

Nothing is ever installed. What a function's requirements list and its environment lacks is said, with the command that
installs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from darkroom.local.revisions.launching.folders import shown

VENV_FOLDERS = (".venv", "venv")
ASK_TIMEOUT_S = 10.0
_NAME = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)")
_PACKAGES = "*.*-info"
"""The folders `NAME-VERSION.dist-info` and the older `.egg-info`."""
_LIST_NAMES = "import json, importlib.metadata as m; print(json.dumps([d.metadata['Name'] for d in m.distributions()]))"


@dataclass(frozen=True, kw_only=True)
class Environment:
    python: Path
    folder: Path | None
    """That of a virtual environment."""
    is_own: bool
    """True: it is the one that Darkroom itself runs in, from which functions can be forked."""

    @property
    def programs(self) -> tuple[Path, ...]:
        return (self.python.parent,)

    @property
    def variables(self) -> Mapping[str, str]:
        return {} if self.folder is None else {"VIRTUAL_ENV": str(self.folder)}

    def lacks(self, *packages: str) -> list[str]:
        """Return which of the packages are not installed; none, if that cannot be found out."""
        installed = _installed(self.python, self.folder, self.is_own)
        return [] if installed is None else [each for each in packages if normalized(each) not in installed]


class NoInterpreterError(Exception):
    """The project file names an environment in which there is no interpreter."""


def environment_of(folder: Path, root: Path, *, named: str | None = None) -> Environment:
    """Find the environment of a function. Raises NoInterpreterError for one that is named and does not exist."""
    if named is not None:
        return _named(root / named)
    for place in (*_upwards(folder, root), *_activated()):
        if found := _virtual_environment(place):
            return found
    return own_environment()


def own_environment() -> Environment:
    prefix = Path(sys.prefix)
    folder = prefix if sys.prefix != sys.base_prefix else None
    return Environment(python=Path(sys.executable), folder=folder, is_own=True)


def _upwards(folder: Path, root: Path) -> list[Path]:
    places = [folder, root] if folder != root else [root]
    return [place / name for place in places for name in VENV_FOLDERS]


def _activated() -> list[Path]:
    active = os.environ.get("VIRTUAL_ENV")
    return [Path(active)] if active else []


def _virtual_environment(folder: Path) -> Environment | None:
    python = folder / "bin" / "python"
    if not (folder / "pyvenv.cfg").is_file() or not python.exists():
        return None
    is_own = folder.resolve() == Path(sys.prefix).resolve()
    return (
        own_environment() if is_own else Environment(python=python.absolute(), folder=folder.absolute(), is_own=False)
    )


def _named(path: Path) -> Environment:
    if path.is_dir():
        if found := _virtual_environment(path):
            return found
        raise NoInterpreterError(f"{path} is no virtual environment; make it with python3 -m venv {path}")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise NoInterpreterError(f"there is no interpreter {path}; make it with python3 -m venv {path.parent.parent}")
    return _virtual_environment(path.parent.parent) or Environment(python=path.absolute(), folder=None, is_own=False)


# --- what is installed -----------------------------------------------------------------------------------------------


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(python: Path, folder: Path | None, is_own: bool) -> frozenset[str] | None:
    """List packages by the names of their folders, which takes a hundredth of reading what each says of itself."""
    if is_own:
        return _names(path for place in sys.path for path in Path(place or ".").glob(_PACKAGES))
    if folder is not None and not _sees_system_packages(folder):
        return _names(folder.glob(f"lib*/python*/site-packages/{_PACKAGES}"))
    return _asked(str(python))


def _names(folders: Iterable[Path]) -> frozenset[str]:
    return frozenset(normalized(folder.name.rpartition(".")[0].partition("-")[0]) for folder in folders)


def _sees_system_packages(folder: Path) -> bool:
    text = (folder / "pyvenv.cfg").read_text(errors="replace").lower()
    return re.search(r"^include-system-site-packages\s*=\s*true", text, re.M) is not None


@lru_cache(maxsize=32)
def _asked(python: str) -> frozenset[str] | None:
    try:
        done = subprocess.run(
            [python, "-c", _LIST_NAMES], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=True
        )
        return frozenset(normalized(name) for name in json.loads(done.stdout) if name)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None  # The function's own start will show what is wrong with the interpreter.


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Requirements:
    packages: tuple[str, ...]
    install: str
    """The arguments of pip that install them."""
    file: Path


def requirements_of(folder: Path, root: Path) -> Requirements | None:
    """Return what the nearest requirements.txt or pyproject.toml lists, in the function's folder or the root."""
    for place in dict.fromkeys((folder, root)):
        file = place / "requirements.txt"
        if file.is_file():
            lines = file.read_text(errors="replace").splitlines()
            packages = tuple(name for line in lines if (name := _required(line)))
            return Requirements(packages=packages, install=f"-r {shown(file, root)}", file=file)
        file = place / "pyproject.toml"
        if file.is_file() and (packages := _of_pyproject(file)):
            return Requirements(packages=packages, install=f"./{shown(place, root)}", file=file)
    return None


def missing_packages(environment: Environment, folder: Path, root: Path) -> tuple[str, ...]:
    """Return a sentence about what is not installed; empty if nothing is missing."""
    required = requirements_of(folder, root)
    if required is None:
        return ()
    missing = environment.lacks(*required.packages)
    if not missing:
        return ()
    where = shown(environment.folder or environment.python, root)
    listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    command = install(environment, folder, root, required.install)
    return (f"{shown(required.file, root)} lists {listed}, which {where} lacks; install with: {command}",)


def install(environment: Environment, folder: Path, root: Path, packages: str) -> str:
    """Return the command that installs packages for a function: never into Darkroom's own environment."""
    if not environment.is_own:
        return f"{shown(environment.python.parent, root)}/{environment.python.name} -m pip install {packages}"
    venv = shown(folder / VENV_FOLDERS[0], root)
    return f"python3 -m venv {venv} && {venv}/bin/pip install {packages}"


def _required(line: str) -> str:
    """Return the package that a line of requirements names; empty for options, and for what some machines only need."""
    text = line.partition("#")[0].strip()
    if not text or text.startswith("-") or ";" in text or text.startswith((".", "/")):
        return ""
    found = _NAME.fullmatch(text)
    if found is None or (found["rest"] and found["rest"][0] not in "<>=!~@("):
        return ""
    return found["name"]


def _of_pyproject(file: Path) -> tuple[str, ...]:
    try:
        data: dict[str, Any] = tomllib.loads(file.read_text(errors="replace"))
    except tomllib.TOMLDecodeError:
        return ()
    project, tool = data.get("project"), data.get("tool")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    if isinstance(listed, list):
        return tuple(name for line in listed if isinstance(line, str) and (name := _required(line)))
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    table = poetry.get("dependencies") if isinstance(poetry, dict) else None
    return tuple(name for name in table if name != "python") if isinstance(table, dict) else ()
