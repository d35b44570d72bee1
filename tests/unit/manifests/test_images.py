from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import ManifestError
from darkroom.manifests.images import Images, ImageSettings, repository_of
from darkroom.manifests.project import Project, read_project


def project(tmp_path: Path, text: str) -> Project:
    (tmp_path / "darkroom.toml").write_text(text)
    return read_project(tmp_path)


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("shop/confirm", "shop/confirm"),
        ("shop/confirm:1.2", "shop/confirm"),
        ("dev.local:5000/shop/confirm", "dev.local:5000/shop/confirm"),
        ("dev.local:5000/shop/confirm:1@sha256:abc", "dev.local:5000/shop/confirm"),
        ("ko://example.com/cmd/confirm", "ko://example.com/cmd/confirm"),
    ],
)
def test_a_repository_is_the_image_without_tag_and_digest(image: str, repository: str) -> None:
    assert repository_of(image) == repository


def test_an_entry_says_how_an_image_runs_here(tmp_path: Path) -> None:
    entry = """
[images."dev.local/shop/confirm"]
path = "functions/confirm"
command = ["node", "server.js"]
env = { LOG = "debug" }
python = ".venv"
watch = ["functions/confirm", "shared.json"]
"""
    found = project(tmp_path, entry).images.find("dev.local/shop/confirm:1.0@sha256:abc")
    assert found is not None
    assert (found.path, found.command, found.env) == ("functions/confirm", ["node", "server.js"], {"LOG": "debug"})
    assert (found.python, found.watch) == (".venv", ["functions/confirm", "shared.json"])


def test_the_whole_name_wins_over_the_repository() -> None:
    old, new = ImageSettings(path="old"), ImageSettings(path="new")
    images = Images(entries={"shop/confirm:1": old, "shop/confirm": new})
    assert images.find("shop/confirm:1") is old
    assert images.find("shop/confirm:2") is new
    assert images.find("shop/other") is None


def test_an_address_has_a_host_and_a_port(tmp_path: Path) -> None:
    found = project(tmp_path, '[images.web]\nurl = "http://localhost"\n').images.find("web")
    assert found is not None
    assert found.url == "http://localhost:80"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[images."a/b"]\ncomand = ["x"]', ':2: images["a/b"].comand: unknown field; did you mean "command"?'),
        ('[images."a/b"]\n\ncommand = "node x"', ':3: images["a/b"].command: must be a list'),
        ("[images.a]\ncommand = []", ":2: images.a.command: list should have at least 1 item"),
        ("[images.a]\nport = 3000", ":2: images.a.port: cannot be used: the runtime chooses the port"),
        ('[images.a]\nurl = "https://a"', ":2: images.a.url: must be the address of an HTTP server"),
        ('[images.a]\nurl = "http://a:99999"', ":2: images.a.url: has no usable port"),
        ('[images.a]\nurl = "http://a:1/x"', ":2: images.a.url: must be the address of an HTTP server"),
        ('[images.a]\nurl = "http://a:1"\ncommand = ["x"]', ":3: images.a.command: has no effect beside url"),
        ('[images.a.env]\n"A B" = "x"', ":2: images.a.env.A B: must be a variable's name"),
        ('[secrets]\nfile = "none.env"', ":2: secrets.file: there is no file"),
        ('[secrets]\nfiles = "x"', ':2: secrets.files: unknown field; did you mean "file"?'),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        project(tmp_path, text + "\n")
    assert message in str(refused.value)


def test_an_entry_that_no_service_uses_is_named_with_its_line_and_the_nearest_image(tmp_path: Path) -> None:
    images = project(tmp_path, '[images."shop/confirm"]\npath = "a"\n\n[images."shop/confrm"]\npath = "b"\n').images
    [finding] = images.unused(["shop/confirm:1"])
    assert (finding.line, finding.path) == (4, 'images["shop/confrm"]')
    assert finding.message == "no Service uses the image 'shop/confrm'; did you mean \"shop/confirm\"?"


def test_secrets_come_from_the_named_file_or_from_dotenv(tmp_path: Path) -> None:
    assert project(tmp_path, "").secrets == {}
    (tmp_path / ".env").write_text("A=1\n")
    assert project(tmp_path, "").secrets == {"A": "1"}
    (tmp_path / "local.env").write_text("A=2\n")
    named = project(tmp_path, '[secrets]\nfile = "local.env"\n')
    assert (named.secrets, named.secrets_file) == ({"A": "2"}, "local.env")
    assert "'2'" not in repr(named)
