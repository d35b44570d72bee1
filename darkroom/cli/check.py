"""`darkroom check`: predicts what a cluster would do with event-driven Knative YAML."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from darkroom.check import Finding, Inspection, Rule, Severity, inspect, inspect_texts, report
from darkroom.check.sarif import sarif
from darkroom.cli.terminal import printable
from darkroom.local.errors import LocalRuntimeError
from darkroom.local.extension import Checking, load_extension
from darkroom.manifests import ManifestError
from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.project import CheckSettings, has_project_file, read_project
from darkroom.manifests.source import ReadError, decode

STDIN = Path("-")


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--fail-on",
    type=click.Choice([*map(str, Severity)]),
    help="The mildest severity that makes the command exit with 1.  [default: error]",
)
@click.option("--select", "selected", multiple=True, metavar="RULE", help="Apply only this rule. Repeatable.")
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="Do not apply this rule. Repeatable.")
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="TYPE",
    help="A type of event that is emitted. With it, filters that match nothing are found. Repeatable.",
)
@click.option("--all", "every", is_flag=True, help="Show every finding, also where a rule has many.")
@click.option("--format", "form", type=click.Choice(["text", "sarif", "json"]), default="text", show_default=True)
@click.option("--explain", metavar="RULE", help="Explain a rule with an example, and exit.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules, and exit.")
def command(
    paths: tuple[Path, ...],
    fail_on: str | None,
    selected: tuple[str, ...],
    ignored: tuple[str, ...],
    events: tuple[str, ...],
    every: bool,
    form: str,
    explain: str | None,
    list_rules: bool,
) -> None:
    """Predict what a cluster would do with Knative manifests, without one.

    It finds what Kubernetes and Knative refuse (errors), what loses events or stops a Broker on NATS JetStream (errors
    too), and what works only until there is load or a restart (warnings). Hints name files that were not checked.

    \b
    PATH is a file, a directory (every YAML file below it), or - for standard input. Without one, what `darkroom up`
    runs in this directory is checked:
      darkroom check knative/base nats-eventing
      kubectl kustomize my-overlay | darkroom check -
      darkroom check --explain delivery-backoff

    Check files that belong together in one call: then references between them are followed.

    \b
    A finding that you do not want to hear about, from narrow to wide:
      # darkroom: ignore[RULE]                  a comment on the line, or on the line above
      check.darkroom.dev/ignore: RULE, RULE     an annotation of the manifest
      --ignore RULE                             on the command line
      [check]                                   in darkroom.toml, for the project:
      ignore = ["RULE"]                         also select, fail-on and events

    Exits with 0 if there is no error, with 1 if there is one (see --fail-on), with 2 if it could not check.
    """
    if list_rules:
        for rule in sorted(RULES.values(), key=lambda each: (each.severity.rank, each.id)):
            click.echo(f"{rule.id:<26} {rule.severity:<8} {rule.title}")
        return
    if explain is not None:
        click.echo(_explanation(_rule(explain)))
        return
    is_project = not paths
    paths = paths or _manifests_of_the_project()
    settings = _settings(paths)
    wanted = _Wanted(
        rules=frozenset(_rules(selected or settings.select) or RULES) - frozenset(_rules((*ignored, *settings.ignore))),
        events=(*settings.events, *events),
        fail_on=Severity(fail_on or settings.fail_on),
    )
    inspection = _inspect(paths, wanted)
    if is_project:
        inspection.findings = sorted({*inspection.findings, *_findings_of_the_application(paths)})
    _print(inspection, form, every=every)
    sys.exit(1 if any(each.severity.rank <= wanted.fail_on.rank for each in inspection.findings) else 0)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the command line and the project file ask for together."""

    rules: frozenset[str]
    events: tuple[str, ...]
    fail_on: Severity


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise click.UsageError(f"there is no rule {name!r}{suggestion(name, RULES)}; --rules lists them")
    return RULES[name]


def _rules(given: Sequence[str]) -> list[str]:
    """The names in options, each of which may hold several, separated by commas."""
    return [_rule(name.strip()).id for each in given for name in each.split(",") if name.strip()]


def _manifests_of_the_project() -> tuple[Path, ...]:
    try:
        manifests = read_project(Path()).manifests
    except ManifestError as exc:
        raise click.UsageError(str(exc)) from exc
    if not manifests:
        raise click.UsageError(
            "name a PATH to check, or change to a project's folder: in this one there is no Knative YAML"
        )
    return manifests


def _findings_of_the_application(manifests: Sequence[Path]) -> Iterator[Finding]:
    """What the project's extension finds wrong in the application's own files; its rules cannot be ignored."""
    reference = read_project(Path()).extension
    if reference is None:
        return
    try:
        extension = load_extension(reference, Path())
    except LocalRuntimeError as exc:
        raise click.ClickException(str(exc)) from exc
    if isinstance(extension, Checking):
        for one in extension.complaints(Path(), manifests):
            yield Finding(file=one.file, line=one.line, rule=one.rule, severity=Severity.ERROR, message=one.message)


def _settings(paths: Sequence[Path]) -> CheckSettings:
    """The `[check]` table of the project: the one in this directory, or else the nearest one above the first path."""
    try:
        for folder in _project_folders(paths):
            if has_project_file(folder):
                return read_project(folder).check
    except ManifestError as exc:
        raise click.UsageError(str(exc)) from exc
    return CheckSettings()


def _project_folders(paths: Sequence[Path]) -> Iterator[Path]:
    yield Path()
    if paths[0] != STDIN:
        top = paths[0].absolute()
        yield from (top, *top.parents) if top.is_dir() else top.parents


def _inspect(paths: Sequence[Path], wanted: _Wanted) -> Inspection:
    missing = [str(path) for path in paths if path != STDIN and not path.exists() and not path.is_symlink()]
    if missing:
        raise click.UsageError(f"there is no such file or directory: {', '.join(missing)}")
    if STDIN not in paths:
        return inspect(paths, events=wanted.events, rules=wanted.rules)
    if len(paths) > 1:
        raise click.UsageError("standard input is checked by itself")
    try:
        text = decode(sys.stdin.buffer.read())
    except ReadError as exc:
        raise click.UsageError(f"standard input {exc}") from exc
    return inspect_texts([(Path("<stdin>"), text)], events=wanted.events, rules=wanted.rules)


def _print(inspection: Inspection, form: str, *, every: bool) -> None:
    found = inspection.findings
    if form == "sarif":
        click.echo(json.dumps(sarif(found, version=metadata.version("darkroom")), indent=2))
    elif form == "json":
        for each in found:
            click.echo(json.dumps(_fields(each)))
    else:
        for line in report.lines(found, every=every):
            click.echo(printable(line))
        click.echo(printable(_summary(inspection), lines=True), err=True)


def _summary(inspection: Inspection) -> str:
    files = len(inspection.files)
    text = f"{report.summary(inspection.findings)} in {files} {'file' if files == 1 else 'files'}"
    if inspection.kustomizations:
        names = ", ".join(str(each) for each in inspection.kustomizations[:3])
        more = len(inspection.kustomizations) - 3
        text += f"\nskipped, for kustomize to render: {names}{f' and {more} more' if more > 0 else ''}"
    if inspection.findings:
        worst = min(inspection.findings, key=lambda each: each.severity.rank)
        if worst.rule in RULES:
            text += f"\nwhat a rule is about: darkroom check --explain {worst.rule}"
    return text


def _fields(finding: Finding) -> dict[str, str | int]:
    return {
        "file": str(finding.file),
        "line": finding.line,
        "rule": finding.rule,
        "severity": str(finding.severity),
        "message": finding.message,
    }


def _explanation(rule: Rule) -> str:
    example = rule.bad if len(rule.bad) < 5000 else f"{rule.bad[:200]}..."
    parts = [
        f"{rule.id} ({rule.severity}): {rule.title}",
        f"On the cluster: {rule.on_the_cluster}",
        f"To fix it: {rule.fix}",
        "Breaks it:\n" + _indented(example),
        "Keeps it:\n" + _indented(rule.good),
    ]
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
