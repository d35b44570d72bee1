"""Decides how each image is started: what the project file says, the container's own command, or what lies there."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from darkroom.local.revisions.launching import containers, functions_framework
from darkroom.local.revisions.launching.environments import NoInterpreterError
from darkroom.local.revisions.launching.folders import function_folder
from darkroom.local.revisions.launching.func_project import func_project
from darkroom.local.revisions.launching.golang import go_program
from darkroom.local.revisions.launching.launch import AddressLaunch, Launch, NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.node import package
from darkroom.local.revisions.launching.procfile import web_process
from darkroom.local.revisions.launching.source import Source
from darkroom.local.revisions.launching.suggestions import suggestion_for
from darkroom.local.revisions.launching.words import Words
from darkroom.manifests.images import Images, ImageSettings
from darkroom.manifests.revision import Revision, ServiceKey

DETECTORS: tuple[Callable[[Source], Launch | None], ...] = (
    func_project,
    functions_framework.in_folder,
    web_process,
    package,
    go_program,
)
"""In this order: the first that recognises something in the function's folder decides."""


class _Found(NamedTuple):
    revision: Revision
    launch: Launch
    at_s: float


LOOKED_AGAIN_AFTER_S = 2.0
"""After this, a package or a program that was missing is looked for again."""
KEPT = 3
"""How many of a Service's revisions are remembered: while one replaces another, both are asked for."""


class Launcher:
    """Finds how revisions are started. Each is decided once; where no way is known, it is looked for again."""

    def __init__(
        self,
        *,
        root: Path,
        data: Path,
        images: Images | None = None,
        is_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_only`: the project runs one image, whose source may be in the root itself."""
        self._root = root
        self._data = data
        self._images = images or Images()
        self._is_only = is_only
        self._clock = clock
        self._found: dict[ServiceKey, list[_Found]] = defaultdict(list)

    def find(self, revision: Revision) -> Launch:
        """Return how a revision is started. What was missing may have been installed since it was asked for."""
        found = self._found[revision.key]
        known = next((each for each in found if each.revision == revision), None)
        if known is not None and not self._is_outdated(known):
            return known.launch
        launch = self._decide(revision)
        others = [each for each in found if each is not known]
        self._found[revision.key] = [*others, _Found(revision, launch, self._clock())][-KEPT:]
        return launch

    def _is_outdated(self, known: _Found) -> bool:
        return isinstance(known.launch, NoLaunch) and self._clock() - known.at_s > LOOKED_AGAIN_AFTER_S

    def _decide(self, revision: Revision) -> Launch:
        settings = self._images.find(revision.image) or ImageSettings()
        if settings.url is not None:
            return _address(settings.url)
        folder, missing = self._folder(revision, settings)
        source = Source(
            revision=revision, folder=folder or self._root, root=self._root, data=self._data, settings=settings
        )
        try:
            launch = source.nothing(missing) if missing else _decide(source, is_found=folder is not None)
        except NoInterpreterError as exc:
            launch = NoLaunch(reason=f"image {revision.image}: {exc}")
        return _with_settings(launch, settings)

    def _folder(self, revision: Revision, settings: ImageSettings) -> tuple[Path | None, str]:
        """Return the function's folder, if there is one, and what is wrong with the one that is named."""
        if settings.path is None:
            return function_folder(revision, self._root, is_only=self._is_only), ""
        folder = self._root / settings.path
        return folder, "" if folder.is_dir() else f"its path {settings.path} is no folder in {self._root.resolve()}"


def _decide(source: Source, *, is_found: bool) -> Launch:
    if source.settings.command is not None:
        return _named_command(source, source.settings.command)
    if declared := containers.container_command(source) or functions_framework.declared(source):
        return declared
    if not is_found:
        return source.nothing(_not_found(source))
    for detect in DETECTORS:
        if found := detect(source):
            return _with_arguments(found, source.revision)
    if suggested := suggestion_for(source):
        return suggested
    looked_for = "func.yaml, main.py with a function of functions-framework, Procfile, package.json or go.mod"
    why = containers.missing_command(source)
    return source.nothing(f"{f'{why}, and ' if why else ''}{source.where} has no {looked_for}")


def _not_found(source: Source) -> str:
    service, env = source.revision.service, source.revision.env
    if env.get("FUNCTION_SOURCE"):
        return f"FUNCTION_SOURCE names {env['FUNCTION_SOURCE']}, which does not exist, and there is no folder {service}"
    missing = containers.missing_command(source)
    return f"{f'{missing}, and ' if missing else ''}there is no folder {service} (nor functions/{service})"


def _named_command(source: Source, command: list[str]) -> Launch:
    if source.find_program(command[0]) is None:
        return source.nothing(
            f"its command in darkroom.toml starts {command[0]}, which is neither in {source.where} nor on PATH"
        )
    return source.launch(Words(argv=tuple(command)), f"{' '.join(command)} in {source.where} (darkroom.toml)")


def _address(url: str) -> AddressLaunch:
    parts = urlsplit(url)
    return AddressLaunch(how=f"{url} (darkroom.toml)", host=parts.hostname or "", port=parts.port or 80)


def _with_arguments(launch: Launch, revision: Revision) -> Launch:
    """Add the container's `args`, if it has no command: they are arguments of the image's own program."""
    if not isinstance(launch, ProgramLaunch) or revision.command or not revision.args or not launch.expands:
        return launch
    return replace(launch, argv=(*launch.argv, *revision.args))


def _with_settings(launch: Launch, settings: ImageSettings) -> Launch:
    if isinstance(launch, NoLaunch | AddressLaunch) or not settings.env:
        return launch
    return replace(launch, env={**launch.env, **settings.env})
