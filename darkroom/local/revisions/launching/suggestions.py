"""What is said of a folder in which there is something, but nothing that says how to start it."""

from __future__ import annotations

import re
from collections.abc import Callable

from darkroom.local.revisions.launching.launch import NoLaunch
from darkroom.local.revisions.launching.source import Source

_PYTHON_FILES = ("app.py", "main.py", "server.py", "wsgi.py", "asgi.py")
_APPLICATION = re.compile(
    r"^(?P<name>\w+)\s*(?::[^=]+)?=\s*(?:\w+\.)?(?P<kind>Flask|FastAPI|Starlette|Quart|Sanic)\(", re.M
)
_MAIN = re.compile(r"^if __name__ == ['\"]__main__['\"]", re.M)


def suggestion_for(source: Source) -> NoLaunch | None:
    """Return a sentence with the command to name; None if nothing is recognised."""
    for suggest in _SUGGESTIONS:
        if found := suggest(source):
            return found
    return None


def _python_application(source: Source) -> NoLaunch | None:
    for name in _PYTHON_FILES:
        if not source.has(name):
            continue
        text = (source.folder / name).read_text(errors="replace")
        module = name.removesuffix(".py")
        if found := _APPLICATION.search(text):
            object_ = f"{module}:{found['name']}"
            if found["kind"] in ("Flask",):
                return source.nothing(
                    f"{name} is a {found['kind']} application",
                    command=f'["gunicorn", "--bind", "127.0.0.1:$PORT", "{object_}"]',
                )
            return source.nothing(
                f"{name} is a {found['kind']} application", command=f'["uvicorn", "--port", "$PORT", "{object_}"]'
            )
        if _MAIN.search(text):
            return source.nothing(f"{name} is a Python program", command=f'["python", "{name}"]')
    return None


def _file(name: str, what: str, command: str) -> Callable[[Source], NoLaunch | None]:
    def suggest(source: Source) -> NoLaunch | None:
        return source.nothing(f"{source.where} {what}", command=command) if source.has(name) else None

    return suggest


_SUGGESTIONS: tuple[Callable[[Source], NoLaunch | None], ...] = (
    _python_application,
    _file("Cargo.toml", "is a Rust program", '["cargo", "run", "--release"]'),
    _file("pom.xml", "is a Maven project", '["java", "-jar", "target/PROGRAM.jar"]'),
    _file("build.gradle", "is a Gradle project", '["java", "-jar", "build/libs/PROGRAM.jar"]'),
    _file("build.gradle.kts", "is a Gradle project", '["java", "-jar", "build/libs/PROGRAM.jar"]'),
    _file("Gemfile", "is a Ruby program", '["bundle", "exec", "ruby", "FILE.rb"]'),
    _file("composer.json", "is a PHP program", '["php", "-S", "127.0.0.1:$PORT"]'),
    _file("deno.json", "is a Deno program", '["deno", "task", "start"]'),
    _file("Dockerfile", "has a Dockerfile only, and no container is run here", '["PROGRAM", "ARGUMENT"]'),
)
