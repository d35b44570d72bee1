"""Programs of any language as instances: real processes that are started, probed, killed with their children."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from darkroom.local.children import ports
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.errors import RevisionFailingError
from darkroom.local.revisions.admission import Admission
from darkroom.local.revisions.pool import FAILING_AFTER, Pool
from darkroom.manifests.images import Images, ImageSettings
from darkroom.manifests.revision import HttpCheck, ReadinessCheck, Revision, ScalingConfig
from tests.integration.local.functions import Workshop, get
from tests.integration.local.upstreams import upstream
from tests.integration.local.waiting import is_running, until

SERVER = """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
IMAGE = "dev.local/shop/any:1"
PYTHON = sys.executable


def revision(*, image: str = IMAGE, **fields: Any) -> Revision:
    defaults: dict[str, Any] = {"env": {}, "timeout_s": 30, "scaling": ScalingConfig()}
    return Revision(namespace="default", service="any", number=1, image=image, **{**defaults, **fields})


def pool_of(workshop: Workshop, settings: ImageSettings, *, start_timeout_s: float = 30, **fields: Any) -> Pool:
    named = Workshop(
        root=workshop.root,
        logs=workshop.logs,
        reports=workshop.reports,
        limit=workshop.limit,
        images=Images(entries={IMAGE: settings}),
    )
    return named.pool(revision(**fields), start_timeout_s=start_timeout_s)


def write(path: Path, text: str, *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


async def ready(pool: Pool, workshop: Workshop) -> dict[str, Any]:
    """What the only instance of `SERVER` says of itself."""
    pool.scale_to(1)
    await until(lambda: len(pool.ready) == 1, f"it is ready: {workshop.reports.all}")
    said: dict[str, Any] = json.loads(await get(pool))
    return said


async def test_a_named_command_runs_in_its_folder_with_what_serving_sets(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    write(workshop.root / "any/server.py", SERVER)
    settings = ImageSettings(path="any", command=[PYTHON, "server.py", "$PORT", "$(LEVEL)"], env={"HERE": "yes"})
    pool = pool_of(workshop, settings, env={"LEVEL": "debug", "HERE": "no", "K_SINK": "http://sink"})
    try:
        said = await ready(pool, workshop)
        [instance] = pool.ready
        env = said["env"]
        assert said["cwd"] == str(workshop.root / "any")
        assert said["argv"][1:] == [str(instance.port), "debug"]
        assert (env["PORT"], env["HOST"], env["HERE"]) == (str(instance.port), LOOPBACK, "yes")
        assert (env["K_SERVICE"], env["K_REVISION"], env["K_CONFIGURATION"]) == ("any", "any-00001", "any")
        assert env["K_SINK"] == "http://sink"
        assert not {"SECRET_OF_OURS", "PYTHONPATH"} & env.keys()
    finally:
        await pool.close(drain=False)


async def test_killing_an_instance_kills_its_children(workshop: Workshop) -> None:
    script = f"""#!/bin/sh
sleep 300 &
echo "child $!"
{PYTHON} server.py $PORT
"""
    write(workshop.root / "any/server.py", SERVER)
    write(workshop.root / "any/start.sh", script, mode=0o755)
    pool = pool_of(workshop, ImageSettings(path="any", command=["./start.sh"]))
    await ready(pool, workshop)
    [instance] = pool.ready
    assert instance.process is not None
    family = [psutil.Process(instance.process.pid), *psutil.Process(instance.process.pid).children(recursive=True)]
    assert {"sleep", "start.sh"} <= {process.name() for process in family}
    assert len(family) == 4, "the guard, the script, and its two children"
    await pool.close(drain=False)
    await until(lambda: not any(is_running(process.pid) for process in family), f"all are gone: {family}")


async def test_the_program_gets_the_signal_that_ends_it_and_may_end_well(workshop: Workshop) -> None:
    code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('ends well') or 0))\n{SERVER}"
    write(workshop.root / "any/server.py", code)
    pool = pool_of(workshop, ImageSettings(path="any", command=[PYTHON, "server.py", "$PORT"]))
    await ready(pool, workshop)
    [instance] = pool.ready
    await instance.stop()
    await pool.close(drain=False)
    assert instance.process is not None
    assert instance.process.returncode == 0
    assert instance.process.last_lines[-1] == "ends well"


async def test_a_crash_loop_is_told_with_its_reason(workshop: Workshop) -> None:
    write(workshop.root / "any/start.sh", "#!/bin/sh\necho 'Error: no orders today'\nexit 3\n", mode=0o755)
    pool = pool_of(workshop, ImageSettings(path="any", command=["./start.sh"]))
    try:
        pool.scale_to(1)
        await workshop.reports.wait_for("instance.start_failed", count=FAILING_AFTER)
        await until(lambda: pool.is_failing, "it is failing")
        assert pool.trouble is not None
        assert pool.trouble.reason == "any-00001 ended with 3 before it was ready: Error: no orders today"
    finally:
        await pool.close(drain=False)


async def test_a_program_that_does_not_read_port_is_told_so(workshop: Workshop) -> None:
    pool = pool_of(workshop, ImageSettings(command=["sleep", "300"]), start_timeout_s=0.5)
    workshop.root.mkdir()
    try:
        pool.scale_to(1)
        report = await workshop.reports.wait_for("instance.start_failed")
        assert report["detail"].endswith("; does it read its port from the variable PORT?")
    finally:
        await pool.close(drain=False)


async def test_a_program_that_cannot_be_run_is_told_in_a_sentence(workshop: Workshop) -> None:
    write(workshop.root / "any/start", "\x7fELF", mode=0o755)
    pool = pool_of(workshop, ImageSettings(path="any", command=["./start"]))
    try:
        pool.scale_to(1)
        report = await workshop.reports.wait_for("instance.start_failed")
        assert report["last_lines"] == [f"{workshop.root}/any/start cannot be started: Exec format error"]
    finally:
        await pool.close(drain=False)


async def test_an_address_that_listens_already_is_used_as_long_as_it_does(workshop: Workshop) -> None:
    port = ports.free_port()
    pool = pool_of(workshop, ImageSettings(url=f"http://{LOOPBACK}:{port}"))
    server = write(workshop.root / "server.py", SERVER)
    try:
        pool.scale_to(1)
        report = await workshop.reports.wait_for("instance.start_failed")
        assert (
            report["detail"] == f"any-00001 is not served at http://{LOOPBACK}:{port}: nothing listens on port {port}"
        )

        process = await asyncio.create_subprocess_exec(PYTHON, str(server), str(port))
        try:
            await until(lambda: len(pool.ready) == 1, "it is found")
            assert pool.ready[0].process is None
            assert json.loads(await get(pool))["argv"] == [str(server), str(port)]
        finally:
            process.kill()
            await process.wait()
        died = await workshop.reports.wait_for("instance.died")
        assert died["detail"] == f"nobody listens at http://{LOOPBACK}:{port} any more"
    finally:
        await pool.close(drain=False)
        ports.release(port)


async def test_a_service_whose_start_is_unknown_is_not_run_and_says_so(workshop: Workshop) -> None:
    pool = workshop.pool(revision(image="dev.local/unknown:1"))
    try:
        pool.scale_to(1)
        assert pool.instances == []
        with pytest.raises(RevisionFailingError) as refused:
            await Admission(pool, poke=lambda: None).acquire()
        assert (refused.value.status, refused.value.detail) == (503, pool.not_run)
        assert pool.not_run.startswith(
            "any: no way to start image dev.local/unknown:1 is known: there is no folder any"
        )
        write(workshop.root / "any/server.py", SERVER)
        write(workshop.root / "any/Procfile", f"web: {PYTHON} server.py $PORT\n")
        await until(lambda: not pool.not_run, "it is looked for again")
        assert (await ready(pool, workshop))["cwd"] == str(workshop.root / "any")
    finally:
        await pool.close(drain=False)


async def test_probes_have_headers_another_scheme_and_another_port(workshop: Workshop) -> None:
    asked: list[dict[str, str]] = []

    async def health(request: Any) -> Any:
        from aiohttp import web

        asked.append(dict(request.headers))
        return web.Response(status=200 if request.path == "/healthz" else 404)

    write(workshop.root / "any/server.py", SERVER)
    async with upstream(health) as other:
        probe = ReadinessCheck(http=HttpCheck(path="/healthz", headers={"X-Probe": "yes"}), port=other)
        settings = ImageSettings(path="any", command=[PYTHON, "server.py", "$PORT"])
        pool = pool_of(workshop, settings, readiness=probe)
        try:
            pool.scale_to(1)
            await until(lambda: len(pool.ready) == 1, "the other port's answer makes it ready")
            assert asked[-1]["X-Probe"] == "yes"
        finally:
            await pool.close(drain=False)


async def test_a_failing_livenessprobe_restarts_a_program(workshop: Workshop) -> None:
    write(workshop.root / "any/server.py", SERVER)
    alive = write(workshop.root / "alive", "")
    probe = ReadinessCheck(command=("test", "-f", str(alive)), period_s=0.05, timeout_s=10, failure_threshold=2)
    settings = ImageSettings(path="any", command=[PYTHON, "server.py", "$PORT"])
    pool = pool_of(workshop, settings, liveness=probe)
    try:
        await ready(pool, workshop)
        [first] = pool.ready
        alive.unlink()
        await workshop.reports.wait_for("instance.died")
        alive.touch()
        await until(lambda: len(pool.ready) == 1 and pool.ready[0] is not first, "another one is ready")
    finally:
        await pool.close(drain=False)


async def test_a_program_is_built_once_for_each_revision(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolchain is a script here that writes what `go build -o FILE .` would."""
    go = f"""#!/bin/sh
echo built >> {workshop.root}/builds
printf '#!/bin/sh\\nexec {PYTHON} {workshop.root}/any/server.py $PORT\\n' > "$3"
chmod +x "$3"
"""
    write(workshop.root / "bin/go", go, mode=0o755)
    monkeypatch.setenv("PATH", f"{workshop.root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    write(workshop.root / "any/server.py", SERVER)
    write(workshop.root / "any/go.mod", "module shop\n")
    write(workshop.root / "any/main.go", "package main\n")
    (workshop.root / ".darkroom/built").mkdir(parents=True)
    pool = workshop.pool(revision(image="dev.local/go:1"))
    try:
        pool.scale_to(2)
        await until(lambda: len(pool.ready) == 2, f"they are ready: {workshop.reports.all}")
        assert (workshop.root / "builds").read_text() == "built\n"
    finally:
        await pool.close(drain=False)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
async def test_a_node_package_runs_without_npm_and_its_crash_is_told(workshop: Workshop) -> None:
    server = "require('http').createServer((q, a) => a.end('hello from node')).listen(process.env.PORT, '127.0.0.1')"
    write(workshop.root / "any/server.js", server)
    write(workshop.root / "any/package.json", '{"scripts": {"start": "node server.js"}}')
    pool = workshop.pool(revision(image="dev.local/node:1"))
    try:
        pool.scale_to(1)
        await until(lambda: len(pool.ready) == 1, f"it is ready: {workshop.reports.all}")
        assert await get(pool) == "hello from node"
        assert pool.ready[0].process is not None
        [child] = psutil.Process(pool.ready[0].process.pid).children()
        assert child.name() == "node"
    finally:
        await pool.close(drain=False)

    write(workshop.root / "any/server.js", "require('./missing')\n")
    pool = workshop.pool(revision(image="dev.local/node:1"))
    try:
        pool.scale_to(1)
        await workshop.reports.wait_for("instance.start_failed")
        assert pool.trouble is not None
        assert pool.trouble.reason.endswith("before it was ready: Error: Cannot find module './missing'")
    finally:
        await pool.close(drain=False)
