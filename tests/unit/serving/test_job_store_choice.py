"""JOB_STORE chooses which variables a function needs."""

from __future__ import annotations

import importlib.util

import pytest

from darkroom.errors import SettingsError
from darkroom.serving.settings import Settings

NEEDS = frozenset({"REDIS_URL"})


def test_postgres_needs_its_url_and_no_redis() -> None:
    with pytest.raises(SettingsError, match="not set: POSTGRES_URL"):
        Settings.load(needs=NEEDS, environment={"JOB_STORE": "postgres"})
    settings = Settings.load(needs=NEEDS, environment={"JOB_STORE": "postgres", "POSTGRES_URL": "postgresql://h/d"})
    assert (settings.job_store, settings.redis_url) == ("postgres", None)


def test_postgres_without_its_library_names_the_extra_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="the package psycopg, which the extra `postgres` installs"):
        Settings.load(needs=NEEDS, environment={"JOB_STORE": "postgres", "POSTGRES_URL": "postgresql://h/d"})
    # A function that has nothing to do with jobs does not need it.
    Settings.load(needs=frozenset(), environment={"JOB_STORE": "postgres"})
