"""The project file's tables `[images."NAME"]`: how a container image is run on this machine, where no container is.

What an entry leaves out is found in the function's folder (`local.revisions.launching`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from darkroom.manifests.errors import Finding, suggestion
from darkroom.manifests.model import FieldProblem, NonEmpty, Strict, raise_problems
from darkroom.manifests.source import Document

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def _check_address(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"has no usable port: {exc}, was {url!r}") from exc
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise ValueError(f'must be the address of an HTTP server such as "http://127.0.0.1:3000", was {url!r}')
    return f"http://{parts.hostname}:{port or 80}"


class ImageSettings(Strict):
    refused: ClassVar[Mapping[str, str]] = {
        "port": "the runtime chooses the port and gives it in the variable PORT; a command may name it as $PORT",
    }

    path: NonEmpty | None = None
    """The function's folder, from the project's root."""
    command: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """The whole command, which is started in `path`. `$PORT` and other variables in it are replaced by their values."""
    url: Annotated[str, AfterValidator(_check_address)] | None = None
    """An address that somebody else serves; nothing is started then."""
    env: dict[NonEmpty, str] = Field(default_factory=dict)
    """Variables for this machine; they override those of the manifest."""
    python: NonEmpty | None = None
    """The interpreter of the function's own environment, or that environment's folder, from the project's root."""
    watch: list[NonEmpty] = Field(default_factory=list)
    """Files and folders from the project's root whose changes restart the function, instead of those found."""

    @model_validator(mode="after")
    def _url_excludes_a_process(self) -> ImageSettings:
        problems: list[FieldProblem] = []
        if self.url is not None:
            given = {"path": self.path, "command": self.command, "env": self.env, "python": self.python}
            problems += [
                ((name,), "has no effect beside url: nothing is started then") for name in given if given[name]
            ]
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                problems.append((("env", name), f"must be a variable's name, was {name!r}"))
        raise_problems(problems)
        return self


def repository_of(image: str) -> str:
    """Return an image's name without its tag and digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


@dataclass(frozen=True, kw_only=True)
class Images:
    """The entries of a project file, found by the images of manifests."""

    entries: Mapping[str, ImageSettings] = field(default_factory=dict)
    document: Document | None = None

    def find(self, image: str) -> ImageSettings | None:
        """Return the entry of an image: that of its whole name, or else that of its repository."""
        return self.entries.get(image) or self._by_repository().get(repository_of(image))

    def unused(self, images: Collection[str]) -> Iterator[Finding]:
        """Yield a finding for each entry that fits none of the images."""
        repositories = {repository_of(image) for image in images}
        for name in self.entries:
            if name not in images and repository_of(name) not in repositories and self.document is not None:
                near = suggestion(name, repositories)
                yield self.document.finding(("images", name), f"no Service uses the image {name!r}{near}")

    def _by_repository(self) -> Mapping[str, ImageSettings]:
        """An entry without tag and digest is that of the repository; with them, it serves the other tags as well."""
        ordered = sorted(self.entries, key=lambda name: name == repository_of(name))
        return {repository_of(name): self.entries[name] for name in ordered}
