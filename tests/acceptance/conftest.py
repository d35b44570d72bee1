from __future__ import annotations

from collections.abc import Iterator

import pytest

from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def photograph() -> bytes:
    """4:3, small enough that hundreds of them are quick."""
    return make_photograph(800, 600)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack with a short autoscaling window, shared by a module's tests."""
    with running_stack(tmp_path_factory.mktemp("stack"), "--window", "6s") as stack:
        yield stack
