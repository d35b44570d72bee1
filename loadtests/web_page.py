"""What a load test adds to locust's web page: its form is checked before a run, a tab shows the ledger, and the reports
are among the downloads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, abort, jsonify, request

from loadtests.errors import LoadTestError
from loadtests.run import Outcome
from loadtests.runs import Runs
from loadtests.shape_classes import SHAPE_CLASSES
from loadtests.verdict import Verdict

_TAB = "darkroom-ledger"
_REPORT = "/darkroom/report"
_EXTENSION = {
    "extended_tabs": [{"title": "Ledger", "key": _TAB}],
    "extended_tables": [
        {"key": _TAB, "structure": [{"key": "name", "title": "What"}, {"key": "value", "title": "How many"}]}
    ],
    "extended_csv_files": [
        {"href": f".{_REPORT}.html", "title": "Darkroom's report of the last run"},
        {"href": f".{_REPORT}.json", "title": "Darkroom's recording of the last run, for --compare and the simulator"},
    ],
}


def extend(web_ui: Any, environment: Any, runs: Runs) -> None:
    """Extend the page, before it is served."""
    app, base = web_ui.app, environment.parsed_options.web_base_path or ""
    web_ui.template_args.update(_EXTENSION)

    @app.before_request  # type: ignore[untyped-decorator]
    def check_form() -> Response | None:
        if request.method != "POST" or request.path != f"{base}/swarm":
            return None
        try:
            _prepare(request.form, environment, runs, picks_classes=web_ui.userclass_picker_is_active)
        except LoadTestError as exc:
            answer: Response = jsonify({"success": False, "message": str(exc), "host": environment.host})
            return answer
        return None

    @app.after_request  # type: ignore[untyped-decorator]
    def add_ledger(response: Response) -> Response:
        if request.path == f"{base}/stats/requests" and response.is_json:
            rows = [{"name": name, "value": value} for name, value in ledger_rows(runs)]
            response.set_data(json.dumps({**response.get_json(), "extended_stats": [{"key": _TAB, "data": rows}]}))
        return response

    @app.route(f"{base}{_REPORT}.<kind>")  # type: ignore[untyped-decorator]
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def show_report(kind: str) -> Response:
        if not runs.outcomes or kind not in {"html", "json"}:
            abort(404, "no run has been evaluated yet")
        types = {"html": "text/html; charset=utf-8", "json": "application/json"}
        file = runs.outcomes[-1].report.with_suffix(f".{kind}")
        return Response(file.read_bytes(), content_type=types[kind])


def _prepare(form: Mapping[str, str], environment: Any, runs: Runs, *, picks_classes: bool) -> None:
    """Check the form and choose the shape. Raises LoadTestError."""
    if runs.current is not None:
        stage = "its jobs are being followed to their end" if runs.is_ending else "stop it first"
        raise LoadTestError(f"a run is under way: {stage}")
    name = form.get("shape_class", "Default")
    if picks_classes and name not in environment.available_shape_classes:
        raise LoadTestError(
            "choose a shape class: Default means locust's users and spawn rate, which these do not follow"
        )
    chosen = environment.available_shape_classes[name].row if picks_classes else None
    values = {**vars(environment.parsed_options), **form}
    options = runs.prepare(values, host=form.get("host") or environment.host, shape=chosen)
    environment.parsed_options.shape = options.shape.name
    choose_shape(environment, options.shape.name)


def choose_shape(environment: Any, name: str) -> None:
    """Have locust run this shape, by the name of its row."""
    shape = environment.available_shape_classes[SHAPE_CLASSES[name].__name__]
    shape.runner = environment.runner
    environment.shape_class = shape


def ledger_rows(runs: Runs) -> list[tuple[str, str]]:
    """Return what the tab shows: the current run's ledger so far, or the verdict on the last one."""
    if runs.current is not None:
        return _so_far(runs)
    return _verdict(runs.outcomes[-1]) if runs.outcomes else [("no run yet", "")]


def _so_far(runs: Runs) -> list[tuple[str, str]]:
    run = runs.current
    if run is None:
        return []
    ledger = run.load.ledger
    rows = [
        ("submissions", str(len(ledger.posted))),
        ("accepted jobs", str(len(ledger.jobs))),
        ("ended", str(len(ledger.jobs) - len(ledger.unfinished))),
        ("under way", str(len(ledger.unfinished))),
    ]
    if run.audit is not None:
        rows.append(("compared with what exists", f"{run.audit.checked} of {len(ledger.jobs)}"))
    return [*rows, ("verdict", "after the run")]


def _verdict(outcome: Outcome) -> list[tuple[str, str]]:
    summary = outcome.summary
    verdict: Verdict = summary.verdict
    rows = [(name, str(count)) for name, count in verdict.counts().items()]
    rows += [("turned away", str(summary.turned_away)), ("verdict", "passed" if summary.passed else "failed")]
    rows += [("", fault) for fault in summary.faults()]
    return [*rows, ("report", str(outcome.report))]
