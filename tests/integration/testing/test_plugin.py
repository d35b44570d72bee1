"""The plugin in runs of pytest of its own: what it finds, what it says, what it leaves behind."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import psutil
import pytest

# pytester forgets what a run in this process imports. Half of the modules would then be there twice.
import darkroom.testing.session  # noqa: F401

pytest_plugins = ["pytester"]

SHOP = (Path(__file__).parent / "shop" / "shop.yaml").read_text()
RECEIVES = """
    def test_it(broker):
        broker.send("shop.order.placed", {"order": 7})
        assert broker.received("confirm")[0].json() == {"order": 7}
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with its YAML, and tests in a folder below it."""
    (pytester.path / "knative").mkdir()
    (pytester.path / "knative" / "shop.yaml").write_text(SHOP)
    return pytester


def run_apart(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest in another process, without the time that the plugins of others take to be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return project.runpytest_subprocess("-p", "darkroom.testing.plugin", *options)


def said(result: pytest.RunResult) -> str:
    return "\n".join([*result.outlines, *result.errlines])


def test_the_plugin_is_an_entry_point() -> None:
    values = [each.value for each in entry_points(group="pytest11") if each.name == "darkroom"]
    assert values == ["darkroom.testing.plugin"], "after a change of pyproject.toml: pip install --no-deps --editable ."


def test_a_tests_broker_is_that_of_the_project_around_it(project: pytest.Pytester) -> None:
    (project.path / "tests").mkdir()
    project.makepyfile(**{"tests/test_it": RECEIVES})
    result = run_apart(project, "--darkroom-durations", "-W", "error")
    result.assert_outcomes(passed=1)
    assert re.search(r"darkroom: nats-server and the first Broker ready in \d+\.\d\d s", said(result))


def test_the_settings_name_a_project_or_its_yaml(project: pytest.Pytester) -> None:
    (project.path / "knative").rename(project.path / "elsewhere")
    project.makepyfile(test_it=RECEIVES)
    project.makeini("[pytest]\ndarkroom_manifests = elsewhere/shop.yaml\n")
    project.runpytest_inprocess().assert_outcomes(passed=1)
    (project.path / "shop").mkdir()
    (project.path / "elsewhere").rename(project.path / "shop" / "k8s")
    project.makeini("[pytest]\ndarkroom_project = shop\n")
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_the_nearest_marker_wins(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.darkroom(project="nowhere", clock="manual")

        @pytest.mark.darkroom(project=".")
        def test_it(broker):
            broker.advance(1)
        """
    )
    project.runpytest_inprocess("--strict-markers").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        (
            "",
            r"there is no Knative YAML in \S+: no darkroom\.toml, no knative/, config/, k8s/ and no \*\.yaml; name it",
        ),
        ('manifests=["a.yaml"]', r"there is no \S+/a\.yaml, which the project's manifests should be"),
        ('clock="fast"', r"there is no clock 'fast'; there is skip, manual, real"),
        ("speed=2", r"@pytest\.mark\.darkroom takes project=, manifests=, processes=, clock=, settings= and no speed"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_without_a_traceback(
    pytester: pytest.Pytester, marker: str, sentence: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        @pytest.mark.darkroom({marker})
        def test_it(broker): pass
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert re.search(sentence, said(result))
    assert "Traceback" not in said(result)
    assert "darkroom/testing" not in said(result)


def test_wrong_yaml_is_told_with_its_lines(pytester: pytest.Pytester) -> None:
    (pytester.path / "shop.yaml").write_text(SHOP.replace("backoffPolicy: exponential", "backoffPolicy: Exponential"))
    pytester.makepyfile(test_it=RECEIVES)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert re.search(r"shop\.yaml:\d+: spec\.delivery\.backoffPolicy: must be", said(result))


def test_yaml_without_a_broker_is_told(pytester: pytest.Pytester) -> None:
    (pytester.path / "shop.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    pytester.makepyfile(test_it=RECEIVES)
    result = pytester.runpytest_inprocess()
    assert re.search(r"there is no Broker and no channel in \S+shop\.yaml", said(result))


def test_a_missing_package_is_told_with_the_extra_that_has_it(project: pytest.Pytester) -> None:
    project.makeconftest("import sys\nsys.modules['nats'] = None\n")
    project.makepyfile(test_it=RECEIVES)
    result = run_apart(project)
    result.assert_outcomes(errors=1)
    assert "needs the Python package 'nats'" in said(result)
    assert "extra `testing`" in said(result)
    assert "Traceback" not in said(result)


@pytest.mark.slow
def test_a_missing_nats_server_is_told(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    project.makeconftest("import sysconfig\nsysconfig.get_path = lambda name: '/nowhere'\n")
    project.makepyfile(test_it=RECEIVES)
    result = run_apart(project)
    result.assert_outcomes(errors=1)
    assert "nats-server is neither in /nowhere nor on the PATH" in said(result)


def test_a_failed_assertion_in_a_handler_fails_a_test_that_asks_no_more(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import threading

        def test_it(broker):
            called = threading.Event()

            def confirm(event):
                called.set()
                assert event.json() == {"order": 8}

            broker.subscribe("confirm", confirm)
            broker.send("shop.order.placed", {"order": 7})
            assert called.wait(5)
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    assert "assert {'order': 7} == {'order': 8}" in said(result)


def test_one_server_serves_the_whole_run_and_ends_with_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pathlib

        def test_first(broker, darkroom_session):
            pathlib.Path("pids").write_text(f"{darkroom_session.server_pid}\\n")

        def test_second(broker, darkroom_session):
            with open("pids", "a") as pids:
                pids.write(f"{darkroom_session.server_pid}\\n")
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=2)
    first, second = (project.path / "pids").read_text().split()
    assert first == second
    assert not psutil.pid_exists(int(first))


def test_a_run_that_is_killed_leaves_no_server_behind(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import os, pathlib, signal

        def test_it(broker, darkroom_session):
            pathlib.Path("pid").write_text(str(darkroom_session.server_pid))
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    run_apart(project)
    pid = int((project.path / "pid").read_text())
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_each_worker_of_xdist_has_a_server_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile(test_one=RECEIVES, test_two=RECEIVES)
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=2)


def test_a_fixture_of_the_users_own_may_be_called_broker(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broker():
            return "mine"

        def test_it(broker):
            assert broker == "mine"
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_the_plugin_can_be_switched_off(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=RECEIVES)
    result = project.runpytest_inprocess("-p", "no:darkroom")
    result.assert_outcomes(errors=1)
    assert "fixture 'broker' not found" in said(result)
