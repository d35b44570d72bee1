from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import psutil
import pytest

from darkroom.local.children import ports
from darkroom.local.children.processes import PythonModule
from darkroom.local.revisions import code_watch
from darkroom.local.revisions.activator import Activator
from darkroom.local.revisions.binding import Binding, with_binding
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.revisions.readiness import Readiness
from darkroom.manifests import Destination
from darkroom.manifests.revision import HttpCheck, ReadinessCheck
from tests.integration.local.functions import (
    ENVIRONMENT,
    GREETING,
    MOODY,
    READY_ONCE_ASKED_OFTEN,
    WAITING,
    Workshop,
    get,
)
from tests.integration.local.upstreams import say_hello, upstream
from tests.integration.local.waiting import is_running, until

BROKEN_IMPORT = "import a_module_that_is_not_there\n"


async def test_an_instance_serves_its_function_and_reports_how_long_it_took_to_start(workshop: Workshop) -> None:
    async with workshop.running("greet", GREETING.format(greeting="hello")) as pool:
        assert await get(pool) == "hello"
        report = await workshop.reports.wait_for("instance.ready")

    assert report["revision"] == "greet-00001"
    assert report["ready_s"] > 0


async def test_a_function_sees_what_knative_sets_and_nothing_of_our_own_environment(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    async with workshop.running("environment", ENVIRONMENT, env={"SETTING": "of the manifest"}) as pool:
        env = json.loads(await get(pool))
        port = pool.ready[0].port

    assert env["SETTING"] == "of the manifest"
    assert env["PORT"] == str(port)
    assert env["K_SERVICE"] == env["K_CONFIGURATION"] == "environment"
    assert env["K_REVISION"] == "environment-00001"
    assert not {"K_SINK", "K_CE_OVERRIDES"} & env.keys(), "no SinkBinding names it"
    assert env["PYTHONPATH"] == str(workshop.root)
    assert os.access(Path(env["HOME"]).parent, os.W_OK)
    assert not {"SECRET_OF_OURS", "PYTHONDONTWRITEBYTECODE"} & env.keys()


async def test_an_instance_is_ready_when_its_probe_says_so(workshop: Workshop) -> None:
    probe = ReadinessCheck(http=HttpCheck(path="/health"))
    async with workshop.running("slow", READY_ONCE_ASKED_OFTEN, readiness=probe) as pool:
        assert int(await get(pool)) == 4


async def test_an_instance_whose_probe_never_succeeds_is_ended_with_its_last_answer(workshop: Workshop) -> None:
    workshop.write("never", READY_ONCE_ASKED_OFTEN.replace("> 3", "> 1_000_000"))
    probe = ReadinessCheck(http=HttpCheck(path="/health"))
    pool = workshop.pool(workshop.revision("never", readiness=probe), start_timeout_s=2)
    try:
        pool.scale_to(1)
        report = await workshop.reports.wait_for("instance.start_failed")
    finally:
        await pool.close(drain=False)
    assert "was not ready within 2 s: GET /health answered 503: no sink yet" in report["detail"]


async def test_an_exec_probe_runs_in_the_functions_environment_until_it_succeeds(workshop: Workshop) -> None:
    workshop.write("greet", GREETING.format(greeting="hello"))
    probe = ReadinessCheck(command=("sh", "-c", 'echo "not yet"; test -f "$MARKER"'), timeout_s=10)
    marker = workshop.root / "marker"
    pool = workshop.pool(workshop.revision("greet", readiness=probe, env={"MARKER": str(marker)}))
    try:
        pool.scale_to(1)
        [instance] = pool.instances
        await until(
            lambda: instance.readiness is not None and "not yet" in instance.readiness.last_answer, "it is asked"
        )
        assert pool.ready == []
        marker.touch()
        await workshop.reports.wait_for("instance.ready")
        assert pool.ready == [instance]
    finally:
        await pool.close(drain=False)


async def test_an_exec_probe_that_hangs_or_does_not_exist_is_not_ready(workshop: Workshop) -> None:
    program = PythonModule(module="x", env={"PATH": "/usr/bin:/bin"}, cwd=workshop.root.parent)
    hanging = Readiness(ReadinessCheck(command=("sleep", "60"), timeout_s=0.1), 1, program)
    assert not await hanging.probe()
    assert hanging.last_answer == "sleep did not end within 0.1 s"
    missing = Readiness(ReadinessCheck(command=("no-such-program",)), 1, program)
    assert not await missing.probe()
    assert "there is no program 'no-such-program'" in missing.last_answer


async def test_a_probe_of_another_port_asks_that_port(workshop: Workshop) -> None:
    program = PythonModule(module="x", env={}, cwd=workshop.root.parent)
    async with upstream(say_hello) as port:
        assert await Readiness(ReadinessCheck(port=port), 1, program).probe()
        assert await Readiness(ReadinessCheck(http=HttpCheck(), port=port), 1, program).probe()
    assert not await Readiness(ReadinessCheck(port=port), 1, program).probe()


async def test_an_instance_that_fails_its_probe_again_gets_no_requests_until_it_succeeds(workshop: Workshop) -> None:
    probe = ReadinessCheck(http=HttpCheck(path="/health"), period_s=0.05, timeout_s=10, failure_threshold=2)
    async with workshop.running("moody", MOODY, readiness=probe) as pool:
        [instance] = pool.ready
        await get(pool, "/sicken")
        report = await workshop.reports.wait_for("instance.unready")
        assert "GET /health answered 503" in report["detail"]
        assert (pool.ready, instance.state, pool.processes) == ([], InstanceState.UNREADY, 1)
        (workshop.root / "well").touch()
        await workshop.reports.wait_for("instance.ready_again")
        assert pool.ready == [instance]


async def test_a_startup_probe_comes_before_the_readiness(workshop: Workshop) -> None:
    workshop.write("greet", GREETING.format(greeting="hello"))
    marker = workshop.root / "marker"
    startup = ReadinessCheck(command=("test", "-f", str(marker)), timeout_s=10)
    pool = workshop.pool(workshop.revision("greet", startup=startup))
    try:
        pool.scale_to(1)
        await until(lambda: not ports.is_free(pool.instances[0].port), "it would serve")
        assert pool.ready == []
        marker.touch()
        await workshop.reports.wait_for("instance.ready")
    finally:
        await pool.close(drain=False)


async def test_an_instance_that_fails_its_liveness_probe_is_ended_and_replaced(workshop: Workshop) -> None:
    probe = ReadinessCheck(http=HttpCheck(path="/health"), period_s=0.05, timeout_s=10, failure_threshold=2)
    async with workshop.running("moody", MOODY, liveness=probe) as pool:
        await get(pool, "/sicken")
        report = await workshop.reports.wait_for("instance.unhealthy")
        assert "GET /health answered 503" in report["detail"]
        assert (await workshop.reports.wait_for("instance.died"))["pid"] == report["pid"]
        await workshop.reports.wait_for("instance.ready", count=2)


async def test_requests_for_a_function_that_does_not_start_are_answered_and_the_pool_says_why(
    workshop: Workshop,
) -> None:
    folder = workshop.write("broken", BROKEN_IMPORT)
    pool = workshop.pool(workshop.revision("broken"))
    activator = Activator(poke=lambda _: pool.scale_to(1))
    activator.serve(pool)
    try:
        before = time.time()
        answer = await activator.request(pool.revision.key, "POST", "/", {}, b"")
        assert answer.status == 503
        assert b"broken does not start: broken-00001 ended with" in answer.body
        assert pool.trouble is not None
        assert before <= pool.trouble.since <= time.time()
        assert pool.trouble.failures >= 3
        assert "No module named 'a_module_that_is_not_there'" in pool.trouble.last_lines[-1]

        (folder / "main.py").write_text(GREETING.format(greeting="mended"))
        await until(lambda: len(pool.ready) == 1, "it starts once it can")
        assert pool.trouble is None
        assert (await activator.request(pool.revision.key, "POST", "/", {}, b"")).body == b"mended"
    finally:
        await pool.close(drain=False)
        await activator.close()


async def test_a_function_that_was_broken_when_it_was_bound_has_its_sink_once_it_is_mended(workshop: Workshop) -> None:
    folder = workshop.write("bound", BROKEN_IMPORT)
    pool = workshop.pool(workshop.revision("bound"))
    pool.scale_to(1)
    try:
        await workshop.reports.wait_for("instance.start_failed")
        binding = Binding(sink=Destination(uri="http://sink.example/"), extensions=None)
        await pool.replace(with_binding(pool.revision, binding, "http://sink.example/"), if_it_starts=False)
        (folder / "main.py").write_text(ENVIRONMENT)
        await until(lambda: len(pool.ready) == 1, "it starts once it can")
        assert json.loads(await get(pool))["K_SINK"] == "http://sink.example/"
    finally:
        await pool.close(drain=False)


async def test_an_instance_that_cannot_be_spawned_is_a_failed_start_and_tried_again(workshop: Workshop) -> None:
    workshop.write("greet", GREETING.format(greeting="hello"))
    pool = workshop.pool(workshop.revision("greet"))
    (workshop.root / ".darkroom").write_text("a file where the data folder should be")
    try:
        pool.scale_to(1)
        report = await workshop.reports.wait_for("instance.start_failed")
        assert "could not be started" in report["detail"]
        (workshop.root / ".darkroom").unlink()
        await workshop.reports.wait_for("instance.ready")
    finally:
        await pool.close(drain=False)


async def test_a_draining_instance_gets_no_requests_and_ends_after_those_it_has(
    workshop: Workshop, tmp_path: Path
) -> None:
    marker = tmp_path / "in-flight"
    async with workshop.running("wait", WAITING.format(marker=marker)) as pool:
        instance = pool.ready[0]
        assert instance.process is not None
        instance.enter()
        answer = asyncio.create_task(get(pool, "/?s=0.5"))
        await until(marker.exists, "the request has reached the function")

        pool.scale_to(0)
        await until(lambda: instance.state is InstanceState.DRAINING, "it drains")
        assert pool.ready == []
        assert is_running(instance.process.pid)
        assert await answer == "waited"
        instance.leave()

        await workshop.reports.wait_for("instance.stopped")
        assert not is_running(instance.process.pid)
        assert workshop.reports.of("instance.died") == []


async def test_an_instance_whose_requests_never_end_is_stopped_after_the_revisions_timeout(workshop: Workshop) -> None:
    async with workshop.running("greet", GREETING.format(greeting="hello"), timeout_s=0.1) as pool:
        pool.ready[0].enter()

        pool.scale_to(0)

        report = await workshop.reports.wait_for("instance.drain_timed_out")
        assert report["in_flight"] == 1
        await workshop.reports.wait_for("instance.stopped")


async def test_an_instance_that_is_killed_is_removed_reported_and_replaced(workshop: Workshop) -> None:
    async with workshop.running("greet", GREETING.format(greeting="hello")) as pool:
        killed = pool.ready[0].process
        assert killed is not None
        psutil.Process(killed.pid).kill()

        report = await workshop.reports.wait_for("instance.died")
        await workshop.reports.wait_for("instance.ready", count=2)

        assert (report["pid"], report["returncode"]) == (killed.pid, -9)
        assert await get(pool) == "hello"


async def test_a_function_that_cannot_be_imported_says_why_and_is_tried_again_with_growing_pauses(
    workshop: Workshop,
) -> None:
    workshop.write("broken", BROKEN_IMPORT)
    pool = workshop.pool(workshop.revision("broken"))
    pool.scale_to(1)

    await workshop.reports.wait_for("instance.start_failed", count=2)
    await pool.close()

    first, second = workshop.reports.of("instance.start_failed")[:2]
    assert "No module named 'a_module_that_is_not_there'" in first["last_lines"][-1]
    assert second["retry_in_s"] > first["retry_in_s"]
    assert pool.instances == []


async def test_closing_a_pool_while_its_instances_start_leaves_no_process(workshop: Workshop) -> None:
    workshop.write("greet", GREETING.format(greeting="hello"))
    pool = workshop.pool(workshop.revision("greet"))
    pool.scale_to(2)
    await until(lambda: all(one.process is not None for one in pool.instances), "both are spawned")
    pids = [one.process.pid for one in pool.instances if one.process]

    await pool.close()

    assert len(pids) == 2
    assert not any(map(is_running, pids))
    assert workshop.reports.of("instance.start_failed") == []


async def test_closing_a_pool_waits_for_the_requests_that_are_in_flight(workshop: Workshop, tmp_path: Path) -> None:
    marker = tmp_path / "in-flight"
    async with workshop.running("wait", WAITING.format(marker=marker)) as pool:
        instance = pool.ready[0]
        instance.enter()
        answer = asyncio.create_task(get(pool, "/?s=0.3"))
        await until(marker.exists, "the request has reached the function")

        closing = asyncio.create_task(pool.close())
        assert await answer == "waited"
        assert not closing.done()
        instance.leave()
        await closing

    assert pool.instances == []


async def test_a_second_and_impatient_close_ends_what_the_first_still_waits_for(workshop: Workshop) -> None:
    async with workshop.running("greet", GREETING.format(greeting="hello")) as pool:
        pool.ready[0].enter()  # a request that never ends
        patient = asyncio.create_task(pool.close())
        await until(lambda: pool.ready == [], "it drains")

        await pool.close(drain=False)

        assert pool.instances == []
        patient.cancel()
        await asyncio.wait([patient])


async def test_the_machines_limit_caps_what_the_autoscaler_wants_and_reports_it(workshop: Workshop) -> None:
    for service in ("greedy", "modest"):
        workshop.write(service, GREETING.format(greeting=service))
    workshop.limit.most = 2
    greedy = workshop.pool(workshop.revision("greedy"))
    modest = workshop.pool(workshop.revision("modest"))
    try:
        greedy.scale_to(5)
        modest.scale_to(2)
        assert (greedy.processes, modest.processes) == (2, 1)
        assert [(one["service"], one["wanted"], one["granted"]) for one in workshop.reports.of("scale.capped")] == [
            ("greedy", 5, 2),
            ("modest", 2, 1),
        ]

        greedy.scale_to(0)
        await until(lambda: len(modest.ready) == 2, "the room that was made is taken")
    finally:
        await greedy.close(drain=False)
        await modest.close(drain=False)


async def test_changed_code_is_served_by_a_new_revision_and_a_syntax_error_leaves_the_old_one_serving(
    workshop: Workshop,
) -> None:
    async with workshop.running("greet", GREETING.format(greeting="old")) as pool:
        watching = asyncio.create_task(
            code_watch.keep_current({pool.revision.key: pool}, list, workshop.reports, poll_s=0.02)
        )
        await asyncio.sleep(0.05)  # lets the watch take its first look; nothing is waited for

        workshop.write("greet", "def handle(request:\n")
        failed = await workshop.reports.wait_for("revision.failed")
        assert "SyntaxError" in failed["last_lines"][-1]
        assert (failed["revision"], failed["serving"]) == ("greet-00002", "greet-00001")
        assert await get(pool) == "old"

        workshop.write("greet", GREETING.format(greeting="brand new"))
        await workshop.reports.wait_for("revision.replaced")
        await until(lambda: len(pool.instances) == 1, "the old one is drained")
        assert await get(pool) == "brand new"
        assert pool.revision.name == "greet-00003"

        watching.cancel()
        await asyncio.wait([watching])


async def test_changed_code_of_a_service_at_zero_starts_nothing(workshop: Workshop) -> None:
    workshop.write("greet", GREETING.format(greeting="old"))
    pool = workshop.pool(workshop.revision("greet"))
    watching = asyncio.create_task(
        code_watch.keep_current({pool.revision.key: pool}, list, workshop.reports, poll_s=0.02)
    )
    await asyncio.sleep(0.05)  # lets the watch take its first look; nothing is waited for

    workshop.write("greet", GREETING.format(greeting="brand new"))
    await workshop.reports.wait_for("revision.replaced")

    assert pool.processes == 0
    assert pool.revision.number == 2
    watching.cancel()
    await asyncio.wait([watching])
    await pool.close()
