"""The files of a function of anybody's: its module, its test, its Service, and its Trigger or route."""

from __future__ import annotations

from pathlib import Path

import click

from darkroom.cli.new.changes import Changes, Edit
from darkroom.cli.new.kustomization import with_resource
from darkroom.cli.new.layout import BrokerPlace, Layout
from darkroom.cli.new.names import FunctionName
from darkroom.cli.new.templates import render

DEAD_LETTERS = FunctionName("deadletters")
_ONLY_THE_BROKER = "\n    # Only the Broker calls it.\n    networking.knative.dev/visibility: cluster-local"


def event_changes(
    layout: Layout, name: FunctionName, broker: BrokerPlace, *, event_type: str, reply_type: str
) -> Changes:
    """A function that takes events of one type from a Broker and replies with another."""
    if reply_type == event_type:
        raise click.UsageError(
            f"a function that takes {event_type} and replies with {event_type} would get its own replies for ever; "
            "choose another --reply-type"
        )
    changes = Changes(root=layout.root)
    values = _values(name, broker.namespace)
    values |= {"event_type": event_type, "reply_type": reply_type, "broker": broker.name}
    values |= {"dead_letters": broker.dead_letters or DEAD_LETTERS.service}
    # Imports are grouped: Darkroom is a library in anybody's project, and part of the project in its own checkout.
    groups = {"first_party": "\n" if layout.is_checkout else "", "own": "" if layout.is_checkout else "\n"}
    _add_module(changes, name, render("function/event_main.py", **values, **groups), "what it does with an event")
    _add_test(changes, layout.tests, name, render("function/event_test.py", **values, **groups))
    service = render(
        "function/service.yaml",
        **values,
        summary=f"Takes events of type {event_type} from the Broker {broker.name}.",
        visibility=_ONLY_THE_BROKER,
    )
    manifests = service + render("function/trigger.yaml", **values)
    changes.add(layout.manifests / f"{name.service}.yaml", manifests, "its Service and its Trigger")
    added = [name]
    if broker.dead_letters is None:
        add_dead_letters(changes, manifests=layout.manifests, tests=layout.tests, namespace=broker.namespace)
        added.insert(0, DEAD_LETTERS)
    list_in_kustomization(changes, layout, *added)
    return changes


def http_changes(layout: Layout, name: FunctionName, namespace: str, *, path: str | None) -> Changes:
    """A function that answers HTTP requests under its own host name, and with `path` under any."""
    changes = Changes(root=layout.root)
    values = _values(name, namespace)
    _add_module(changes, name, render("function/http_main.py", **values), "what it answers")
    _add_test(changes, layout.tests, name, render("function/http_test.py", **values))
    manifests = render("function/service.yaml", **values, summary="Answers HTTP requests.", visibility="")
    if path is not None:
        manifests += render("function/route.yaml", **values, path=path)
    purpose = "its Service" if path is None else "its Service and its HTTPRoute"
    changes.add(layout.manifests / f"{name.service}.yaml", manifests, purpose)
    list_in_kustomization(changes, layout, name)
    return changes


def add_dead_letters(changes: Changes, *, manifests: Path, tests: Path, namespace: str) -> None:
    """Add the function that gets what no other function could handle."""
    values = _values(DEAD_LETTERS, namespace)
    module = render("function/deadletters_main.py", **values)
    _add_module(changes, DEAD_LETTERS, module, "gets every event that was given up, and logs it")
    _add_test(changes, tests, DEAD_LETTERS, render("function/deadletters_test.py", **values))
    summary = "Gets every event that was given up: the Triggers name it as their dead-letter sink."
    service = render("function/service.yaml", **values, summary=summary, visibility=_ONLY_THE_BROKER)
    changes.add(manifests / f"{DEAD_LETTERS.service}.yaml", service, "its Service")


def list_in_kustomization(changes: Changes, layout: Layout, *names: FunctionName) -> None:
    """Add the functions' YAML to the kustomization; a folder without one is read whole."""
    if layout.kustomization is None:
        return
    text = (layout.root / layout.kustomization).read_text("utf-8")
    files = [f"{name.service}.yaml" for name in names]
    for file in files:
        text = with_resource(text, file, file=layout.kustomization)
    changes.edits.append(Edit(path=layout.kustomization, text=text, summary=f"added {' and '.join(files)} to"))


def _values(name: FunctionName, namespace: str) -> dict[str, str]:
    return {"name": name.service, "target": name.python, "namespace": namespace, "project": namespace}


def _add_module(changes: Changes, name: FunctionName, text: str, purpose: str) -> None:
    folder = Path("functions", name.python)
    changes.add_missing("functions/__init__.py", "")
    changes.add(folder / "__init__.py", "")
    changes.add(folder / "main.py", text, purpose)


def _add_test(changes: Changes, folder: Path, name: FunctionName, text: str) -> None:
    changes.add(folder / f"test_{name.python}.py", text, "a test of it")
