"""Finds the project that a test runs, and loads its manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from darkroom.local.eventing.flows import planned_channels
from darkroom.manifests import ManifestError, Manifests, load
from darkroom.manifests.project import DEFAULT_FOLDERS, PROJECT_FILE, Project, has_project_file, read_project
from darkroom.testing.errors import ProjectError


def find_root(test: Path, rootdir: Path) -> Path:
    """Return the nearest folder above a test that has a project file or a folder of manifests, else `rootdir`."""
    above = [folder for folder in test.parents if folder == rootdir or rootdir in folder.parents]
    for folder in above:
        if has_project_file(folder) or any((folder / name).is_dir() for name in DEFAULT_FOLDERS):
            return folder
    return rootdir


def open_project(root: Path, manifests: Sequence[Path] = ()) -> Project:
    """Read the project in a folder. Raises ProjectError if there is no YAML to run."""
    try:
        project = read_project(root)
    except ManifestError as exc:
        raise ProjectError(f"the project file cannot be used:\n{exc}") from exc
    if manifests:
        project = replace(project, manifests=tuple(manifests))
    if not project.manifests:
        places = ", ".join(f"{name}/" for name in DEFAULT_FOLDERS)
        raise ProjectError(
            f"there is no Knative YAML in {root}: no {PROJECT_FILE}, no {places} and no *.yaml; name it with "
            '@pytest.mark.darkroom(project="PATH") or (manifests=["PATH"]), or with darkroom_project or '
            "darkroom_manifests in pytest's configuration"
        )
    missing = [str(path) for path in project.manifests if not path.exists()]
    if missing:
        raise ProjectError(f"there is no {' and no '.join(missing)}, which the project's manifests should be")
    return project


def load_manifests(project: Project) -> Manifests:
    """Load a project's manifests. Raises ProjectError if they are wrong or have no Broker."""
    try:
        manifests = load(project.manifests)
    except ManifestError as exc:
        raise ProjectError(f"the manifests cannot be used:\n{exc}") from exc
    if not manifests.brokers and not planned_channels(manifests):
        raise ProjectError(f"there is no Broker and no channel in {', '.join(map(str, project.manifests))}")
    return manifests
