"""A stack of this project with two API keys, and with changes to a copy of its manifests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.faulty_stack import edit
from tests.stack import ROOT, RunningStack, made_api_key, running_stack


@dataclass(frozen=True)
class KeyedStack:
    stack: RunningStack
    keys: tuple[str, str]


@contextmanager
def changed_stack(folder: Path, *changes: tuple[str, str, str], options: Sequence[str] = ()) -> Iterator[KeyedStack]:
    """Each change is a file below knative/base, a text that it has, and what takes its place."""
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    for file, old, new in changes:
        edit(folder / "knative/base" / file, old, new)
    hashes = folder / "keys.json"
    keys = made_api_key(hashes), made_api_key(hashes)
    manifests = [option for name in ("knative/base", "nats-eventing") for option in ("--manifests", str(folder / name))]
    with running_stack(folder / "data", "--api-keys", str(hashes), *manifests, *options) as stack:
        yield KeyedStack(stack, keys)
