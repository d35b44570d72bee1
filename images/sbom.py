"""The bill of materials of a folder of installed packages, as CycloneDX 1.6 on standard output.

    python images/sbom.py FOLDER NAME

From the packages' own metadata; nothing but the standard library, since it runs where the image is built.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def component(distribution: Distribution) -> dict[str, Any]:
    metadata = distribution.metadata
    name, version = metadata["Name"], distribution.version
    found: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
    }
    if "License-Expression" in metadata:
        found["licenses"] = [{"expression": metadata["License-Expression"]}]
    return found


def bill(folder: str, name: str) -> dict[str, Any]:
    components = sorted((component(each) for each in distributions(path=[folder])), key=lambda each: each["purl"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name}},
        "components": components,
    }


if __name__ == "__main__":
    json.dump(bill(sys.argv[1], sys.argv[2]), sys.stdout, indent=1)
