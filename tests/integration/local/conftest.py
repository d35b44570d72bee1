"""Shared by the tests of the local runtime's processes: coroutine tests, reports, and folders."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkroom.local.children.logs import LogDirectory
from darkroom.local.revisions.limit import InstanceLimit
from tests.integration.local.functions import Workshop
from tests.integration.local.waiting import Reports


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in its own event loop on the main thread, as the guard requires."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[LogDirectory]:
    directory = LogDirectory(tmp_path / "logs")
    yield directory
    directory.close()


@pytest.fixture
def workshop(tmp_path: Path, logs: LogDirectory, reports: Reports) -> Workshop:
    return Workshop(root=tmp_path / "project", logs=logs, reports=reports, limit=InstanceLimit(4))
