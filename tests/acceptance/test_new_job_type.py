"""A new kind of job: `darkroom new function` writes it, and everything else follows.

A copy of the tree gets one more kind, greyscale, and nothing is written by hand; then the copy is run as it is.
"""

from __future__ import annotations

import filecmp
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from darkroom.contract.parameters.values import Format
from darkroom.events.cloudevents import encode_binary, new_event
from tests import pictures
from tests.stack import ROOT, RunningStack, running_stack
from tests.unit.imaging.pixels import psnr_db

# tests/unit/cli/new checks what the command writes.
pytestmark = pytest.mark.slow

NEEDED_TO_RUN = ("darkroom", "functions", "knative", "nats-eventing", "pyproject.toml", "darkroom.toml")
TESTS = "tests/unit/functions"


def copied(into: Path) -> Path:
    into.mkdir()
    for name in NEEDED_TO_RUN:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, into / name)
    return into


def files_that_differ(tree: Path) -> dict[str, str]:
    """Each file that is not as in our own tree, and how."""
    found = {}
    for name in NEEDED_TO_RUN:
        for path in (tree / name).rglob("*") if (tree / name).is_dir() else [tree / name]:
            original = ROOT / path.relative_to(tree)
            if path.is_file() and "__pycache__" not in path.parts:
                if not original.exists():
                    found[str(path.relative_to(tree))] = "new"
                elif not filecmp.cmp(path, original, shallow=False):
                    lines = path.read_text().count("\n") - original.read_text().count("\n")
                    found[str(path.relative_to(tree))] = f"{lines} lines more"
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copied(tmp_path_factory.mktemp("copy") / "tree")
    assert files_that_differ(tree) == {}
    # Where functions' tests are in ours; none of them is needed to run.
    (tree / TESTS).mkdir(parents=True)
    summary = "Take the colours out of a picture"
    done = darkroom(tree, "new", "function", "greyscale", "--type", "job", "--summary", summary)
    assert done.returncode == 0, done.stderr
    assert files_that_differ(tree) == {
        "darkroom/contract/job_types.py": "2 lines more",
        "darkroom/contract/parameters/greyscale.py": "new",
        "functions/greyscale/__init__.py": "new",
        "functions/greyscale/main.py": "new",
        "knative/base/greyscale.yaml": "new",
        "knative/base/kustomization.yaml": "1 lines more",
    }
    return tree


@pytest.fixture(scope="module")
def stack(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), "--window", "6s", cwd=tree) as stack:
        yield stack


def darkroom(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of the copy."""
    command = [sys.executable, "-m", "darkroom.cli", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)


def rgb(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def greyed_by_pillow(image: Image.Image) -> NDArray[np.float64]:
    return rgb(ImageOps.grayscale(image.convert("RGB")))


def greyed_by_luminance(image: Image.Image) -> NDArray[np.float64]:
    """The grey of the same luminance (IEC 61966-2-1, ITU-R BT.709), which strong colours show better."""
    encoded = rgb(image) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    grey = np.where(luminance <= 0.0031308, luminance * 12.92, 1.055 * luminance ** (1 / 2.4) - 0.055)
    return np.repeat(255 * grey[:, :, np.newaxis], 3, axis=2)


def colourfulness(samples: NDArray[np.float64]) -> float:
    """How far the samples of a pixel lie apart at most; 0 for a grey picture."""
    return float(np.max(samples.max(axis=2) - samples.min(axis=2)))


def test_its_test_passes(tree: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{TESTS}/test_greyscale.py"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_job_of_the_new_kind_is_done_over_http(stack: RunningStack, photograph: bytes) -> None:
    original = Image.open(io.BytesIO(photograph))
    assert colourfulness(rgb(original)) > 50

    job = stack.completed(stack.submit("greyscale", photograph, format="png"))

    assert job["type"] == "greyscale"
    result = job["result"]
    assert (result["width"], result["height"], result["content_type"]) == (*original.size, "image/png")
    made = Image.open(io.BytesIO(stack.download(job)))
    assert made.size == original.size
    assert colourfulness(rgb(made)) == 0
    assert psnr_db(rgb(made), greyed_by_pillow(original)) > 30
    assert psnr_db(rgb(made), greyed_by_luminance(original)) > 40
    assert psnr_db(rgb(made), rgb(original)) < 25


def test_its_own_parameter_reaches_the_function(stack: RunningStack, photograph: bytes) -> None:
    job = stack.completed(stack.submit("greyscale", photograph, strength=0, format="png"))
    unchanged = Image.open(io.BytesIO(stack.download(job)))
    assert psnr_db(rgb(unchanged), rgb(Image.open(io.BytesIO(photograph)))) > 40


def test_every_frame_of_an_animation_is_greyed(stack: RunningStack) -> None:
    body = pictures.animation(Format.GIF, 80, 60, 4)
    job = stack.completed(stack.submit("greyscale", body, animation="all"))
    made, original = (Image.open(io.BytesIO(each)) for each in (stack.download(job), body))
    frames = [
        (rgb(frame.copy()), greyed_by_luminance(before.copy()))
        for frame, before in zip(ImageSequence.Iterator(made), ImageSequence.Iterator(original), strict=True)
    ]
    assert len(frames) == 4
    for frame, expected in frames:
        assert colourfulness(frame) == 0
        assert psnr_db(frame, expected) > 35


def test_a_wrong_parameter_is_refused_by_its_name(stack: RunningStack, photograph: bytes) -> None:
    answer = stack.post("greyscale", photograph, strength=1.5, fit="cover")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameters.invalid")
    assert {error["field"] for error in answer.json()["errors"]} == {"strength", "fit"}


def test_a_cloud_event_asks_for_it_too(stack: RunningStack, photograph: bytes) -> None:
    place = httpx.post(f"{stack.addresses['api']}/api/v1/uploads", timeout=20).json()
    upload = place["upload"]
    stored = httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=photograph, timeout=20)
    assert stored.status_code == 200, stored.text
    data = {"parameters": {"format": "webp"}, "input": {"storage_key": place["storage_key"]}}
    headers, body = encode_binary(new_event("dev.darkroom.greyscale.requested", "/tests", data))
    answer = httpx.post(stack.addresses["api"], headers=headers, content=body, timeout=20)
    assert answer.status_code == 202, answer.text
    assert stack.completed(answer.json()["job_id"])["result"]["content_type"] == "image/webp"


def test_the_api_describes_it(stack: RunningStack) -> None:
    document = httpx.get(f"{stack.addresses['api']}/openapi.json", timeout=20).json()
    operation = document["paths"]["/api/v1/greyscale"]["post"]
    assert operation["summary"] == "Take the colours out of a picture"
    assert {"strength", "format"} <= {parameter["name"] for parameter in operation["parameters"]}
    schemas = document["components"]["schemas"]
    assert schemas["JobType"]["enum"] == ["resize", "crop", "renditions", "greyscale"]
    assert schemas["GreyscaleForm"]["properties"]["strength"]["maximum"] == 1


def test_the_command_submits_it(stack: RunningStack, tree: Path, photograph: bytes, tmp_path: Path) -> None:
    (tmp_path / "colours.jpg").write_bytes(photograph)
    picture, out = str(tmp_path / "colours.jpg"), tmp_path / "grey.png"
    arguments = ("submit", picture, "greyscale", "--format", "png", "-o", str(out), "--url", stack.addresses["api"])
    done = darkroom(tree, *arguments)
    assert done.returncode == 0, done.stderr
    assert colourfulness(rgb(Image.open(out))) == 0
    assert "greyscale: How much colour is taken out." in darkroom(tree, "submit", "--help").stdout


def test_jobs_of_the_new_kind_are_listed_by_their_type(stack: RunningStack, photograph: bytes) -> None:
    job_id = stack.submit("greyscale", photograph)
    listed = httpx.get(f"{stack.addresses['api']}/api/v1/jobs", params={"type": "greyscale"}, timeout=20).json()["jobs"]
    assert job_id in [job["job_id"] for job in listed]
    assert {job["type"] for job in listed} == {"greyscale"}


def test_the_linter_has_nothing_against_its_manifests(tree: Path) -> None:
    done = darkroom(tree, "check", "--fail-on", "hint", "knative/base", "nats-eventing/broker.yaml")
    assert done.returncode == 0, done.stdout


def test_what_was_written_has_the_style_of_the_tree(tree: Path) -> None:
    for arguments in (("check",), ("format", "--check")):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "darkroom", "functions", "tests"]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
