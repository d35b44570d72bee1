"""`darkroom new project` and `darkroom new function`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from darkroom.cli.new.changes import Changes
from darkroom.cli.new.names import FunctionName, parse_event_type, parse_function_name, parse_project_name
from darkroom.cli.terminal import write

HERE = "."


@click.group("new")
def command() -> None:
    """Write the files of a new project, or of one more function in it.

    No file is ever overwritten: if one of them is there already, none is written.

    \b
      darkroom new project shop
      darkroom new function confirm --event-type shop.order.placed
      darkroom new function hello --type http
    """


@command.command("project", short_help="Begin a project, with a Broker and its dead letters.")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Show the files instead of writing them.")
def project(name: str, dry_run: bool) -> None:
    """Begin a project: a Broker on JetStream, the function that gets its dead letters, and their tests.

    NAME is the project's name, which is also its namespace. The project is begun in this folder if it is empty, and
    otherwise in a new folder of that name. With . it is begun in this folder, under the folder's name.
    """
    from darkroom.cli.new.project import project_changes

    root, name = _place(name)
    changes = project_changes(root, name)
    if _write(changes, dry_run=dry_run):
        steps = [] if root == Path() else [(f"cd {root}", "")]
        steps += [
            ("darkroom new function confirm", "add a function that takes events"),
            ("darkroom up", "run everything here, until Ctrl-C"),
        ]
        _show_next(steps)


def _place(given: str) -> tuple[Path, str]:
    """Return the folder of a new project, and its name."""
    here = Path()
    if given == HERE:
        try:
            return here, parse_project_name(here.resolve().name)
        except click.UsageError as exc:
            raise click.UsageError(f"this folder's name is no name for a project: {exc.message}") from exc
    name = parse_project_name(given)
    # What begins with a dot was put there by tools: .git, .venv.
    is_empty = all(entry.name.startswith(".") for entry in here.iterdir())
    return (here if is_empty else Path(name)), name


@command.command("function", short_help="Add a function, with its test and its YAML.")
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["event", "http", "job"]),
    default="event",
    show_default=True,
    help="event: takes events from the Broker. http: answers HTTP requests. job: does one more kind of job of the "
    "image pipeline, in a checkout of Darkroom.",
)
@click.option(
    "--event-type", metavar="TYPE", help="The type of the events that it takes.  [default: NAMESPACE.NAME.requested]"
)
@click.option(
    "--reply-type", metavar="TYPE", help="The type of the events that it replies with.  [default: NAMESPACE.NAME.done]"
)
@click.option("--broker", metavar="NAME", help="The Broker that it gets events from.  [default: the only one]")
@click.option("--path", metavar="/PATH", help="http: serve requests below this path, such as /hello, by an HTTPRoute.")
@click.option("--namespace", metavar="NAME", help="http: its namespace.  [default: the only one]")
@click.option("--summary", help="job: what it does, such as 'Take the colours out of a picture'.")
@click.option("--dry-run", is_flag=True, help="Show the files instead of writing them.")
def function(name: str, kind: str, dry_run: bool, **options: str | None) -> None:
    """Add a function to the project in this folder.

    It gets a module, a test that passes, and its YAML: a Service, and a Trigger with all of its delivery settings. The
    YAML is added to kustomization.yaml. NAME becomes the Service's name.
    """
    _refuse_options_of_other_types(kind, options)
    parsed = parse_function_name(name)
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    changes, steps = _PLANS[kind](parsed, **given)
    if _write(changes, dry_run=dry_run):
        _show_next([*_checking(changes), *steps])


_OPTIONS_OF = {
    "event": {"event_type", "reply_type", "broker"},
    "http": {"path", "namespace"},
    "job": {"summary"},
}


def _refuse_options_of_other_types(kind: str, options: dict[str, str | None]) -> None:
    for option, value in options.items():
        if value is not None and option not in _OPTIONS_OF[kind]:
            home = next(each for each, known in _OPTIONS_OF.items() if option in known)
            shown = f"--{option.replace('_', '-')}"
            raise click.UsageError(f"{shown} belongs to --type {home}, and this is --type {kind}")


Steps = list[tuple[str, str]]
"""Commands to type next, each with what it does."""
Plan = Callable[..., tuple[Changes, Steps]]


def _event(
    name: FunctionName, event_type: str | None = None, reply_type: str | None = None, broker: str | None = None
) -> tuple[Changes, Steps]:
    from darkroom.cli.new.function import event_changes
    from darkroom.cli.new.layout import read_layout

    layout = read_layout(Path())
    place = layout.broker(broker)
    layout.require_free(place.namespace, name.service)
    event_type = parse_event_type(event_type or f"{place.namespace}.{name.service}.requested", "--event-type")
    reply_type = parse_event_type(reply_type or f"{place.namespace}.{name.service}.done", "--reply-type")
    changes = event_changes(layout, name, place, event_type=event_type, reply_type=reply_type)
    send = f"darkroom events send {event_type} --data '{{\"order\": 7}}'"
    return changes, [_UP, (send, "in another terminal: send it an event")]


def _http(name: FunctionName, path: str | None = None, namespace: str | None = None) -> tuple[Changes, Steps]:
    from darkroom.cli.new.function import http_changes
    from darkroom.cli.new.layout import read_layout

    if path is not None and not path.startswith("/"):
        raise click.UsageError(f"--path begins with /, as in /hello; was {path!r}")
    layout = read_layout(Path())
    namespace = namespace or layout.namespace()
    layout.require_free(namespace, name.service)
    changes = http_changes(layout, name, namespace, path=path)
    url = f"http://{name.service}.{namespace}.localhost:8080/" if path is None else f"http://127.0.0.1:8080{path}"
    return changes, [_UP, (f"curl {url}", "in another terminal: ask it")]


def _job(name: FunctionName, summary: str | None = None) -> tuple[Changes, Steps]:
    from darkroom.cli.new.job_function import job_changes
    from darkroom.cli.new.layout import read_layout

    changes = job_changes(read_layout(Path()), name, summary=summary)
    submit = f"darkroom submit picture.jpg {name.service} -o result.jpg"
    reference = ("python -m tools.reference docs", "write it into the reference")
    return changes, [reference, _UP, (submit, "in another terminal: have a picture done")]


_PLANS: dict[str, Plan] = {"event": _event, "http": _http, "job": _job}
_UP = ("darkroom up", "run everything here, until Ctrl-C")


def _write(changes: Changes, *, dry_run: bool) -> bool:
    """Write the files, or show them. Returns whether they were written."""
    changes.refuse_to_overwrite()
    if dry_run:
        for text in changes.shown():
            click.echo(text)
        return False
    changes.write()
    rows = list(changes.done())
    width = max(len(what) for what, _ in rows)
    for what, purpose in rows:
        write(f"{what:<{width}}  ", (purpose, "dim")) if purpose else write(what)
    return True


def _checking(changes: Changes) -> Steps:
    tests = [str(file.path) for file in changes.new if file.path.name.startswith("test_")]
    return [(f"python -m pytest {' '.join(tests)}", "run its test")]


def _show_next(steps: Steps) -> None:
    width = max(len(step) for step, _ in steps)
    write("")
    write(("next:", "bold"))
    for step, purpose in steps:
        write(f"  {step:<{width}}  ", (purpose, "dim")) if purpose else write(f"  {step}")
