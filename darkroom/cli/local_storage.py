"""`STORAGE_TYPE=local darkroom up`: pictures as files in the data folder, without an S3 server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.manifests.project import Project

FOLDER = "pictures"


@dataclass(frozen=True, kw_only=True)
class StorageChoice:
    project: Project
    """Without its S3 server where files take its place."""
    settings: Mapping[str, str]


def choose_storage(project: Project, data: Path, *, environment: Mapping[str, str] | None = None) -> StorageChoice:
    """Return what STORAGE_TYPE in the environment makes of the project's storage. STORAGE_ENDPOINT names another
    folder.
    """
    environment = os.environ if environment is None else environment
    if environment.get("STORAGE_TYPE") != "local" or project.resources.s3 is None:
        return StorageChoice(project=project, settings={})
    folder = Path(environment.get("STORAGE_ENDPOINT") or data / FOLDER)
    settings = {
        **dict.fromkeys(project.resources.s3.env, ""),
        "STORAGE_TYPE": "local",
        "STORAGE_ENDPOINT": str(folder.resolve()),
        "STORAGE_PUBLIC_ENDPOINT": "{api}",
        "BUCKET_NAME": project.resources.s3.bucket,
    }
    without_s3 = project.resources.model_copy(update={"s3": None})
    return StorageChoice(project=replace(project, resources=without_s3), settings=settings)
