"""Kinds that only a cluster runs are left out by name, and so is all of our own installation that only it needs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from darkroom.manifests import ManifestError, load
from darkroom.manifests.left_out import LeftOut, summarised
from tests.manifests.rendering import rendered_text

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: darkroom
spec:
  podSelector: {}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "a.yaml"
    file.write_text(text)
    return file


def test_a_kind_that_only_a_cluster_runs_is_left_out_with_its_name_line_and_reason(tmp_path: Path) -> None:
    file = write(tmp_path, f"---\n{POLICY}")
    (left_out,) = load([file]).left_out
    assert str(left_out) == f"NetworkPolicy darkroom/default-deny ({file}:3): everything listens on loopback here"


def test_with_strict_it_is_an_error_unless_one_machine_needs_no_such_thing(tmp_path: Path) -> None:
    job = POLICY.replace("networking.k8s.io/v1", "batch/v1").replace("NetworkPolicy", "Job")
    with pytest.raises(ManifestError, match="Job darkroom/default-deny is left out: no Job runs here"):
        load([write(tmp_path, job)], strict=True)
    assert [each.kind for each in load([write(tmp_path, POLICY)], strict=True).left_out] == ["NetworkPolicy"]


def test_all_that_one_machine_does_not_need_is_told_in_one_line(tmp_path: Path) -> None:
    budget = POLICY.replace("networking.k8s.io/v1", "policy/v1").replace("NetworkPolicy", "PodDisruptionBudget")
    policies = [POLICY.replace("default-deny", name) for name in "abcd"]
    left_out = load([write(tmp_path, "---\n".join([*policies, budget]))]).left_out
    assert [*summarised(left_out)] == [
        "5 only for a cluster: NetworkPolicy (a, b, c, ...), PodDisruptionBudget (default-deny): "
        "one machine does not need them"
    ]
    assert [LeftOut.from_dict(each.as_dict()) for each in left_out] == [*left_out]


@pytest.mark.parametrize("installation", ["development", "production", "production-seaweedfs"])
def test_our_own_rendered_installation_loads_and_names_what_is_left_out(tmp_path: Path, installation: str) -> None:
    manifests = load([write(tmp_path, rendered_text(f"knative/installations/{installation}"))])
    assert {each.name for each in manifests.services} >= {"ingest", "resize", "crop", "status", "recovery"}
    assert (len(manifests.brokers), len(manifests.routes)) == (1, 1)
    assert {each.kind for each in manifests.left_out} >= {"StatefulSet", "NetworkPolicy", "Job"}
    documents = Counter(line for line in (tmp_path / "a.yaml").read_text().splitlines() if line.startswith("kind: "))
    assert len(manifests.resources) + len(manifests.left_out) == documents.total()
