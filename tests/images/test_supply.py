"""What an image is made of is written down, by version and hash; what runs is named by its digest."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

from tests.manifests.rendering import _kustomize

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "images" / "requirements"
EXTRAS = ("ingest", "job", "job-console", "notify", "recovery", "status")
FUNCTIONS = ("crop", "ingest", "notify", "recovery", "renditions", "resize", "status")
_PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s\\]+)(?P<hashes>( \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.M)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(extra: str) -> dict[str, str]:
    text = (REQUIREMENTS / f"{extra}.txt").read_text()
    assert not _PIN.sub("", text).replace("\n", "").partition("do not edit.")[2], "a line without its hashes"
    return {normalized(pin["name"]): pin["version"] for pin in _PIN.finditer(text)}


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {normalized(name): version for name, _, version in (line.partition("==") for line in lines if "==" in line)}


def needed(extra: str) -> set[str]:
    """Every package that the extra brings, by what is installed here."""
    found: set[str] = set()
    pending = [Requirement(f"darkroom[{extra}]")]
    seen: set[str] = set()
    while pending:
        wanted = pending.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        found.add(normalized(wanted.name))
        for text in metadata.requires(wanted.name) or ():
            each = Requirement(text)
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in (*wanted.extras, "")):
                pending.append(each)
    return found - {"darkroom"}


def test_each_extra_of_functions_has_its_requirements_and_no_other() -> None:
    assert {file.stem for file in REQUIREMENTS.glob("*")} == set(EXTRAS)


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_requirements_are_what_the_extra_needs_at_the_versions_that_ci_passed_with(extra: str) -> None:
    known = constraints()
    found = pins(extra)
    assert set(found) == needed(extra), "run `make requirements`"
    assert {name: known[name] for name in found} == found, "run `make requirements`"


def test_the_docker_build_is_sent_everything_that_the_dockerfile_copies() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "images" / "Dockerfile").read_text(), re.M)
    assert {source for line in copies for source in line.split()} == sent


# --- digests ---------------------------------------------------------------------------------------------------------


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "images" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


ENGINE = """#!/bin/sh
# Says of each image the digest that a registry would: the hash of its name.
echo "$@" >> "$ENGINE_LOG"
for image; do :; done
case "$1" in
  push)
    [ "$FAIL" != "$image" ] || exit 1
    [ "$2" != --digestfile ] || printf 'sha256:%s' "$(printf %s "$image" | sha256sum | cut -d ' ' -f 1)" > "$3" ;;
  inspect)
    digest=$(printf %s "$image" | sha256sum | cut -d ' ' -f 1)
    echo "[\\"other.example.com/x@sha256:$digest\\",\\"${image%:*}@sha256:$digest\\"]" ;;
esac
"""


def run_digests(
    tmp_path: Path, kustomization: Path, *, engine: str = "docker", **environment: str
) -> subprocess.CompletedProcess[str]:
    program = tmp_path / engine
    program.write_text(ENGINE)
    program.chmod(0o755)
    command: list[str | Path] = [sys.executable, ROOT / "images" / "digests.py", "--engine", engine]
    command += ["--registry", "registry.example.com:5000/darkroom", "--version", "0.1.0", kustomization]
    where = {"PATH": f"{tmp_path}:{os.defpath}", "ENGINE_LOG": str(tmp_path / "log"), "FAIL": "", **environment}
    return subprocess.run(command, env=where, capture_output=True, text=True, timeout=30)


def digest(function: str) -> str:
    image = f"registry.example.com:5000/darkroom/{function}:0.1.0"
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The production overlay, in a copy of everything that it is made of."""
    for room in ("knative", "nats-eventing"):
        (tmp_path / "tree" / room).parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-R", ROOT / room, tmp_path / "tree" / room], check=True)
    return tmp_path / "tree" / "knative" / "overlays" / "production"


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_pushed_images_run_by_their_digests_and_a_second_push_replaces_them(
    tmp_path: Path, overlay: Path, engine: str
) -> None:
    before = (overlay / "kustomization.yaml").read_text()
    for _ in range(2):
        done = run_digests(tmp_path, overlay / "kustomization.yaml", engine=engine)
        assert done.returncode == 0, done.stderr
    after = (overlay / "kustomization.yaml").read_text()

    assert after.startswith(before.rstrip("\n"))
    assert after.count("images:\n") == 1
    images = {
        container["image"]
        for resource in yaml.safe_load_all(_kustomize(overlay))
        if resource["kind"] in {"Service", "Job"} and "template" in resource["spec"]
        for container in resource["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"registry.example.com:5000/darkroom/{each}@{digest(each)}" for each in FUNCTIONS}


def test_an_image_that_cannot_be_pushed_leaves_the_overlay_as_it_was(tmp_path: Path, overlay: Path) -> None:
    file = overlay / "kustomization.yaml"
    before = file.read_text()
    done = run_digests(tmp_path, file, FAIL="registry.example.com:5000/darkroom/resize:0.1.0")
    assert done.returncode != 0
    assert "docker push registry.example.com:5000/darkroom/resize:0.1.0 ended with 1" in done.stderr
    assert file.read_text() == before


# --- the bill of materials -------------------------------------------------------------------------------------------


def test_the_bill_has_the_hash_of_each_package_and_of_each_native_library(tmp_path: Path) -> None:
    sbom = module("sbom")
    package, info = tmp_path / "pixels", tmp_path / "pixels-1.2.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "libcolour.so.3.1.4").write_bytes(b"native")
    (package / "_pixels.abi3.so").write_bytes(b"extension")
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: Pixels\nVersion: 1.2\nLicense-Expression: MIT\n")
    (info / "RECORD").write_text("pixels/libcolour.so.3.1.4,,\npixels/_pixels.abi3.so,,\npixels/gone.so,,\n")
    report = tmp_path / "report.json"
    archive = {"archive_info": {"hashes": {"sha256": "ab" * 32}}}
    report.write_text(json.dumps({"install": [{"metadata": {"name": "pixels"}, "download_info": archive}]}))

    bill = sbom.bill(str(tmp_path), "darkroom-test", sbom.archive_hashes(report))

    (component,) = bill["components"]
    assert component["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert component["licenses"] == [{"expression": "MIT"}]
    extension, library = component["components"]
    assert extension["name"] == "_pixels.abi3.so"
    assert (library["name"], library["version"]) == ("libcolour.so.3.1.4", "3.1.4")
    assert library["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"native").hexdigest()}]
