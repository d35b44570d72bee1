from __future__ import annotations

import pytest

from tests.unit.functions.ingesting import Ingest


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()
