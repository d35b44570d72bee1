"""The bill of materials of a folder of installed packages, as CycloneDX 1.6 on standard output.

    python images/sbom.py FOLDER NAME [REPORT]

Each package with its version, licence and, from the REPORT of the `pip install` that brought it, the hash of the file
it came from; below it its native libraries, each with its hash, and its version where its name has one: no package
manager knows that libvips or libjpeg is in there. Nothing but the standard library: it runs where the image is built.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_NATIVE = re.compile(r"\.so(\.\d+)*$")
# A single number after .so is the interface's, not the library's version.
_VERSION = re.compile(r"\.so\.(\d+(?:\.\d+)+)$|-(\d+(?:\.\d+)+)[-.]")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def archive_hashes(report: Path) -> dict[str, str]:
    """SHA-256 of each package's file, by the package's name; from pip's installation report."""
    installed = json.loads(report.read_text("utf-8"))["install"]
    found = {
        normalized(each["metadata"]["name"]): each["download_info"].get("archive_info", {}).get("hashes", {})
        for each in installed
    }
    return {name: hashes["sha256"] for name, hashes in found.items() if "sha256" in hashes}


def component(distribution: Distribution, hashes: Mapping[str, str]) -> dict[str, Any]:
    metadata = distribution.metadata
    name, version = metadata["Name"], distribution.version
    found: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{normalized(name)}@{version}",
    }
    if "License-Expression" in metadata:
        found["licenses"] = [{"expression": metadata["License-Expression"]}]
    if normalized(name) in hashes:
        found["hashes"] = [sha256(hashes[normalized(name)])]
    native = [library(path) for path in sorted(native_files(distribution))]
    if native:
        found["components"] = native
    return found


def native_files(distribution: Distribution) -> set[Path]:
    located = {
        Path(str(distribution.locate_file(file))) for file in distribution.files or () if _NATIVE.search(file.name)
    }
    return {path for path in located if path.is_file()}


def library(path: Path) -> dict[str, Any]:
    """Also an extension module: it has other projects' code linked into it."""
    found: dict[str, Any] = {
        "type": "library" if path.name.startswith("lib") else "file",
        "name": path.name,
        "hashes": [sha256(hashlib.sha256(path.read_bytes()).hexdigest())],
    }
    version = _VERSION.search(path.name)
    if version:
        found["version"] = version[1] or version[2]
    return found


def sha256(content: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": content}


def bill(folder: str, name: str, hashes: Mapping[str, str]) -> dict[str, Any]:
    components = sorted(
        (component(each, hashes) for each in distributions(path=[folder])), key=lambda each: str(each["purl"])
    )
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name}},
        "components": components,
    }


if __name__ == "__main__":
    known = archive_hashes(Path(sys.argv[3])) if len(sys.argv) > 3 else {}
    json.dump(bill(sys.argv[1], sys.argv[2], known), sys.stdout, indent=1)
