"""Remembers which environment variables libraries read while they are imported, and who read them.

A process that is forked from one with its libraries loaded gets an environment of its own. What a library read when it
was imported does not change with it. So the zygote records every read, and compares before it forks: a module that can
be executed again is (`refresh`), and for any other the fork is refused, so that a new interpreter starts instead.

Reads by native code are not seen here; `fork_server` lists their variables.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping

_RELOADABLE = frozenset({"gunicorn.config"})
"""Modules that keep nothing but defaults: executed again in the same namespace, all who imported them see the new
ones.
"""
_UNUSED = {"HOME": ("sysconfig", "botocore.")}
"""Reads that nothing follows from, by variable, with the readers' prefixes: the folder of `pip install --user`, and
caches of single sign-on. Each instance has a HOME of its own, so none could be forked otherwise.
"""
_PASSED_THROUGH = frozenset({"os", "collections.abc", "_collections_abc", "posixpath", "genericpath", __name__})
"""Modules through which others read."""
_ALL = "*"


class EnvironmentReads:
    """A context manager: while it is entered, reads of `os.environ` are recorded."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, str | None]] = {}
        """By reader's module: the variables, with the values they had."""

    def __enter__(self) -> EnvironmentReads:
        reads = self

        class Recording(os._Environ):  # type: ignore[type-arg]
            def __getitem__(self, name: str) -> str:
                try:
                    value = str(super().__getitem__(name))
                except KeyError:
                    reads._record(name, None)
                    raise
                reads._record(name, value)
                return value

            def __contains__(self, name: object) -> bool:
                try:
                    self[str(name)]
                except KeyError:
                    return False
                return True

            def __iter__(self) -> Iterator[str]:
                reads._record(_ALL, None)
                return super().__iter__()

        os.environ.__class__ = Recording
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.__class__ = os._Environ

    def conflict(self, environment: Mapping[str, str]) -> str | None:
        """Return a variable that an imported module has read with another value and would not read again, or None."""
        for reader, variables in self._read.items():
            if reader not in _RELOADABLE:
                for name in variables:
                    if self._differs(reader, name, environment):
                        return name
        return None

    def refresh(self, environment: Mapping[str, str]) -> None:
        """Execute modules again that would read something else now. Call it once the environment is in place."""
        for reader in _RELOADABLE & self._read.keys():
            if any(self._differs(reader, name, environment) for name in self._read[reader]):
                importlib.reload(sys.modules[reader])

    def _record(self, name: str, value: str | None) -> None:
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_globals.get("__name__") in _PASSED_THROUGH:
            frame = frame.f_back
        self._read.setdefault(str(frame.f_globals.get("__name__")), {})[name] = value

    def _differs(self, reader: str, name: str, environment: Mapping[str, str]) -> bool:
        if name == _ALL:
            return True
        if reader.startswith(_UNUSED.get(name, ())):
            return False
        return environment.get(name) != self._read[reader][name]
