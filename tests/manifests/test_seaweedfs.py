"""The SeaweedFS component, run as it is on the same program: its start script, arguments, users, policies, encryption
and TLS."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from darkroom.adapters.storage.s3 import S3Storage
from darkroom.contract.errors import DependencyUnavailableError
from tests.certificates import Authority, needs_openssl
from tests.contract.s3_storages import s3_storage
from tests.manifests.rendering import OVERLAYS, ROOT, TLS_EVERYWHERE, Resource, _kustomize, rendered
from tests.manifests.test_storage_policies import ACTIONS, BUCKET, MAY, Keys, User, client, is_denied
from tests.servers import LOOPBACK, Server, free_port, running, script
from tests.stack import eventually

COMPONENT = ROOT / "knative" / "components" / "seaweedfs"
USERS = {
    "ingest": "ingest",
    "status": "status",
    "resize": "renderer",
    "crop": "renderer",
    "renditions": "renderer",
    "recovery": "eraser",
    "setup": "setup",
    "console": "console",
}
PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
SECRET = b"nobody may find this on the disk" * 40
ENCRYPTION_KEY = "ab" * 32


def keys(user: str) -> Keys:
    return Keys(access_key=f"key-of-{user}", secret_key=f"secret/of+{user}=")


def write_keys(folder: Path) -> Path:
    for user in USERS:
        (folder / user).mkdir(parents=True)
        (folder / user / "STORAGE_ACCESS_KEY").write_text(keys(user).access_key)
        (folder / user / "STORAGE_SECRET_KEY").write_text(keys(user).secret_key)
    return folder


def container(combination: str) -> dict[str, Any]:
    (server,) = (each for each in rendered(combination) if named(each, "StatefulSet", "seaweedfs"))
    found: dict[str, Any] = server["spec"]["template"]["spec"]["containers"][0]
    return found


def named(resource: Resource, kind: str, name: str) -> bool:
    return bool(resource["kind"] == kind and resource["metadata"]["name"] == name)


def seaweedfs(folder: Path, combination: str, *, certificates: Path | None = None) -> Server:
    """The container's command with its folders and ports in the place of the pod's."""
    folder.mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "run").mkdir()
    its = container(combination)
    places = {
        "/etc/seaweedfs-tls": str(certificates),
        "/etc/seaweedfs": str(COMPONENT),
        "/etc/functions": str(write_keys(folder / "functions")),
        "/run/seaweedfs": str(folder / "run"),
        "/data": str(folder / "data"),
    }
    words = [_placed(word, places) for word in (*its["command"], *its["args"])]
    # The policies are one folder in the ConfigMap.
    words[2] = str(COMPONENT / "policies")
    words[words.index("weed")] = script("weed")
    s3, grpc = free_port(), free_port()
    # The last one counts.
    words += [f"-{name}={free_port()}" for name in PORTS]
    words += [f"-s3.port={s3}", f"-s3.port.grpc={grpc}", "-volume.preStopSeconds=0"]
    url = f"{'https' if certificates else 'http'}://{LOOPBACK}:{s3}"
    return Server(
        url=url,
        command=words,
        folder=folder,
        environment={"PATH": os.environ["PATH"], "WEED_S3_SSE_KEK": ENCRYPTION_KEY},
        is_ready=lambda: answers(f"{url}/healthz", certificates),
    )


def _placed(word: str, places: dict[str, str]) -> str:
    for place, here in places.items():
        if place in word:
            return word.replace(place, here)
    return word


def answers(url: str, certificates: Path | None) -> bool:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt")) if certificates else None
    try:
        with urllib.request.urlopen(url, timeout=2, context=context):
            return True
    except OSError:
        return False


def user(server: Server, name: str) -> User:
    its = keys(name)
    storage = s3_storage(server.url, access_key=its.access_key, secret_key=its.secret_key, bucket=BUCKET)
    return User(storage=storage, s3=client("s3", server.url, its))


PLAIN = f"{OVERLAYS[1]} + knative/components/seaweedfs"
WITH_TLS = TLS_EVERYWHERE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = seaweedfs(tmp_path_factory.mktemp("s3") / "seaweedfs", PLAIN)
    with running(made):
        user(made, "setup").storage.prepare()
        encrypt(made)
        for name, key in (("ingest", "uploads/1/original"), ("resize", "processed/1.png")):
            storage = user(made, name).storage
            # S3 answers before the volume server has registered with its master.
            eventually(partial(is_stored, storage, key), within_s=60, what=f"{key} is stored")
        yield made


def is_stored(storage: S3Storage, key: str) -> bool:
    try:
        storage.put(key, b"a picture", content_type="image/png")
    except DependencyUnavailableError:
        return False
    return True


def encrypt(server: Server) -> None:
    """The component's Job."""
    its = keys("setup")
    environment = {
        "STORAGE_ENDPOINT": server.url,
        "BUCKET_NAME": BUCKET,
        "STORAGE_ACCESS_KEY": its.access_key,
        "STORAGE_SECRET_KEY": its.secret_key,
    }
    command = [sys.executable, str(COMPONENT / "encryption.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(USERS) - {"setup"}))
def test_a_user_may_do_what_its_function_does_and_nothing_else(server: Server, name: str) -> None:
    its = user(server, name)
    assert {what for what, act in ACTIONS.items() if not is_denied(act, its)} == MAY[USERS[name]]


@pytest.mark.slow
def test_setup_makes_the_bucket_and_its_rules_and_reaches_no_picture(server: Server) -> None:
    setup = user(server, "setup")
    rules = setup.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {rule["Filter"]["Prefix"] for rule in rules} >= {"uploads/"}
    allowed = {what for what, act in ACTIONS.items() if not is_denied(act, setup)}
    assert allowed == {"ask for the bucket"}


@pytest.mark.slow
def test_a_stranger_is_refused(server: Server) -> None:
    stranger = client("s3", server.url, Keys(access_key="nobody", secret_key="nothing"))
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        stranger.list_objects_v2(Bucket=BUCKET)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{server.url}/{BUCKET}/uploads/1/original", timeout=10)


@pytest.mark.slow
def test_a_picture_is_on_the_disk_encrypted_only(server: Server) -> None:
    storage = user(server, "ingest").storage
    storage.put("uploads/2/original", SECRET, content_type="image/png")

    assert storage.get("uploads/2/original", max_bytes=len(SECRET)) == SECRET
    files = [file for file in (server.folder / "data").rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if SECRET[:32] in file.read_bytes()] == []


@pytest.mark.slow
def test_users_pictures_and_encryption_outlive_a_restart(server: Server) -> None:
    storage = user(server, "ingest").storage
    storage.put("uploads/3/original", SECRET, content_type="image/png")
    server.restart()
    # S3 answers a moment before the volume server has said what it holds.
    eventually(lambda: is_there(storage, "uploads/3/original"), within_s=30, what="the picture")
    assert storage.get("uploads/3/original", max_bytes=len(SECRET)) == SECRET
    assert user(server, "setup").s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]


def is_there(storage: S3Storage, key: str) -> bool:
    try:
        return bool(storage.get(key, max_bytes=len(SECRET)))
    except DependencyUnavailableError:
        return False


@pytest.mark.slow
def test_nothing_but_s3_listens_beyond_loopback(server: Server) -> None:
    """127.0.0.2 reaches what is bound to every address, and nothing that is bound to 127.0.0.1."""
    ports = {name: int(option(server, name)) for name in ("s3.port", *PORTS)}
    assert {name for name, port in ports.items() if reachable("127.0.0.2", port)} == {"s3.port"}


def option(server: Server, name: str) -> str:
    return [word.partition("=")[2] for word in server.command if word.startswith(f"-{name}=")][-1]


def reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


@needs_openssl
def test_with_its_component_for_tls_storage_has_a_certificate_and_speaks_nothing_else(tmp_path: Path) -> None:
    certificates = Authority(tmp_path / "tls").issue("storage", "localhost", address=LOOPBACK)
    with running(seaweedfs(tmp_path / "seaweedfs", WITH_TLS, certificates=certificates)) as server:
        plain = server.url.replace("https://", "http://")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"{plain}/healthz", timeout=10)
        with trusting(certificates / "ca.crt"):
            storage = user(server, "setup").storage
            storage.prepare()
            storage.check()


@contextmanager
def trusting(authority: Path) -> Iterator[None]:
    """As the component's settings have it for the functions and the setup Job."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority))
        environment.setenv("AWS_CA_BUNDLE", str(authority))
        yield


def test_the_job_for_the_encryption_runs_the_image_that_the_overlay_names(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    kustomization = {
        "resources": [os.path.relpath(ROOT / OVERLAYS[1], (tmp_path / "inner").resolve())],
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "images": [{"name": "dev.local/darkroom/recovery", "newName": "example.com/recovery", "newTag": "2.0.0"}],
    }
    outer = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["inner"],
        "components": [os.path.relpath(COMPONENT, tmp_path.resolve())],
    }
    (tmp_path / "inner" / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(outer))

    jobs = [each for each in yaml.safe_load_all(_kustomize(tmp_path)) if each["kind"] == "Job"]

    images = {each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["image"] for each in jobs}
    assert images == dict.fromkeys(("setup", "seaweedfs-encryption"), "example.com/recovery:2.0.0")


@pytest.mark.parametrize("name", ["ingest", "status", "renderer", "console"])
def test_the_policies_are_those_of_minio(name: str) -> None:
    minio = ROOT / "knative" / "components" / "minio" / "policies"
    assert (COMPONENT / "policies" / f"{name}.json").read_text() == (minio / f"{name}.json").read_text()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "crop" / "STORAGE_SECRET_KEY").write_text('a"b'), "STORAGE_SECRET_KEY of crop"),
        (lambda folder: (folder / "crop" / "STORAGE_ACCESS_KEY").write_text(""), "STORAGE_ACCESS_KEY of crop"),
    ],
)
def test_a_key_that_would_break_the_file_stops_the_start(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    folder = write_keys(tmp_path / "keys")
    damage(folder)
    words = [str(COMPONENT / "start.sh"), str(COMPONENT / "policies"), str(folder), str(tmp_path / "s3.json"), "true"]
    done = subprocess.run(["sh", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert said in done.stderr
