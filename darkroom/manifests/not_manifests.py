"""Tells manifests from other YAML: configurations of other tools, templates, parts of kustomizations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darkroom.manifests.platform.schema import SERVED
from darkroom.manifests.source import Document, Problem, ProblemKind, Reading

_BY_NAME: Sequence[tuple[str, str]] = (
    (r"values([-._].*)?", "the values of a Helm chart"),
    (r"(Chart|requirements|Chart\.lock)", "a part of a Helm chart"),
    (r"(docker-)?compose([-._].*)?", "a Compose file"),
    (r"mkdocs([-._].*)?", "the configuration of MkDocs"),
    (r"func", "the configuration of a function for func"),
    (r"\.pre-commit-config", "the configuration of pre-commit"),
    (r"\.gitlab-ci([-._].*)?", "a pipeline of GitLab"),
    (r"dependabot", "the configuration of Dependabot"),
)
_BY_KEYS: Sequence[tuple[frozenset[str], str]] = (
    # YAML reads the key `on` as true.
    (frozenset({"true", "jobs"}), "a workflow of GitHub"),
    (frozenset({"services"}), "a Compose file"),
    (frozenset({"site_name"}), "the configuration of MkDocs"),
    (frozenset({"openapi"}), "an OpenAPI document"),
    (frozenset({"swagger"}), "an OpenAPI document"),
    (frozenset({"asyncapi"}), "an AsyncAPI document"),
    (frozenset({"runs", "name"}), "an action of GitHub"),
    (frozenset({"AWSTemplateFormatVersion"}), "a template of CloudFormation"),
    (frozenset({"Resources"}), "a template of CloudFormation"),
)
_CORE_KINDS = {
    "ConfigMap", "CronJob", "DaemonSet", "Deployment", "Ingress", "Job", "List", "Namespace", "NetworkPolicy", "Pod",
    "Role", "RoleBinding", "Secret", "ServiceAccount", "StatefulSet",
}  # fmt: skip
_KINDS = {kind for _, kind in SERVED} | _CORE_KINDS
_ACTION = re.compile(r"\{\{|\{%")
_PLACEHOLDER = re.compile(r"\{\{|\{%|\$\{?[A-Za-z_]\w*|\$\(\w+\)")
_IMAGE_PLACEHOLDER = re.compile(r"\{[\w .-]+\}|<[\w .:/-]+>|\bko://")
"""What documentation writes for the reader's own registry, and what ko replaces."""


def is_manifest(data: Any) -> bool:
    """Whether a document is meant for a cluster, be it complete or not."""
    if not isinstance(data, dict):
        return False
    if "apiVersion" in data and "kind" in data:
        return True
    kind = data.get("kind")
    if isinstance(kind, str) and kind in _KINDS:
        return True
    lower = {str(key).lower() for key in data}
    return {"apiversion", "kind"} <= lower or ("metadata" in data and ("spec" in data or "apiVersion" in data))


def is_template(text: str, line: int) -> bool:
    """Whether a text that is not YAML, from that line on, has the marks of a template outside its comments.

    A variable such as ${NAME} is common in scripts too, and only counts where the text stops to be YAML.
    """
    lines = text.splitlines()
    stop = lines[line - 1] if line <= len(lines) else ""
    marked = any(_ACTION.search(each) for each in lines if not each.lstrip().startswith("#"))
    return marked or re.search(r"\$\{\w+", stop) is not None


def has_placeholders(data: Any) -> bool:
    """Whether a manifest is still to be filled in: its name, namespace, kind or an image is a placeholder."""
    if not isinstance(data, dict):
        return False
    metadata = data.get("metadata")
    heads = [data.get("apiVersion"), data.get("kind")]
    if isinstance(metadata, dict):
        heads += [metadata.get("name"), metadata.get("namespace")]
    images = [each for each in _images(data.get("spec")) if isinstance(each, str)]
    return any(isinstance(each, str) and _PLACEHOLDER.search(each) for each in [*heads, *images]) or any(
        _IMAGE_PLACEHOLDER.search(each) for each in images
    )


def _images(value: Any) -> list[Any]:
    """The images of the containers in a specification, wherever they are."""
    pending, images = [value], []
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            images += [each["image"]] if isinstance(each.get("image"), str) else []
            pending += each.values()
        elif isinstance(each, list):
            pending += each
    return images


def describe(file: Path, documents: Sequence[Document]) -> str:
    """Say what a file is that holds no manifest."""
    if ".github" in file.parts and "workflows" in file.parts:
        return "a workflow of GitHub"
    if file.suffix == ".json":
        return "JSON without apiVersion and kind"
    keys = {str(key) for document in documents if isinstance(document.data, dict) for key in document.data}
    by_keys = next((what for wanted, what in _BY_KEYS if wanted <= keys), None)
    by_name = next((what for pattern, what in _BY_NAME if re.fullmatch(pattern, file.stem)), None)
    return by_name or by_keys or "without apiVersion and kind"


def in_helm_chart(file: Path) -> bool:
    """Whether a file is among the templates of a Helm chart."""
    return any(
        folder.name == "templates" and (folder.parent / "Chart.yaml").is_file() for folder in file.absolute().parents
    )


def reason_to_skip(file: Path, text: str, reading: Reading) -> tuple[int, str] | None:
    """Return the line and the reason why a file is skipped as a whole; None if it holds manifests."""
    first = reading.problems[0] if reading.problems else None
    if in_helm_chart(file):
        return 1, "a template of a Helm chart; render it first, with helm template"
    if first is not None and first.kind in {ProblemKind.SYNTAX, ProblemKind.KEY} and is_template(text, first.line):
        return first.line, "a template, which is not YAML yet; render it first"
    manifests = [each for each in reading.documents if is_manifest(each.data)]
    if manifests or (not reading.documents and first is None):
        return None
    if first is not None and not _is_harmless(first, reading):
        return None
    line = reading.documents[0].line() if reading.documents else 1
    return line, describe(file, reading.documents)


def placeholder_in(documents: Sequence[Document]) -> tuple[int, str] | None:
    """Return the line and the reason why manifests cannot be judged yet; None if they are filled in."""
    line = next((each.line() for each in documents if is_manifest(each.data) and has_placeholders(each.data)), None)
    return None if line is None else (line, "a template, whose placeholders are not filled in; render it first")


def _is_harmless(problem: Problem, reading: Reading) -> bool:
    """Whether a problem says nothing about a manifest, because the file was read and holds none."""
    readable = {ProblemKind.TAG, ProblemKind.KEY, ProblemKind.DUPLICATE_KEY}
    return problem.kind in readable and bool(reading.documents)
