"""`darkroom backup`: says what to keep of a deployment and where it is. It copies nothing itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import yaml

from darkroom.cli.backup_plan import BackupItem, Deployment, backup_plan
from darkroom.cli.deployment import data_option, running_settings
from darkroom.cli.terminal import write, write_json
from darkroom.manifests.project import read_project

_DEAD_LETTERS = Path("nats-eventing/deadletter-stream.json")


@click.command("backup")
@click.option("--local", is_flag=True, help="Of the `darkroom up` that runs here, instead of the cluster's manifests.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def command(local: bool, as_json: bool, data: Path) -> None:
    """Say what to keep of a deployment, where it is, and by which commands it is copied. Copies nothing.

    \b
    Names and addresses are those of this project's manifests, or with --local of the running `darkroom up`.
      darkroom backup
      darkroom backup --local --json
    """
    plan = backup_plan(_running(data) if local else _cluster(Path.cwd()))
    if as_json:
        write_json([asdict(item) for item in plan])
        return
    for item in plan:
        _write(item)


def _write(item: BackupItem) -> None:
    write((item.what, "bold"))
    write(f"  where:            {item.where}")
    write(f"  lost without it:  {item.why}" if item.commands else f"  no copy needed:   {item.why}")
    for line in item.commands:
        write(f"    {line}")
    write("")


def _running(data: Path) -> Deployment:
    return Deployment(
        settings=running_settings(data), data_folder=str(data), dead_letter_stream=_dead_letter_stream(Path.cwd())
    )


def _cluster(root: Path) -> Deployment:
    """Read the names from the project's manifests. Raises click.ClickException where they have no settings."""
    documents = list(_documents(read_project(root).manifests))
    settings = next((one for one in documents if one.get("kind") == "ConfigMap" and "BUCKET_NAME" in _data(one)), None)
    if settings is None:
        raise click.ClickException(
            f"no ConfigMap of {root} has a BUCKET_NAME: change to a checkout of Darkroom, or give --local for the "
            "`darkroom up` that runs here"
        )
    return Deployment(
        settings=_data(settings),
        namespace=settings["metadata"].get("namespace", "default"),
        secrets=sorted(set(_secret_names(documents))),
        dead_letter_stream=_dead_letter_stream(root),
        broker_streams=sorted(_stream_of(one) for one in documents if one.get("kind") == "Broker"),
    )


def _documents(paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for path in paths:
        for file in sorted(path.rglob("*.yaml")) if path.is_dir() else [path]:
            yield from (one for one in yaml.safe_load_all(file.read_text("utf-8")) if isinstance(one, dict))


def _data(config_map: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in (config_map.get("data") or {}).items()}


def _secret_names(node: Any) -> Iterator[str]:
    """Yield the Secrets that are named anywhere below a node."""
    if isinstance(node, list):
        for one in node:
            yield from _secret_names(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in {"secretKeyRef", "secretRef"} and isinstance(value, dict):
                yield str(value.get("name"))
            elif name == "secretName":
                yield str(value)
            else:
                yield from _secret_names(value)


def _stream_of(broker: Mapping[str, Any]) -> str:
    """Return the stream of a channel-based Broker's channel, as eventing-natss names it."""
    metadata = broker["metadata"]
    text = f"{metadata.get('namespace', 'default')}__{metadata['name']}-kne-trigger"
    return f"KN_{text}".replace("-", "_").upper()


def _dead_letter_stream(root: Path) -> str:
    try:
        return str(json.loads((root / _DEAD_LETTERS).read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError):
        return Deployment(settings={}).dead_letter_stream
