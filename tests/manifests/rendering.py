"""The shipped kustomizations, rendered by kubectl: each by itself, and each component alone with each overlay."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.servers import script

ROOT = Path(__file__).parents[2]
Resource = dict[str, Any]

MONITORING = "knative/components/monitoring"
OVERLAYS = ("knative/overlays/development", "knative/overlays/production")
CONSOLE = "knative/components/console"
COMPONENTS = (
    "knative/components/aws-s3",
    CONSOLE,
    "knative/components/minio",
    MONITORING,
    "knative/components/postgres",
    "knative/components/redis",
    "knative/components/seaweedfs",
    "nats-eventing/components/native-broker",
)
"""nats-tls is part of the production overlay already, and is tried with the development overlay only."""
SEAWEEDFS = "knative/installations/production-seaweedfs"
CONSOLE_ON_POSTGRES = f"{OVERLAYS[1]} + seaweedfs + {CONSOLE} + postgres"
TLS_EVERYWHERE = "knative/overlays/production with TLS everywhere"
BASES = ("knative/base", "nats-eventing", "nats-eventing/cluster", "nats-eventing/development")
INSTALLATIONS = ("knative/installations/development", "knative/installations/production")
COMBINATIONS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in (*BASES, *OVERLAYS, *INSTALLATIONS)},
    **{f"{overlay} + {component}": (overlay, component) for overlay in OVERLAYS for component in COMPONENTS},
    SEAWEEDFS: (SEAWEEDFS,),
    # Certificates for everything that can have one, issued by cert-manager.
    TLS_EVERYWHERE: (
        OVERLAYS[1],
        "knative/components/redis",
        "knative/components/seaweedfs",
        MONITORING,
        CONSOLE,
        "knative/components/redis-tls",
        "knative/components/seaweedfs-tls",
        "knative/components/tls-cert-manager",
    ),
    # A collector that watches all of it.
    f"{INSTALLATIONS[1]} + {MONITORING}": (INSTALLATIONS[1], MONITORING),
    # The console, with all that it speaks to.
    f"{INSTALLATIONS[1]} + {CONSOLE}": (INSTALLATIONS[1], CONSOLE),
    f"{OVERLAYS[1]} + seaweedfs + {CONSOLE}": (OVERLAYS[1], "knative/components/seaweedfs", CONSOLE),
    f"{OVERLAYS[1]} + aws-s3 + {CONSOLE}": (OVERLAYS[1], "knative/components/aws-s3", CONSOLE),
    CONSOLE_ON_POSTGRES: (OVERLAYS[1], "knative/components/seaweedfs", CONSOLE, "knative/components/postgres"),
    "knative/overlays/development + knative/components/nats-tls": (OVERLAYS[0], "knative/components/nats-tls"),
}


def all_kustomizations() -> set[str]:
    """Folders below knative/ and nats-eventing/."""
    files = [*ROOT.glob("knative/**/kustomization.yaml"), *ROOT.glob("nats-eventing/**/kustomization.yaml")]
    return {str(file.parent.relative_to(ROOT)) for file in files}


@cache
def rendered_text(combination: str) -> str:
    base, *components = COMBINATIONS[combination]
    if not components:
        return _kustomize(ROOT / base)
    with tempfile.TemporaryDirectory() as folder:
        # kustomize takes relative paths only.
        lines = [
            "apiVersion: kustomize.config.k8s.io/v1beta1",
            "kind: Kustomization",
            f"resources: [{os.path.relpath(ROOT / base, Path(folder).resolve())}]",
            "components:",
            *(f"  - {os.path.relpath(ROOT / component, Path(folder).resolve())}" for component in components),
        ]
        (Path(folder) / "kustomization.yaml").write_text("\n".join(lines))
        return _kustomize(Path(folder))


def rendered(combination: str) -> list[Resource]:
    return [document for document in yaml.load_all(rendered_text(combination), _loader()) if document]


def _kustomize(folder: Path) -> str:
    done = subprocess.run([script("kubectl"), "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _loader() -> Any:
    """The one in C, where it is there: rendered text is long."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# --- what is in it ---------------------------------------------------------------------------------------------------


def named(resource: Resource) -> str:
    metadata = resource["metadata"]
    return f"{resource['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def pod_spec(resource: Resource) -> dict[str, Any] | None:
    """That of whatever runs pods."""
    if resource["kind"] in {"StatefulSet", "Job", "Deployment"} or is_knative_service(resource):
        spec: dict[str, Any] = resource["spec"]["template"]["spec"]
        return spec
    return None


def is_knative_service(resource: Resource) -> bool:
    return bool(resource["apiVersion"] == "serving.knative.dev/v1" and resource["kind"] == "Service")


def has_pods(resource: Resource) -> bool:
    """Whether pods come of it, also where an operator makes them."""
    return pod_spec(resource) is not None or is_postgres_cluster(resource)


def is_postgres_cluster(resource: Resource) -> bool:
    return bool(resource["apiVersion"] == "postgresql.cnpg.io/v1" and resource["kind"] == "Cluster")


def pod_labels(resource: Resource) -> dict[str, str]:
    if is_postgres_cluster(resource):
        return {"cnpg.io/cluster": resource["metadata"]["name"]}
    labels: dict[str, str] = resource["spec"]["template"]["metadata"]["labels"]
    return labels
