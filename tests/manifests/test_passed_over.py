"""Kinds that only a cluster runs are left out by name, and so is all of our own installation that only it needs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from darkroom.manifests import ManifestError, load
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


def test_with_strict_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="NetworkPolicy darkroom/default-deny is left out: everything listens"):
        load([write(tmp_path, POLICY)], strict=True)


@pytest.mark.parametrize("installation", ["development", "production", "production-seaweedfs"])
def test_our_own_rendered_installation_loads_and_names_what_is_left_out(tmp_path: Path, installation: str) -> None:
    manifests = load([write(tmp_path, rendered_text(f"knative/installations/{installation}"))])
    assert {each.name for each in manifests.services} >= {"ingest", "resize", "crop", "status", "recovery"}
    assert (len(manifests.brokers), len(manifests.routes)) == (1, 1)
    assert {each.kind for each in manifests.left_out} >= {"StatefulSet", "NetworkPolicy", "Job"}
    documents = Counter(line for line in (tmp_path / "a.yaml").read_text().splitlines() if line.startswith("kind: "))
    assert len(manifests.resources) + len(manifests.left_out) == documents.total()
