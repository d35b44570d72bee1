"""Every command of the operations guide, run as far as it can be without a cluster: what needs none is run, what asks
the API server asks a stub of it, and of the rest each option is one that the program has."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from darkroom.cli.commands import command as darkroom
from tests.manifests.api_server import ApiServer, api_server
from tests.manifests.rendering import ROOT
from tests.manifests.test_references import documented_secrets
from tests.servers import script

GUIDE = ROOT / "docs" / "operations.md"
_BLOCK = re.compile(r"^```sh\n(?P<text>.*?)^```$", re.M | re.S)
# Two words are a command's name in a sentence.
_INLINE = re.compile(r"`((?:kubectl|darkroom|nats|make) [^\s`]+ [^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
RUN_ON_THE_STUB = ("wait", "get", "patch", "delete", "rollout", "apply")
NEEDS_A_KUBELET = ("logs", "exec", "port-forward", "describe", "drain", "edit", "run", "scale")


def commands() -> list[str]:
    """Of every block, and those in the text."""
    text = GUIDE.read_text()
    lines = [line for block in _BLOCK.finditer(text) for line in block["text"].splitlines()]
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [*dict.fromkeys([*found, *_INLINE.findall(_BLOCK.sub("", text))])]


COMMANDS = commands()


def words(command: str) -> list[str]:
    """Without what stands before the program, and what becomes of its output."""
    every = shlex.split(command)
    while _ASSIGNMENT.fullmatch(every[0]):
        every.pop(0)
    return every[: next((index for index, word in enumerate(every) if word in {">", "<", "|"}), len(every))]


def of(program: str, *verbs: str) -> list[str]:
    return [each for each in COMMANDS if words(each)[0] == program and (not verbs or words(each)[1] in verbs)]


def test_the_guide_uses_no_program_that_is_not_looked_at() -> None:
    programs = {words(each)[0] for each in COMMANDS}
    scripts = {each for each in programs if each.endswith(".sh")}
    assert programs - scripts == {"kubectl", "darkroom", "make", "nats", "rm", ".venv/bin/python", "locust"}
    assert {words(each)[1] for each in of("kubectl")} <= {*RUN_ON_THE_STUB, *NEEDS_A_KUBELET, "kustomize"}


# --- load tests ------------------------------------------------------------------------------------------------------

LOCUSTS_OWN = {"--headless", "--master", "--worker", "--expect-workers", "--master-host", "--host"}


@pytest.mark.parametrize("command", [*of(".venv/bin/python"), *of("locust")])
def test_a_load_test_of_the_guide_is_there_with_its_options(command: str) -> None:
    program, flag, what, *rest = words(command)
    where = ROOT / (what if program == "locust" else f"{what.replace('.', '/')}/__main__.py")
    assert flag == ("-f" if program == "locust" else "-m")
    assert where.is_file()
    ours = "\n".join(file.read_text() for file in (ROOT / "loadtests").glob("*.py"))
    options = {word for word in rest if word.startswith("--")} - LOCUSTS_OWN
    assert [option for option in options if f'"{option}"' not in ours] == []


# --- kubectl ---------------------------------------------------------------------------------------------------------


def kubectl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    where = {"PATH": os.environ["PATH"], **environment}
    command = [script("kubectl"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True, timeout=60)


@cache
def options_of(verb: tuple[str, ...]) -> frozenset[str]:
    texts = (kubectl(*verb, "--help").stdout, kubectl("options").stdout)
    return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(texts)))


@pytest.mark.parametrize("command", of("kubectl"))
def test_kubectl_has_the_options_of_the_command(command: str) -> None:
    its = words(command)
    its = its[: its.index("--")] if "--" in its else its
    verb = tuple(its[1:3]) if its[1] == "rollout" else (its[1],)
    used = {word.partition("=")[0] for word in its if word.startswith("--")}
    assert used <= options_of(verb), used - options_of(verb)


@pytest.mark.parametrize("command", of("kubectl", "kustomize"))
def test_a_folder_that_is_named_renders(command: str) -> None:
    done = kubectl(*words(command)[1:])
    assert done.returncode == 0, done.stderr
    assert list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("command", [each for each in of("kubectl", "apply") if "--kustomize" in each])
def test_what_is_applied_renders(command: str) -> None:
    done = kubectl("kustomize", words(command)[words(command).index("--kustomize") + 1])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", of("kubectl", "wait"))
def test_a_wait_names_one_kind_and_how_long(command: str) -> None:
    its = words(command)[2:]
    resources = [word for index, word in enumerate(its) if not word.startswith("-") and its[index - 1] != "--namespace"]
    assert len({word.partition("/")[0] for word in resources}) == 1, resources
    assert any(word.startswith("--timeout=") for word in its)
    assert len(resources) == 1
    assert "/" in resources[0] or "--all" in its


@pytest.fixture(scope="module")
def cluster() -> Iterator[ApiServer]:
    with api_server() as server:
        for name in (
            "ingest",
            "status",
            "resize",
            "resize-heavy",
            "crop",
            "crop-heavy",
            "renditions",
            "renditions-heavy",
            "renditions-background",
            "recovery",
            "notify",
        ):
            server.put("serving.knative.dev/v1", "services", "darkroom", name)
            server.put("eventing.knative.dev/v1", "triggers", "darkroom", name)
        for name in ("setup", "minio-users", "seaweedfs-encryption"):
            server.put("batch/v1", "jobs", "darkroom", name)
        for namespace, name in (
            ("knative-serving", "autoscaler"),
            ("knative-serving", "activator"),
            ("knative-eventing", "jetstream-ch-controller"),
            ("knative-eventing", "jetstream-ch-dispatcher"),
            ("kourier-system", "net-kourier-controller"),
        ):
            server.put("apps/v1", "deployments", namespace, name, spec={"replicas": 1, "template": {}})
        rolling = {"replicas": 1, "template": {}, "updateStrategy": {"type": "RollingUpdate"}}
        for namespace, name in (("nats-io", "nats"), *(("darkroom", each) for each in ("redis", "minio", "seaweedfs"))):
            server.put("apps/v1", "statefulsets", namespace, name, spec=rolling)
        yield server


def restored(server: ApiServer) -> None:
    """What an earlier command has deleted."""
    server.put("eventing.knative.dev/v1", "brokers", "darkroom", "darkroom")
    server.put("sources.knative.dev/v1", "pingsources", "darkroom", "sweep")
    server.put("gateway.networking.k8s.io/v1", "httproutes", "darkroom", "darkroom")
    server.put("v1", "configmaps", "knative-serving", "config-observability", data={})
    server.put("v1", "configmaps", "knative-eventing", "config-nats", data={})
    server.put("v1", "services", "darkroom", "redis")
    server.put("v1", "persistentvolumeclaims", "darkroom", "data-redis-0")
    for name in ("redis-0", "restore"):
        server.put("v1", "pods", "darkroom", name)
    rolling = {"replicas": 1, "template": {}, "updateStrategy": {"type": "RollingUpdate"}}
    server.put("apps/v1", "statefulsets", "darkroom", "redis", spec=rolling)
    for name in ("setup", "minio-users"):
        server.put("batch/v1", "jobs", "darkroom", name)


ASKS = [each for each in of("kubectl", "get", "patch", "delete", "rollout", "wait") if "--for=delete" not in each]


@pytest.mark.slow
@pytest.mark.parametrize("command", ASKS)
def test_what_asks_the_api_server_is_understood(command: str, cluster: ApiServer, tmp_path: Path) -> None:
    restored(cluster)
    done = kubectl(*words(command)[1:], KUBECONFIG=str(cluster.configuration(tmp_path)), HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_rolling_gives_each_service_a_new_template_and_waits_for_it(cluster: ApiServer, tmp_path: Path) -> None:
    restored(cluster)
    before = len(cluster.requests)
    where = {
        "PATH": f"{Path(script('kubectl')).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.configuration(tmp_path)),
        "HOME": str(tmp_path),
    }
    done = subprocess.run([ROOT / "knative" / "roll.sh"], env=where, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    patched = [each for each in cluster.requests[before:] if each.method == "PATCH"]
    assert {each.path.rpartition("/")[2] for each in patched} == {
        *(
            "ingest",
            "status",
            "resize",
            "resize-heavy",
            "crop",
            "crop-heavy",
            "renditions",
            "renditions-heavy",
            "renditions-background",
            "recovery",
            "notify",
        )
    }
    for each in patched:
        assert each.body is not None
        assert each.body["spec"]["template"]["metadata"]["annotations"]["darkroom.dev/rolled-at"].endswith("Z")


# --- the others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", of("darkroom"))
def test_the_darkroom_command_exists_with_these_options(command: str) -> None:
    its = words(command)[1:]
    path = [its[0]]
    if len(its) > 1 and its[0] in {"keys", "deadletters", "jobs"}:
        path.append(its[1])
    done = CliRunner().invoke(darkroom, [*path, "--help"])
    assert done.exit_code == 0, done.output
    used = {word.partition("=")[0] for word in its if word.startswith("--")}
    assert used <= set(re.findall(r"--[a-z][a-z-]+", done.stdout)), command


@pytest.mark.parametrize("command", of("make"))
def test_the_target_exists(command: str) -> None:
    target = next(word for word in words(command)[1:] if "=" not in word)
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.M)


SCRIPTS = sorted({words(each)[0] for each in COMMANDS if words(each)[0].endswith(".sh")})


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_is_named_is_there_and_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    assert subprocess.run(["sh", "-n", ROOT / name], timeout=20).returncode == 0


def test_paths_that_are_named_are_there() -> None:
    named = {
        word for each in COMMANDS for word in words(each) if word.startswith(("knative/", "nats-eventing/", "tools/"))
    }
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_links_within_the_page_lead_somewhere() -> None:
    text = GUIDE.read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_every_json_and_yaml_block_can_be_read() -> None:
    text = GUIDE.read_text()
    for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S):
        assert yaml.safe_load(block)
    for block in re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S):
        assert json.loads(block)


# --- the Secrets -----------------------------------------------------------------------------------------------------


POSTGRES_SECRETS = "darkroom-postgres-"


def make_secrets(folder: Path, **environment: str) -> dict[str, dict[str, str]]:
    where = {"PATH": f"{Path(script('kubectl')).parent}:{os.environ['PATH']}", "HOME": str(folder), **environment}
    command = [ROOT / "knative" / "secrets.sh", folder]
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    made = [yaml.safe_load(file.read_text()) for file in folder.glob("*.yaml")]
    assert {each["metadata"]["namespace"] for each in made} == {"darkroom"}
    return {
        each["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in each["data"].items()}
        for each in made
    }


def test_the_script_makes_the_secrets_of_the_table_and_keeps_what_is_there(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets")

    in_the_table = {
        name: keys
        for (_, namespace, name), keys in documented_secrets().items()
        if namespace == "darkroom" and not name.endswith(("-nats", "-tls")) and not name.startswith(POSTGRES_SECRETS)
    }
    in_the_table["darkroom-setup"] -= {"POSTGRES_URL"}
    users = in_the_table.pop("darkroom-redis-users")
    assert users == {"users.rules"}
    assert {name: set(data) for name, data in made.items() if name != "darkroom-redis-users"} == in_the_table
    for function in ("ingest", "status", "resize", "crop", "renditions", "recovery"):
        password = made[f"darkroom-{function}"]["REDIS_URL"].split(":")[2].partition("@")[0]
        digest = hashlib.sha256(password.encode()).hexdigest()
        assert made["darkroom-redis-users"][function].strip() == digest
    assert len(base64.b64decode(made["darkroom-minio"]["MINIO_KMS_SECRET_KEY"].partition(":")[2])) == 32
    assert len(bytes.fromhex(made["darkroom-seaweedfs"]["WEED_S3_SSE_KEK"].strip())) == 32
    assert make_secrets(tmp_path / "secrets") == made


def test_with_postgres_each_role_has_a_password_and_each_function_the_url_of_its_role(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets", POSTGRES="yes")
    documented = {
        name: keys for (_, _, name), keys in documented_secrets().items() if name.startswith(POSTGRES_SECRETS)
    }
    assert documented.pop("darkroom-postgres-ca") == {"ca.crt"}
    assert {name: set(data) for name, data in made.items() if name.startswith(POSTGRES_SECRETS)} == documented
    for function in ("ingest", "status", "resize", "crop", "renditions", "recovery", "notify", "console"):
        role = made[f"{POSTGRES_SECRETS}{function}"]
        assert role["username"] == f"darkroom_{function}"
        secret = made[f"darkroom-{function}"]
        assert secret["POSTGRES_URL"].startswith(f"postgresql://darkroom_{function}:{role['password']}@")
        assert "sslmode=verify-full" in secret["POSTGRES_URL"]
        assert secret["REDIS_URL"] == ""
    owner = made[f"{POSTGRES_SECRETS}owner"]
    assert made["darkroom-setup"]["POSTGRES_URL"].startswith(f"postgresql://darkroom:{owner['password']}@")
    labels = yaml.safe_load((tmp_path / "secrets" / f"{POSTGRES_SECRETS}ingest.yaml").read_text())["metadata"]["labels"]
    assert labels == {"cnpg.io/reload": "true"}, "the operator takes a new password"


def test_while_jobs_move_each_function_is_the_operator_in_both_stores(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets", POSTGRES="move")
    for function in ("ingest", "resize", "notify"):
        secret = made[f"darkroom-{function}"]
        assert secret["POSTGRES_URL"].startswith("postgresql://darkroom_operator:")
        assert secret["REDIS_URL"].startswith("redis://operator:")


def test_the_secrets_for_redis_with_tls_name_its_authority(tmp_path: Path) -> None:
    url = make_secrets(tmp_path / "secrets", TLS="yes")["darkroom-resize"]["REDIS_URL"]
    assert url.startswith("rediss://resize:")
    assert url.endswith("?ssl_ca_certs=/etc/darkroom/redis-ca/ca.crt")


def test_only_its_owner_can_read_what_the_script_makes(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    assert [file for file in (tmp_path / "secrets").rglob("*") if file.stat().st_mode & 0o077] == []
