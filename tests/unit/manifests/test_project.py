from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import ManifestError
from darkroom.manifests.project import ProjectServer, S3ProjectServer, read_project

ROOT = Path(__file__).parents[3]


def test_our_own_project_names_its_manifests_its_servers_and_its_extension() -> None:
    project = read_project(ROOT)
    assert project.manifests == (ROOT / "knative/base", ROOT / "nats-eventing")
    assert project.resources.redis is not None
    assert project.resources.s3 is not None
    assert project.extension == "darkroom.pipeline:extension"


def test_a_folder_without_a_project_file_runs_what_lies_in_the_usual_places(tmp_path: Path) -> None:
    for name in ("knative", "k8s", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "broker.yaml").write_text("")
    (tmp_path / "a.yml").write_text("")

    project = read_project(tmp_path)

    expected = ["knative", "k8s", "a.yml", "broker.yaml"]
    assert project.manifests == tuple(tmp_path / name for name in expected)
    assert (project.resources.redis, project.resources.s3, project.extension) == (None, None, None)


def test_an_empty_folder_has_nothing_to_run(tmp_path: Path) -> None:
    assert read_project(tmp_path).manifests == ()


def test_pyproject_is_read_where_there_is_no_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.darkroom]\nmanifests = ["deploy"]\n')
    assert read_project(tmp_path).manifests == (tmp_path / "deploy",)

    (tmp_path / "darkroom.toml").write_text('manifests = ["elsewhere"]\n')
    assert read_project(tmp_path).manifests == (tmp_path / "elsewhere",)


def test_a_pyproject_without_a_darkroom_table_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 3\n")
    assert read_project(tmp_path).manifests == ()


def test_placeholders_become_addresses() -> None:
    resource = ProjectServer.model_validate({"env": {"URL": "{url}/0", "PLAIN": "as it is"}})
    assert resource.variables(url="redis://127.0.0.1:1") == {"URL": "redis://127.0.0.1:1/0", "PLAIN": "as it is"}

    bucket = S3ProjectServer.model_validate({"env": {"WHERE": "{access_key}@{bucket}"}})
    assert bucket.variables(url="", access_key="a", secret_key="s", bucket="b") == {"WHERE": "a@b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("manifests = 3", ":1: manifests: must be a list, was 3"),
        ('\n[resources.redis]\nenv = { A = "{uri}" }', ":3: resources.redis.env.A: has an unknown placeholder {uri}"),
        ('[resources.redis.env]\nA = "{url"', ":2: resources.redis.env.A: is no template"),
        ('[resources.redis.env]\nA = "{url.host}"', "has an unknown placeholder {url.host}"),
        ("[resources.redsi]", ':1: resources.redsi: unknown field; did you mean "redis"?'),
        ('[project]\nextention = "a:b"', ':2: project.extention: unknown field; did you mean "extension"?'),
        ('[project]\nextension = "a.b"', ':2: project.extension: must name an object as "package.module:object"'),
        ("manifests = [", ":1: not TOML"),
        ("a = 1\na = 2", ":2: not TOML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "darkroom.toml").write_text(text + "\n")
    with pytest.raises(ManifestError) as refused:
        read_project(tmp_path)
    assert message in str(refused.value)


def test_a_mistake_in_pyproject_is_reported_there(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.other]\nx = 1\n\n[tool.darkroom]\nmanifest = ["a"]\n')
    with pytest.raises(ManifestError, match=r'pyproject\.toml:5: manifest: unknown field; did you mean "manifests"'):
        read_project(tmp_path)


def test_a_file_that_is_no_text_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match=r"darkroom\.toml:1: cannot be read"):
        read_project(tmp_path)


def test_the_record_is_bounded_by_the_project_file(tmp_path: Path) -> None:
    assert (read_project(tmp_path).record.bytes, read_project(tmp_path).record.age_s) == (64 * 1024 * 1024, 86400)
    (tmp_path / "darkroom.toml").write_text('[record]\nenabled = false\nmax-bytes = "8Mi"\nmax-age = "90m"\n')
    record = read_project(tmp_path).record
    assert (record.enabled, record.bytes, record.age_s) == (False, 8 * 1024 * 1024, 5400)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('max-bytes = "1Mi"', "must be at least 4Mi, was 1Mi"),
        ('max-bytes = "much"', "must be a quantity such as 500m or 2Gi, was 'much'"),
        ('max-age = "5s"', "must be at least 60s, was 5s"),
        ('max-age = "long"', "must be a Go duration such as 30s or 1m30s, was 'long'"),
    ],
)
def test_a_record_without_room_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "darkroom.toml").write_text(f"[record]\n{line}\n")
    with pytest.raises(ManifestError) as refused:
        read_project(tmp_path)
    assert message in str(refused.value)
    assert "darkroom.toml:2" in str(refused.value)
