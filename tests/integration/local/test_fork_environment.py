"""A forked function has the same settings as one in a new interpreter, whatever libraries read when loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from darkroom.local.children.environment_reads import EnvironmentReads
from darkroom.local.children.processes import ManagedProcess, PythonModule, python_command
from darkroom.local.revisions.environment import revisions
from darkroom.manifests import load
from tests.integration.local.test_fork_server import PROJECT, Forks, forks, interpreter_env

SETTINGS_PROGRAM = """
import json, locale, os, sys, tempfile, time
import gunicorn.config, uvicorn.config, zoneinfo
from functions_framework._http.gunicorn import GunicornApplication, UvicornApplication
import structlog._config, structlog.dev
from opentelemetry.sdk import trace
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
settings = {}
for kind in (GunicornApplication, UvicornApplication):
    config = kind(None, "127.0.0.1", "1", False).cfg
    settings[kind.__name__] = {name: repr(setting.get()) for name, setting in config.settings.items()
        if not callable(setting.get())}
    settings[kind.__name__] |= {"sendfile used": config.sendfile, "env": sorted(config.env_orig.items())}
config = uvicorn.config.Config(None)
settings["uvicorn"] = {"workers": config.workers, "forwarded": config.forwarded_allow_ips}
settings["process"] = {"flags": str(sys.flags), "zone": time.tzname, "locale": locale.setlocale(locale.LC_CTYPE),
    "preferred": locale.getpreferredencoding(False), "stdout": [sys.stdout.encoding, sys.stdout.errors],
    "temporary": tempfile.gettempdir(), "zones": zoneinfo.TZPATH, "path": sys.path, "home": os.path.expanduser("~")}
settings["structlog"] = [structlog._config._no_colors, structlog._config._force_colors]
settings["spans"] = {name: getattr(trace, name) for name in dir(trace) if name.startswith("_ENV") or "LIMIT" in name}
print(json.dumps(settings, default=str, sort_keys=True))
"""

RE_READ = {"FORWARDED_ALLOW_IPS": "", "WEB_CONCURRENCY": "3", "PORT": "9", "HOME": "/nowhere", "TZ": "Asia/Tokyo"}
"""A process that differs in these can be forked."""
OTHERS = {
    "FORWARDED_ALLOW_IPS": "10.0.0.0/8",
    "GUNICORN_CMD_ARGS": "--workers 5",
    "SENDFILE": "no",
    "XDG_RUNTIME_DIR": "/tmp",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "7",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_TRACES_SAMPLER": "always_off",
    "LANG": "en_US.UTF-8",
    "LC_ALL": "C",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONTZPATH": "/nowhere",
    "PYTHONHASHSEED": "7",
    "MALLOC_ARENA_MAX": "2",
    "VIPS_CONCURRENCY": "1",
    "VIPS_BLOCK_UNTRUSTED": "1",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "TMPDIR": "/var/tmp",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "no_proxy": "*",
    "OPENSSL_CONF": "/nowhere",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "SCRIPT_NAME": "/prefix",
}


async def both_ways(running: Forks, env: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """What the program prints in a process from the fork server and in a new interpreter; whether the first is a
    fork.
    """
    lines: list[str] = []
    process = await running.start(SETTINGS_PROGRAM, lines, env=env)
    is_fork = process.name == "child" and is_child_of_the_zygote(running, process)
    assert await process.wait() == 0, lines
    [module] = {path.stem for path in running.folder.glob("program_*.py")}
    plain: list[str] = []
    program = _module(running.folder, module, env)
    fresh = await ManagedProcess.start("fresh", python_command(program), on_line=plain.append)
    assert await fresh.wait() == 0, plain
    return json.loads(lines[-1]), json.loads(plain[-1]), is_fork


def differences(forked: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """By group and setting: the value in the fork, the value in the new interpreter."""
    flat = [
        {(group, name): value for group, values in printed.items() for name, value in _items(values)}
        for printed in (forked, fresh)
    ]
    return {
        str(name): (flat[0].get(name), flat[1].get(name))
        for name in flat[0] | flat[1]
        if flat[0].get(name) != flat[1].get(name)
    }


def _items(values: Any) -> Any:
    return values.items() if isinstance(values, dict) else enumerate(values)


def is_child_of_the_zygote(running: Forks, process: ManagedProcess) -> bool:
    # From /proc, because it may have ended already and then still waits for its parent to reap it.
    try:
        status = Path(f"/proc/{process.pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return int(status.rpartition(")")[2].split()[1]) in running.server.pids


def _module(folder: Path, module: str, env: dict[str, str]) -> PythonModule:
    return PythonModule(module=module, env={**interpreter_env(folder), **env}, cwd=folder)


async def test_what_gunicorn_read_at_its_import_is_read_again_in_a_fork(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        forked, fresh, is_fork = await both_ways(running, RE_READ)
    assert differences(forked, fresh) == {}
    assert is_fork, "these variables need no interpreter of their own"
    assert forked["UvicornApplication"]["forwarded_allow_ips"] == "[]"
    assert running.reports == []


@pytest.mark.slow
async def test_each_setting_is_the_same_in_a_fork_and_in_a_new_interpreter(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        for name, value in OTHERS.items():
            forked, fresh, _ = await both_ways(running, {"HOME": str(tmp_path), name: value})
            assert differences(forked, fresh) == {}, name
        assert running.reports == [], "none of them replaced the fork server"


@pytest.mark.slow
async def test_each_function_has_the_same_settings_in_a_fork_and_in_a_new_interpreter(tmp_path: Path) -> None:
    manifests = load([PROJECT / "knative" / "base", PROJECT / "nats-eventing"])
    secrets = dict.fromkeys(("REDIS_URL", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY", "NATS_URL"), "none")
    functions = revisions(manifests, settings=secrets)
    assert len(functions) > 4
    async with forks(tmp_path) as running:
        await running.until_ready()
        for revision in functions:
            env = {**revision.env, "HOME": str(tmp_path / revision.service), "PORT": "7"}
            forked, fresh, is_fork = await both_ways(running, env)
            assert differences(forked, fresh) == {}, revision.service
            assert is_fork, f"{revision.service} needs an interpreter of its own: its cold starts are slow"


def test_a_variable_that_an_import_has_read_with_another_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READ_BY_A_LIBRARY", "before")
    with EnvironmentReads() as reads:
        assert os.environ.get("READ_BY_A_LIBRARY") == "before"
        assert "MISSING_FOR_A_LIBRARY" not in os.environ
    assert reads.conflict({"READ_BY_A_LIBRARY": "before", "OTHER": "x"}) is None
    assert reads.conflict({"READ_BY_A_LIBRARY": "after"}) == "READ_BY_A_LIBRARY"
    assert reads.conflict({}) == "READ_BY_A_LIBRARY"
    assert reads.conflict({"READ_BY_A_LIBRARY": "before", "MISSING_FOR_A_LIBRARY": ""}) == "MISSING_FOR_A_LIBRARY"


def test_who_read_the_whole_environment_depends_on_all_of_it() -> None:
    with EnvironmentReads() as reads:
        dict(os.environ)
    assert reads.conflict(dict(os.environ)) is not None
