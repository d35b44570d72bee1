"""A line is added to a kustomization, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from darkroom.cli.new.kustomization import with_resource

FILE = Path("knative/kustomization.yaml")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("resources:\n  - a.yaml\n", "resources:\n  - a.yaml\n  - b.yaml\n"),
        ("resources:\n- a.yaml\n", "resources:\n- a.yaml\n- b.yaml\n"),
        ("resources:\n  - a.yaml", "resources:\n  - a.yaml\n  - b.yaml\n"),
        (
            "resources: # all\n  # one\n  - a.yaml\n\n  # two\n  - c.yaml # last\nkind: Kustomization\n",
            "resources: # all\n  # one\n  - a.yaml\n\n  # two\n  - c.yaml # last\n  - b.yaml\nkind: Kustomization\n",
        ),
        ("kind: Kustomization\n", "kind: Kustomization\nresources:\n  - b.yaml\n"),
        ("", "resources:\n  - b.yaml\n"),
    ],
)
def test_the_line_comes_last_in_the_list(text: str, changed: str) -> None:
    assert with_resource(text, "b.yaml", file=FILE) == changed


@pytest.mark.parametrize("text", ["resources: [a.yaml]\n", "resources:\n  - a.yaml\n  -\n    c.yaml\n", "a: [\n"])
def test_a_list_that_is_written_otherwise_is_left_to_its_author(text: str) -> None:
    with pytest.raises(click.ClickException, match=r"b\.yaml cannot be added .*knative/kustomization\.yaml"):
        with_resource(text, "b.yaml", file=FILE)
