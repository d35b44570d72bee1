"""The files of one more kind of job of the image pipeline, in a checkout of Darkroom."""

from __future__ import annotations

import json
import re

import click

from darkroom.cli.new.changes import Changes, Edit
from darkroom.cli.new.function import list_in_kustomization
from darkroom.cli.new.layout import TABLE_OF_JOB_TYPES, Layout
from darkroom.cli.new.names import FunctionName
from darkroom.cli.new.templates import render

MODEL = "crop"
"""The function whose Service the new one's is made of, so that both have the settings of today."""
_JOB_NAME = re.compile("[a-z][a-z0-9]{0,29}")
_SUMMARY = re.compile(r"[A-Za-z][A-Za-z0-9 ,()'-]{0,79}")
_PARAMETERS_IMPORT = "from darkroom.contract.parameters."
_TABLE = re.compile(r"^JOB_TYPES\b[^\n]*= \(\n(?P<rows>(?: [^\n]*\n)*)\)\n", re.M)
_WIDEST = 120


def job_changes(layout: Layout, name: FunctionName, *, summary: str | None) -> Changes:
    """A row in the table of job types, and the files that the row needs. Raises click.UsageError."""
    _check(layout, name)
    summary = summary or f"{name.service.capitalize()} a picture"
    if not _SUMMARY.fullmatch(summary):
        raise click.UsageError(
            "--summary is one phrase of at most 80 letters, digits, spaces and , ( ) ' -, such as "
            f"'Take the colours out of a picture'; was {summary!r}"
        )
    model = f"{name.service.capitalize()}Parameters"
    values = {"name": name.service, "model": model, "event_type": f"dev.darkroom.{name.service}.requested"}
    changes = Changes(root=layout.root)
    changes.add(
        f"darkroom/contract/parameters/{name.python}.py", render("job/parameters.py", **values), "its parameters"
    )
    changes.add(f"functions/{name.python}/__init__.py", "")
    text = render("job/main.py", **values, summary_lower=summary[0].lower() + summary[1:])
    changes.add(f"functions/{name.python}/main.py", text, "what it makes of a picture")
    changes.add(layout.tests / f"test_{name.python}.py", render("job/test.py", **values), "a test of it")
    manifests = _service(layout, name) + render("job/manifests.yaml", **values)
    changes.add(
        layout.manifests / f"{name.service}.yaml", manifests, "its Service, its Trigger and what belongs to them"
    )
    table = (layout.root / TABLE_OF_JOB_TYPES).read_text("utf-8")
    text = with_row(table, name=name.service, model=model, summary=summary)
    changes.edits.append(Edit(path=TABLE_OF_JOB_TYPES, text=text, summary="added its row to"))
    list_in_kustomization(changes, layout, name)
    return changes


def _check(layout: Layout, name: FunctionName) -> None:
    if not layout.is_checkout:
        raise click.UsageError(
            "--type job adds a kind of job to Darkroom's image pipeline, so it works in a checkout of Darkroom only; "
            f"{layout.root.resolve()} is none. A function of your own takes events (--type event) or answers HTTP "
            "requests (--type http)"
        )
    if not _JOB_NAME.fullmatch(name.service):
        raise click.UsageError(
            "the name of a kind of job is part of a path and of an event type: at most 30 lower-case letters and "
            f"digits, a letter first; was {name.service!r}"
        )


def with_row(table: str, *, name: str, model: str, summary: str) -> str:
    """Return the module of the table of job types with one more row, and the import that it needs."""
    found = _TABLE.search(table)
    if found is None or _PARAMETERS_IMPORT not in table:
        raise click.ClickException(f"nothing was written, because no table JOB_TYPES was found in {TABLE_OF_JOB_TYPES}")
    if re.search(rf'\bname="{name}"', found["rows"]):
        raise click.UsageError(f"there is a kind of job {name!r} already, in {TABLE_OF_JOB_TYPES}")
    end = found.end("rows")
    table = table[:end] + _row(f'name="{name}"', f"parameters={model}", f"summary={json.dumps(summary)}") + table[end:]
    return _with_import(table, f"{_PARAMETERS_IMPORT}{name} import {model}\n")


def _row(*fields: str) -> str:
    row = f"    JobType({', '.join(fields)}),\n"
    if len(row) <= _WIDEST + 1:
        return row
    return "    JobType(\n" + "".join(f"        {field},\n" for field in fields) + "    ),\n"


def _with_import(text: str, line: str) -> str:
    """Put the line where an import sorter would."""
    lines = text.splitlines(keepends=True)
    others = [number for number, each in enumerate(lines) if each.startswith(_PARAMETERS_IMPORT)]
    place = next((number for number in others if lines[number] > line), others[-1] + 1)
    return "".join([*lines[:place], line, *lines[place:]])


def _service(layout: Layout, name: FunctionName) -> str:
    file = layout.root / layout.manifests / f"{MODEL}.yaml"
    text = file.read_text("utf-8")
    return re.sub(rf"\b{MODEL}\b", name.service, text).replace("(triggers.yaml)", "(below)")
