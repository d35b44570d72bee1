"""The files of a new project: a Broker, the function that gets its dead letters, and what is around them."""

from __future__ import annotations

from pathlib import Path

from darkroom.cli.new.changes import Changes
from darkroom.cli.new.function import DEAD_LETTERS, add_dead_letters
from darkroom.cli.new.kustomization import with_resource
from darkroom.cli.new.templates import render

BROKER = "default"
MANIFESTS = Path("knative")


def project_changes(root: Path, project: str) -> Changes:
    changes = Changes(root=root)
    values = {"project": project, "broker": BROKER, "dead_letters": DEAD_LETTERS.service}
    changes.add("darkroom.toml", render("project/darkroom.toml"), "what `darkroom up` runs")
    kustomization = with_resource(
        render("project/kustomization.yaml"), f"{DEAD_LETTERS.service}.yaml", file=MANIFESTS / "kustomization.yaml"
    )
    changes.add(MANIFESTS / "kustomization.yaml", kustomization, "the list of the files beside it")
    changes.add(MANIFESTS / "namespace.yaml", render("project/namespace.yaml", **values))
    changes.add(MANIFESTS / "broker.yaml", render("project/broker.yaml", **values), "the Broker on NATS JetStream")
    changes.add(MANIFESTS / "network-policies.yaml", render("project/network-policies.yaml", **values))
    add_dead_letters(changes, manifests=MANIFESTS, tests=Path("tests"), namespace=project)
    changes.add("pyproject.toml", render("project/pyproject.toml"), "how pytest finds the functions")
    changes.add("README.md", render("project/README.md", **values))
    changes.add(".gitignore", render("project/gitignore"))
    return changes
