"""`darkroom check` agrees with a cluster.

tests/data/webhooks holds manifests with the verdict of a real API server and of Knative's real webhooks on each: a dry
run on the server with strict validation of fields, on Kubernetes 1.36 with Knative and eventing-natss of mid-2026.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from darkroom.check import Severity, check

WEBHOOKS = Path(__file__).parents[2] / "data" / "webhooks"
OURS_ALONE: dict[str, set[str]] = {}
"""What a cluster accepts although it loses events or stops a consumer: these stay errors. By file, the rules."""


def verdicts() -> dict[str, str]:
    with (WEBHOOKS / "verdicts.tsv").open() as table:
        return {row["file"]: row["verdict"] for row in csv.DictReader(table, delimiter="\t")}


VERDICTS = verdicts()


def test_every_file_has_its_verdict() -> None:
    assert set(VERDICTS) == {file.name for file in WEBHOOKS.glob("*.yaml")}
    assert set(VERDICTS.values()) == {"accepted", "refused"}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_a_cluster_refuses_is_an_error_and_what_it_accepts_is_none(name: str) -> None:
    errors = {each.rule for each in check([WEBHOOKS / name]) if each.severity is Severity.ERROR}
    if VERDICTS[name] == "refused":
        assert errors
    else:
        assert errors == OURS_ALONE.get(name, set())
