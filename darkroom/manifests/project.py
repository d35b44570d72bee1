"""The project file: which manifests a project runs, how its images are run here, and which servers it needs.

It is `darkroom.toml` in the project's root, or `[tool.darkroom]` in its pyproject.toml. Every key has a default, so a
project with plain Knative YAML needs no such file.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from darkroom.events import durations
from darkroom.manifests import parsing
from darkroom.manifests.dotenv import read_dotenv
from darkroom.manifests.errors import Finding, ManifestError, suggestion
from darkroom.manifests.files import KUSTOMIZATIONS
from darkroom.manifests.images import Images, ImageSettings
from darkroom.manifests.model import FieldProblem, NonEmpty, Strict, raise_problems
from darkroom.manifests.platform.quantities import quantity
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.source import Document, FieldPath

PROJECT_FILE = "darkroom.toml"
PYPROJECT_FILE = "pyproject.toml"
DEFAULT_FOLDERS = ("knative", "config", "k8s")
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_TABLE_LINE = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY_LINE = re.compile(r"\s*((?:[\w.-]|\"[^\"]*\"|'[^']*')+)\s*=")
DEFAULT_SECRETS = ".env"


def _check_reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError(f'must name an object as "package.module:object", was {text!r}')
    return text


class ProjectServer(Strict):
    """A server that runs beside the functions, and the variables through which functions find it."""

    placeholders: ClassVar[frozenset[str]] = frozenset({"url"})

    env: dict[NonEmpty, str] = Field(default_factory=dict)
    """Values may contain placeholders: `{url}`, and for S3 also `{access_key}`, `{secret_key}` and `{bucket}`."""

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> ProjectServer:
        raise_problems(list(self._unknown_placeholders()))
        return self

    def _unknown_placeholders(self) -> Iterator[FieldProblem]:
        known = ", ".join(f"{{{name}}}" for name in sorted(self.placeholders))
        for variable, text in self.env.items():
            try:
                names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            except ValueError as exc:
                yield ("env", variable), f"is no template: {exc}"
                continue
            for name in sorted(names - self.placeholders):
                yield ("env", variable), f"has an unknown placeholder {{{name}}}; there is {known}"

    def variables(self, **values: str) -> dict[str, str]:
        """Return the variables with their placeholders filled in."""
        return {variable: text.format_map(values) for variable, text in self.env.items()}


class S3ProjectServer(ProjectServer):
    placeholders: ClassVar[frozenset[str]] = frozenset({"url", "access_key", "secret_key", "bucket"})

    bucket: NonEmpty = "files"


class ProjectServers(Strict):
    """The servers to start. NATS always runs, because every Broker needs it; the others only if they are listed."""

    nats: ProjectServer = Field(default_factory=ProjectServer)
    redis: ProjectServer | None = None
    postgres: ProjectServer | None = None
    s3: S3ProjectServer | None = None


def _check_rule(name: str) -> str:
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r}{suggestion(name, RULES)}")
    return name


RuleName = Annotated[str, AfterValidator(_check_rule)]


class CheckSettings(Strict):
    """The table `[check]`: what `darkroom check` reports in this project, unless the command line says otherwise."""

    select: list[RuleName] = Field(default_factory=list)
    """The only rules to apply; empty for all."""
    ignore: list[RuleName] = Field(default_factory=list)
    fail_on: Literal["error", "warning", "hint"] = Field(default="error", alias="fail-on")
    """The mildest severity that makes the command fail."""
    events: list[NonEmpty] = Field(default_factory=list)
    """The types of events that are emitted, with which filters are compared."""


class _SecretsTable(Strict):
    file: NonEmpty | None = None
    """A file of NAME=value lines, from the root.  [default: .env, if it exists]"""


SMALLEST_RECORD_BYTES = 4 * 1024 * 1024
"""One message of the record can have almost 1 MiB."""
SHORTEST_RECORD_S = 60.0


def parse_record_bytes(text: str) -> int:
    """Convert a size such as `64Mi` to bytes. Raises ValueError."""
    size = int(quantity(text))
    if size < SMALLEST_RECORD_BYTES:
        raise ValueError(f"must be at least {SMALLEST_RECORD_BYTES // 2**20}Mi, was {text}")
    return size


def _check_record_bytes(text: str) -> str:
    parse_record_bytes(text)
    return text


def _check_record_age(text: str) -> str:
    if durations.parse_go(text) < SHORTEST_RECORD_S:
        raise ValueError(f"must be at least {SHORTEST_RECORD_S:g}s, was {text}")
    return text


class RecordSettings(Strict):
    """The table `[record]`: how much `darkroom up` keeps of what happens to events, for `darkroom events`."""

    enabled: bool = True
    max_bytes: Annotated[str, AfterValidator(_check_record_bytes)] = Field(default="64Mi", alias="max-bytes")
    max_age: Annotated[str, AfterValidator(_check_record_age)] = Field(default="24h", alias="max-age")

    @property
    def bytes(self) -> int:
        return parse_record_bytes(self.max_bytes)

    @property
    def age_s(self) -> float:
        return durations.parse_go(self.max_age)


class _ProjectTable(Strict):
    extension: Annotated[str, AfterValidator(_check_reference)] | None = None


class _ProjectFile(Strict):
    manifests: list[NonEmpty] | None = None
    resources: ProjectServers = Field(default_factory=ProjectServers)
    images: dict[NonEmpty, ImageSettings] = Field(default_factory=dict)
    secrets: _SecretsTable = Field(default_factory=_SecretsTable)
    project: _ProjectTable = Field(default_factory=_ProjectTable)
    check: CheckSettings = Field(default_factory=CheckSettings)
    record: RecordSettings = Field(default_factory=RecordSettings)


@dataclass(frozen=True, kw_only=True)
class Project:
    root: Path
    manifests: tuple[Path, ...]
    """Files and folders below `root`."""
    resources: ProjectServers = field(default_factory=ProjectServers)
    extension: str | None = None
    """The object that extends the runtime for this project, as `package.module:object`."""
    check: CheckSettings = field(default_factory=CheckSettings)
    images: Images = field(default_factory=Images)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values of variables that come from Secrets, by the variable's name or the Secret's key."""
    secrets_file: str = DEFAULT_SECRETS
    """Where `secrets` come from, or would come from, as a path below the root."""
    record: RecordSettings = field(default_factory=RecordSettings)


def read_project(root: Path) -> Project:
    """Read the project in a folder. Raises ManifestError for an invalid project file."""
    document = _document(root)
    file = _parse_project_file(document)
    given = file.manifests if file.manifests is not None else _default_manifests(root)
    return Project(
        root=root,
        manifests=tuple(root / path for path in given),
        resources=file.resources,
        extension=file.project.extension,
        check=file.check,
        images=Images(entries=file.images, document=document),
        secrets=_read_secrets(root, file.secrets.file, document),
        secrets_file=file.secrets.file or DEFAULT_SECRETS,
        record=file.record,
    )


def _read_secrets(root: Path, named: str | None, document: Document | None) -> Mapping[str, str]:
    file = root / (named or DEFAULT_SECRETS)
    if file.is_file():
        return read_dotenv(file)
    if named is not None and document is not None:
        message = f"there is no file {str(file)!r}; make it, with a line NAME=value for each secret"
        raise ManifestError([document.finding(("secrets", "file"), message)])
    return {}


def _default_manifests(root: Path) -> Sequence[str]:
    if any((root / name).is_file() for name in KUSTOMIZATIONS):
        return ["."]
    folders = [name for name in DEFAULT_FOLDERS if (root / name).is_dir()]
    return [*folders, *sorted(path.name for path in (*root.glob("*.yaml"), *root.glob("*.yml")))]


def _parse_project_file(document: Document | None) -> _ProjectFile:
    if document is None:
        return _ProjectFile()
    file, findings = parsing.parse(_ProjectFile, document)
    if file is None:
        raise ManifestError(findings)
    return file


def has_project_file(root: Path) -> bool:
    """Whether a folder has a project file. Raises ManifestError if it cannot be read."""
    return _document(root) is not None


def _document(root: Path) -> Document | None:
    file = root / PROJECT_FILE
    if file.is_file():
        text = _read(file)
        return Document(file=file, data=_parse_toml(text, file), lines=_lines(text, ()))
    file = root / PYPROJECT_FILE
    if file.is_file():
        text = _read(file)
        tools = _parse_toml(text, file).get("tool")
        if isinstance(tools, dict) and "darkroom" in tools:
            return Document(file=file, data=tools["darkroom"], lines=_lines(text, ("tool", "darkroom")))
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError([Finding(file=file, line=1, path="", message=f"cannot be read: {exc}")]) from exc


def _parse_toml(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = re.search(r"at line (\d+)", str(exc))
        line = int(place[1]) if place else 1
        raise ManifestError([Finding(file=file, line=line, path="", message=f"not TOML: {exc}")]) from exc


def _lines(text: str, above: FieldPath) -> Mapping[FieldPath, int]:
    """Find the line of every table and key below `above`, which tomllib does not report.

    Keys inside a multi-line value are not found.
    """
    lines: dict[FieldPath, int] = {(): 1}
    table: FieldPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE_LINE.match(line):
            table = _path(found[1])
        elif found := _KEY_LINE.match(line):
            _set_line(lines, (*table, *_path(found[1])), number, above)
            continue
        _set_line(lines, table, number, above)
    return lines


def _set_line(lines: dict[FieldPath, int], path: FieldPath, number: int, above: FieldPath) -> None:
    if path[: len(above)] != above:
        return
    below = path[len(above) :]
    for length in range(1, len(below) + 1):
        lines.setdefault(below[:length], number)


def _path(dotted: str) -> FieldPath:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted))
