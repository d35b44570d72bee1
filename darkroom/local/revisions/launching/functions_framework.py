"""Python functions on functions-framework: `main.py` and a target in it, or what FUNCTION_* variables name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from darkroom.local.revisions.launching.environments import Environment, install, missing_packages, own_environment
from darkroom.local.revisions.launching.folders import shown
from darkroom.local.revisions.launching.launch import ModuleLaunch, NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.source import Source

MODULE = "functions_framework"
PACKAGE = "functions-framework"
DEFAULT_SOURCE = "main.py"
_DECORATOR_MODULES = ("functions_framework", "darkroom.serving")


def declared(source: Source) -> ModuleLaunch | ProgramLaunch | None:
    """Return how the function runs that the container's environment names, with a path from the project's root."""
    env = source.revision.env
    named = env.get("FUNCTION_SOURCE")
    if not env.get("FUNCTION_TARGET") or not named or not (source.root / named).is_file():
        return None
    return _launch(source, source.root / named, cwd=source.root, env={})


def in_folder(source: Source) -> ModuleLaunch | ProgramLaunch | NoLaunch | None:
    """Return how the function in a folder runs, if there is a file with a target."""
    env = source.revision.env
    file = source.folder / env.get("FUNCTION_SOURCE", DEFAULT_SOURCE)
    if not file.is_file():
        return None
    target = env.get("FUNCTION_TARGET")
    if target is None:
        targets = list(_targets(file))
        if not targets:
            return None
        if len(targets) > 1:
            name = shown(file, source.root)
            return source.nothing(
                f"{name} has {len(targets)} functions: {', '.join(targets)}; "
                "name one with the variable FUNCTION_TARGET of the container",
                command=f'["functions-framework", "--source", "{file.name}", "--target", "{targets[0]}"]',
            )
        [target] = targets
    # An absolute path: the source is looked for in the working directory.
    variables = {"FUNCTION_SOURCE": str(file.resolve()), "FUNCTION_TARGET": target}
    return _launch(source, file, cwd=source.folder, env=variables)


def _launch(source: Source, file: Path, *, cwd: Path, env: dict[str, str]) -> ModuleLaunch | ProgramLaunch:
    environment, notes = _environment(source)
    how = f"{shown(file, source.root)} on functions-framework"
    notes = (*notes, *missing_packages(environment, file.parent, source.root))
    watched = source.watched_python(file)
    if environment.is_own:
        return ModuleLaunch(how=how, module=MODULE, cwd=cwd, env=env, watched=watched, notes=notes)
    return ProgramLaunch(
        how=f"{how} of {shown(environment.folder or environment.python, source.root)}",
        argv=(str(environment.python), "-m", MODULE),
        cwd=cwd,
        env={**environment.variables, **env, "PYTHONPATH": str(source.root.resolve()), "HOST": "127.0.0.1"},
        path=environment.programs,
        expands=False,
        watched=watched,
        notes=notes,
    )


def _environment(source: Source) -> tuple[Environment, tuple[str, ...]]:
    """Return the environment to run in: an environment made for something else may have no functions-framework."""
    environment = source.environment
    if not environment.lacks(PACKAGE):
        return environment, ()
    where = shown(environment.folder or environment.python, source.root)
    command = install(environment, source.folder, source.root, PACKAGE)
    note = f"{where} has no {PACKAGE}, so the function runs in Darkroom's own environment; install with: {command}"
    return own_environment(), (note,)


def _targets(file: Path) -> Iterator[str]:
    """Yield the functions that are decorated as targets, without running the file."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # If it is a function, its own start shows the mistake.
    modules = dict(_imported(tree))
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            names = (_dotted(decorator) for decorator in statement.decorator_list)
            if any(_is_target(name, modules) for name in names):
                yield statement.name


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each imported name with what it stands for."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_target(name: str, modules: dict[str, str]) -> bool:
    first, dot, rest = name.partition(".")
    full = f"{modules.get(first, first)}{dot}{rest}"
    return full.startswith(tuple(f"{module}." for module in _DECORATOR_MODULES))
