"""Projects of the `func` command of Knative Functions: a folder with func.yaml and a handler in its language.

`func` adds the server itself when it builds (knative/func, templates/*/scaffolding). Python's server is the package
func-python, older projects' is parliament-functions; Node.js projects name theirs, faas-js-runtime, in package.json.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkroom.local.revisions.launching import node
from darkroom.local.revisions.launching.environments import install, missing_packages
from darkroom.local.revisions.launching.folders import shown
from darkroom.local.revisions.launching.launch import Launch, NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.source import Source
from darkroom.manifests.errors import ManifestError
from darkroom.manifests.source import parse

FUNC_FILE = "func.yaml"
MIDDLEWARE = "func-python"
OLD_MIDDLEWARE = "parliament-functions"
SERVE = Path(__file__).with_name("func_serve.py")
_COMMANDS = {
    "go": '["func", "run", "--container=false", "--address", "127.0.0.1:$PORT"]',
    "rust": '["cargo", "run"]',
    "quarkus": '["./mvnw", "quarkus:dev", "-Dquarkus.http.port=$PORT"]',
    "springboot": '["./mvnw", "spring-boot:run", "-Dspring-boot.run.arguments=--server.port=$PORT"]',
}


def func_project(source: Source) -> Launch | None:
    if not source.has(FUNC_FILE):
        return None
    try:
        data = _read(source.folder / FUNC_FILE)
    except ManifestError as exc:
        return source.nothing(f"its {FUNC_FILE} cannot be read: {exc}")
    runtime = data.get("runtime")
    if runtime == "python":
        return _python(source, data)
    if runtime in ("node", "typescript"):
        found = node.package(source)
        return (
            found if found is not None else source.nothing(f"{FUNC_FILE} says {runtime}, and there is no package.json")
        )
    if isinstance(runtime, str) and runtime in _COMMANDS:
        why = f"{FUNC_FILE} says {runtime}, whose server the command func adds when it builds"
        return source.nothing(why, command=_COMMANDS[runtime])
    return source.nothing(f"{FUNC_FILE} has the runtime {runtime!r}; python, node and typescript are known")


def _read(file: Path) -> Mapping[str, Any]:
    """Read a func.yaml. Raises ManifestError."""
    documents = parse(file.read_text("utf-8", errors="replace"), file, 1)
    data = documents[0].data if documents else None
    return data if isinstance(data, dict) else {}


def _python(source: Source, data: Mapping[str, Any]) -> ProgramLaunch | NoLaunch:
    if (source.folder / "function" / "__init__.py").is_file():
        # What `invoke` says decides about the server; without it, that is plain HTTP.
        mode = "cloudevent" if data.get("invoke") == "cloudevent" else "http"
        return _served(source, data, MIDDLEWARE, (str(SERVE), mode), source.folder / "function" / "__init__.py")
    if source.has("func.py"):
        return _served(source, data, OLD_MIDDLEWARE, ("-m", "parliament", "."), source.folder / "func.py")
    return source.nothing(f"{FUNC_FILE} says python, and there is neither function/__init__.py nor func.py")


def _served(
    source: Source, data: Mapping[str, Any], middleware: str, arguments: tuple[str, ...], entry: Path
) -> ProgramLaunch | NoLaunch:
    environment = source.environment
    if environment.lacks(middleware):
        lacking = shown(environment.folder or environment.python, source.root)
        packages = middleware if not source.has("pyproject.toml") else f"{middleware} ./{source.where}"
        command = install(environment, source.folder, source.root, packages)
        return NoLaunch(
            reason=(
                f"image {source.revision.image} is a func project in Python, which needs the package {middleware}, "
                f"and {lacking} lacks it; install with: {command}"
            ),
            watched=source.watched_python(entry),
        )
    return ProgramLaunch(
        how=f"{source.where} by {middleware} ({FUNC_FILE})",
        argv=(str(environment.python), *arguments),
        cwd=source.folder,
        env=environment.variables,
        defaults=variables(data),
        path=environment.programs,
        expands=False,
        watched=source.watched_python(entry),
        notes=missing_packages(environment, source.folder, source.root),
    )


def variables(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the plain variables of `run.envs`, and those that it takes from this machine's environment.

    Those from Secrets and ConfigMaps are the manifest's.
    """
    run = data.get("run")
    listed = run.get("envs") if isinstance(run, dict) else data.get("envs")
    found = {}
    for each in listed if isinstance(listed, list) else ():
        name, value = (each.get("name"), each.get("value")) if isinstance(each, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str) and (text := _value(value)) is not None:
            found[name] = text
    return found


def _value(text: str) -> str | None:
    if not (text.startswith("{{") and text.endswith("}}")):
        return text
    kind, _, name = text[2:-2].strip().partition(":")
    return os.environ.get(name.strip()) if kind.strip() == "env" else None
