"""The pytest plugin: the fixtures `broker` and `darkroom_session`, the marker `darkroom`, and its settings.

pytest imports this module in every run, so it imports nothing of the runtime before a fixture is used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from darkroom.testing.broker import Broker
    from darkroom.testing.session import Session

MARKER = "darkroom"
OPTIONS = ("project", "manifests", "processes", "clock", "settings")

_session_key = pytest.StashKey["Session"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("darkroom", "Darkroom: Knative Brokers for tests")
    group.addoption(
        "--darkroom-durations",
        action="store_true",
        help="show how long the fixture's Brokers took until they delivered",
    )
    parser.addini(
        "darkroom_project", "the folder whose Knative YAML the fixture `broker` runs, below rootdir", default=""
    )
    parser.addini(
        "darkroom_manifests", "Knative YAML to run instead of the project's own, below rootdir", type="linelist"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'darkroom(project="PATH", manifests=["PATH"], processes=False, clock="skip", settings={}): what the fixture '
        "`broker` runs: a project's folder or its YAML, with its functions as processes or not, by the clock skip, "
        "manual or real, with these variables of functions",
    )


@pytest.fixture(scope="session")
def darkroom_session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Starts Brokers: `with darkroom_session.broker("PATH") as broker`, for fixtures of a wider scope than a test."""
    began = time.perf_counter()
    try:
        from darkroom.testing.session import Session
    except ModuleNotFoundError as exc:
        pytest.fail(_what_to_install(exc), pytrace=False)
    session = Session(
        folder=tmp_path_factory.mktemp("darkroom"),
        rootdir=request.config.rootpath,
        imports_s=time.perf_counter() - began,
    )
    request.config.stash[_session_key] = session
    yield session
    session.stop()


@pytest.fixture
def broker(request: pytest.FixtureRequest, darkroom_session: Session) -> Iterator[Broker]:
    """The Brokers and Triggers of the project's Knative YAML, on a real nats-server that only this test sees."""
    from darkroom.errors import DarkroomError

    options = _options(request)
    running = darkroom_session.broker(**options)
    try:
        started = running.__enter__()
    except ModuleNotFoundError as exc:
        pytest.fail(_what_to_install(exc, processes=bool(options.get("processes"))), pytrace=False)
    except DarkroomError as exc:
        pytest.fail(exc.detail, pytrace=False)
    yield started
    running.__exit__(None, None, None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash.get(_session_key, None)
    if session is None or not session.ready_s or not config.getoption("--darkroom-durations"):
        return
    first, *others = session.ready_s
    line = (
        f"darkroom: nats-server and the first Broker ready in {session.imports_s + first:.2f} s, "
        f"of which imports {session.imports_s:.2f} s"
    )
    if others:
        line += f"; {len(others)} more in {min(others):.3f} to {max(others):.3f} s each"
    terminalreporter.write_line(line)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the markers say, the nearest one first, or else the settings, or else what lies above the test."""
    given: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARKER):
        unknown = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in OPTIONS)]
        if unknown:
            pytest.fail(
                f"@pytest.mark.{MARKER} takes {', '.join(f'{name}=' for name in OPTIONS)} and no {', '.join(unknown)}",
                pytrace=False,
            )
        given = {**marker.kwargs, **given}
    if isinstance(given.get("manifests"), str | Path):
        given["manifests"] = [given["manifests"]]
    config = request.config
    if "project" not in given and "manifests" not in given and config.getini("darkroom_manifests"):
        given["manifests"] = config.getini("darkroom_manifests")
    if "project" not in given:
        given["project"] = config.getini("darkroom_project") or _found_project(request)
    return given


def _found_project(request: pytest.FixtureRequest) -> Path:
    from darkroom.testing.project import find_root

    return find_root(request.path, request.config.rootpath)


def _what_to_install(error: ModuleNotFoundError, *, processes: bool = False) -> str:
    """Return a sentence for a missing library. Raises the error again if the missing module is Darkroom's own."""
    name = (error.name or "").partition(".")[0]
    if not name or name == "darkroom":
        raise error
    extra = "local" if processes else "testing"
    return (
        f"the fixture `broker` needs the Python package {name!r}, which is not installed; it comes with Darkroom's "
        f"extra `{extra}`: pip install --editable '.[{extra}]' in a checkout, or "
        f"'darkroom-VERSION-py3-none-any.whl[{extra}]'"
    )
