from __future__ import annotations

from collections.abc import Iterator

import pytest

from darkroom.imaging.photograph import make_photograph
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.ledger import Ledger


@pytest.fixture(scope="session")
def photograph() -> bytes:
    return make_photograph(400, 300)


@pytest.fixture(scope="package")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """Shared by all tests of faults: each leaves it well, or the next one says so."""
    with faulty_stack(tmp_path_factory.mktemp("faulty"), job_timeout_s=5, sweep_s=3) as faulty:
        yield faulty


@pytest.fixture
def ledger(faulty: FaultyStack) -> Ledger:
    return Ledger(faulty)
