"""The presets of the file that PRESETS_FILE names: read at start, and again when the file changes.

A new file that cannot be used leaves the presets as they were; the log says what is wrong with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from darkroom.contract.presets import Presets, parse_presets
from darkroom.errors import SettingsError
from darkroom.serving.log import get_logger
from darkroom.serving.settings import Settings

LOOK_EVERY_S = 0.5
MAX_FILE_BYTES = 1024 * 1024
"""What a ConfigMap holds."""

log = get_logger()


class PresetFileError(Exception):
    """The file cannot be read, or is no file of presets. The message names the file and every mistake."""


class PresetSource(Protocol):
    def current(self) -> Presets:
        """Return the presets as the file had them when it was last good."""


class NoPresets:
    def current(self) -> Presets:
        return Presets()


class PresetFile:
    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file. Raises PresetFileError."""
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._version = self._stat()
        self._presets = read_presets(path)
        self._looked_at = clock()

    def current(self) -> Presets:
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_EVERY_S:
                self._looked_at = self._clock()
                self._look()
            return self._presets

    def _look(self) -> None:
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._presets = read_presets(self._path)
        except PresetFileError as exc:
            log.error("presets.refused", error=str(exc), kept=len(self._presets))
        else:
            log.info("presets.loaded", presets=len(self._presets))

    def _stat(self) -> tuple[int, ...]:
        try:
            # A ConfigMap is replaced by a link to another folder, a file of ours by another file.
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns)


def read_presets(path: Path) -> Presets:
    """Read a file of presets. Raises PresetFileError."""
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise PresetFileError(f"{path}: {exc.strerror or type(exc).__name__}") from exc
    if len(text) > MAX_FILE_BYTES:
        raise PresetFileError(f"{path}: has {len(text)} bytes, the limit is {MAX_FILE_BYTES}")
    try:
        return presets_of_yaml(text)
    except ValueError as exc:
        raise PresetFileError(f"{path}: {exc}") from exc


def presets_of_yaml(text: bytes | str) -> Presets:
    """Parse the text of a presets file. Raises PresetsInvalidError, and ValueError for what is no YAML."""
    return parse_presets(_load_yaml(text))


def preset_source(settings: Settings) -> PresetSource:
    """Return the presets for these settings. Raises SettingsError when the file cannot be used."""
    if settings.presets_file is None:
        return NoPresets()
    try:
        return PresetFile(Path(settings.presets_file))
    except PresetFileError as exc:
        raise SettingsError(f"PRESETS_FILE: {exc}") from exc


def _load_yaml(text: bytes | str) -> Any:
    """Parse YAML. Raises ValueError, with the line, also where a name is given twice."""
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise ValueError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice")
                    seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    try:
        return yaml.load(text, Loader=UniqueKeys)  # noqa: S506, a SafeLoader
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"not YAML: {where}{getattr(exc, 'problem', None) or exc}") from exc
