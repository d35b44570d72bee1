"""`darkroom check`: what a cluster would make of event-driven Knative YAML, before it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import click

from darkroom.check import Finding, Rule, check, check_texts
from darkroom.check.sarif import sarif
from darkroom.manifests.platform.rule import RULES

STDIN = Path("-")


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="A type of event that is emitted, for the filters."
)
@click.option("--format", "form", type=click.Choice(["text", "sarif", "json"]), default="text", show_default=True)
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="A rule that shall not be asked.")
@click.option("--explain", metavar="RULE", help="Say what a rule is about, with an example, and do nothing else.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules, and do nothing else.")
def command(
    paths: tuple[Path, ...],
    events: tuple[str, ...],
    form: str,
    ignored: tuple[str, ...],
    explain: str | None,
    list_rules: bool,
) -> None:
    """Say what would go wrong with manifests on a cluster: Brokers, Triggers, JetStream channels, Knative Services.

    \b
    PATH is a file, a directory (every YAML file below it), or - for standard input:
      darkroom check knative/base nats-eventing
      kubectl kustomize my-overlay | darkroom check -
      darkroom check --explain delivery-backoff

    Files that belong together are checked together. The annotation check.darkroom.dev/ignore on a manifest names rules
    that do not hold for it. Ends with 1 when something was found, with 2 when it could not be asked.
    """
    if list_rules:
        for rule in RULES.values():
            click.echo(f"{rule.id:<26} {rule.severity:<8} {rule.title}")
        return
    if explain is not None:
        click.echo(_explanation(_rule(explain)))
        return
    if not paths:
        raise click.UsageError("name a PATH to check")
    for name in ignored:
        _rule(name)
    found = [each for each in _found(paths, events) if each.rule not in ignored]
    _print(found, form)
    sys.exit(1 if found else 0)


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise click.UsageError(f"there is no rule {name!r}; --rules lists them")
    return RULES[name]


def _found(paths: Sequence[Path], events: Sequence[str]) -> list[Finding]:
    missing = [str(path) for path in paths if path != STDIN and not path.exists()]
    if missing:
        raise click.UsageError(f"there is no such file or directory: {', '.join(missing)}")
    if STDIN in paths:
        if len(paths) > 1:
            raise click.UsageError("standard input is checked by itself")
        return check_texts([(Path("<stdin>"), sys.stdin.read())], events=events)
    return check(paths, events=events)


def _print(found: Sequence[Finding], form: str) -> None:
    if form == "sarif":
        click.echo(json.dumps(sarif(found, version=metadata.version("darkroom")), indent=2))
    elif form == "json":
        for each in found:
            click.echo(json.dumps({**_fields(each)}))
    else:
        for each in found:
            click.echo(str(each))
        if found:
            rules = " ".join(sorted({each.rule for each in found}))
            click.echo(f"{len(found)} found; darkroom check --explain says more of: {rules}", err=True)
        else:
            click.echo("nothing found", err=True)


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
