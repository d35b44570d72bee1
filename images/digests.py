"""Pushes the functions' images and writes the digests that the registry gave them into a kustomization.

    python images/digests.py --engine docker --registry registry.example.com/darkroom --version 0.1.0 KUSTOMIZATION

The kustomization's `images:` is written anew, everything else stays as it is. Nothing but the standard library, since
`make images` needs no environment.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FUNCTIONS = ("ingest", "status", "resize", "crop", "renditions", "recovery", "notify", "job-console")
PLACEHOLDER = "dev.local/darkroom"
"""The name that the base's manifests have."""
_SECTION = re.compile(r"^(# Made by `make images`[^\n]*\n)?images:\n((  [^\n]*| *)\n)*", re.M)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class PushError(Exception):
    """An image could not be pushed, or the engine does not say its digest."""


def push(engine: str, image: str) -> str:
    """The digest that the registry gave the image."""
    answer = _pushed_by_docker(image) if engine == "docker" else _pushed_with_digest_file(engine, image)
    found = _DIGEST.search(answer)
    if found is None:
        raise PushError(f"{engine} does not say which digest the registry gave {image}: {answer.strip()!r}")
    return found[0]


def _pushed_by_docker(image: str) -> str:
    _run("docker", "push", image)
    digests = json.loads(_run("docker", "inspect", "--format", "{{json .RepoDigests}}", image))
    # An image may have been pushed elsewhere before.
    repository = image.rpartition(":")[0]
    return next((each for each in digests if each.startswith(f"{repository}@")), "")


def _pushed_with_digest_file(engine: str, image: str) -> str:
    """As podman and buildah do it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digest"
        _run(engine, "push", "--digestfile", str(file), image)
        return file.read_text("utf-8") if file.exists() else ""


def _run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise PushError(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def section(registry: str, digests: dict[str, str]) -> str:
    lines = ["# Made by `make images`: what was pushed, by its digest.", "images:"]
    for function, digest in digests.items():
        lines += [
            f"  - name: {PLACEHOLDER}/{function}",
            f"    newName: {registry}/{function}",
            f"    digest: {digest}",
        ]
    return "\n".join(lines) + "\n"


def with_images(kustomization: str, images: str) -> str:
    """The kustomization with this section in the place of its own, or at its end."""
    if _SECTION.search(kustomization):
        return _SECTION.sub(lambda _: images, kustomization, count=1)
    return kustomization.rstrip("\n") + "\n" + images


def main() -> None:
    parser = argparse.ArgumentParser(description="Push the functions' images and write their digests.")
    parser.add_argument("--engine", required=True, help="docker, podman or buildah")
    parser.add_argument("--registry", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("kustomization", type=Path)
    options = parser.parse_args()
    try:
        digests = {each: push(options.engine, f"{options.registry}/{each}:{options.version}") for each in FUNCTIONS}
    except PushError as exc:
        sys.exit(str(exc))
    file: Path = options.kustomization
    file.write_text(with_images(file.read_text("utf-8"), section(options.registry, digests)), "utf-8")


if __name__ == "__main__":
    main()
