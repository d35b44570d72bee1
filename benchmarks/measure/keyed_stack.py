"""Runs a stack of this project with any number of API keys, and with changed settings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from darkroom.contract.api_keys import make_key
from darkroom.serving.key_file import write_key_file
from tests.faults.faulty_stack import edit
from tests.stack import ROOT, RunningStack, running_stack


@dataclass(frozen=True, kw_only=True)
class KeyedStack:
    stack: RunningStack
    keys: tuple[str, ...]


@contextmanager
def keyed_stack(
    folder: Path, *options: str, keys: int, settings: Mapping[str, str], sweep: bool = True
) -> Iterator[KeyedStack]:
    """`settings` take the place of those in knative/base/settings.yaml; `options` are for `darkroom up`. Without
    `sweep`, recovery's comes once a year, so that nothing is its doing.
    """
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    _change(folder / "knative/base/settings.yaml", settings)
    if not sweep:
        edit(folder / "knative/base/sweep.yaml", "*/15 * * * * *", "0 0 1 1 *")
    made = [make_key(f"key {number}") for number in range(keys)]
    write_key_file(folder / "keys.json", [stored for _, stored in made])
    manifests = [option for name in ("knative/base", "nats-eventing") for option in ("--manifests", str(folder / name))]
    chosen = ["--api-keys", str(folder / "keys.json"), *manifests, *options]
    with running_stack(folder / "data", *chosen, verbose=False) as stack:
        yield KeyedStack(stack=stack, keys=tuple(key for key, _ in made))


def _change(file: Path, settings: Mapping[str, str]) -> None:
    text = file.read_text()
    for name, value in settings.items():
        text, found = re.subn(rf"^  {name}: .*$", f'  {name}: "{value}"', text, flags=re.MULTILINE)
        if not found:
            text += f'  {name}: "{value}"\n'
    file.write_text(text)
