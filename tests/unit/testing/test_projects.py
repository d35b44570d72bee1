"""Which project a test belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.testing.errors import ProjectError
from darkroom.testing.project import find_root, open_project


def test_the_nearest_folder_with_a_project_file_or_manifests_wins(tmp_path: Path) -> None:
    shop = tmp_path / "examples" / "shop"
    (shop / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "knative").mkdir()
    assert find_root(shop / "tests" / "unit" / "test_it.py", tmp_path) == tmp_path
    (shop / "darkroom.toml").write_text("")
    assert find_root(shop / "tests" / "unit" / "test_it.py", tmp_path) == shop


def test_folders_above_rootdir_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / "knative").mkdir()
    (tmp_path / "shop").mkdir()
    assert find_root(tmp_path / "shop" / "test_it.py", tmp_path / "shop") == tmp_path / "shop"
    assert find_root(tmp_path / "elsewhere" / "test_it.py", tmp_path / "shop") == tmp_path / "shop"


def test_a_broken_project_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").write_text("manifest = []\n")
    with pytest.raises(ProjectError, match=r"darkroom\.toml:1: manifest: unknown field.*manifests"):
        open_project(tmp_path)


def test_manifests_that_are_named_replace_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "shop.yaml").touch()
    assert open_project(tmp_path, [tmp_path / "shop.yaml"]).manifests == (tmp_path / "shop.yaml",)
