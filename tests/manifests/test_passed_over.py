"""Kinds that only a cluster runs: the local runtime takes those that are named, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import ManifestError, load

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


def test_a_kind_that_only_a_cluster_runs_is_taken(tmp_path: Path) -> None:
    assert load([write(tmp_path, POLICY)]).services == ()


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [("NetworkPolicy", "NetworkPolice", 2), ("name: default", "named: default", 4), ("spec:", "specs:", 6)],
)
def test_a_slip_in_such_a_kind_is_found(tmp_path: Path, right: str, wrong: str, line: int) -> None:
    with pytest.raises(ManifestError) as caught:
        load([write(tmp_path, POLICY.replace(right, wrong))])
    assert line in {finding.line for finding in caught.value.findings}
