"""The command: options to a question, its study to a page, JSON, a patch and a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from darkroom.arrivals import SHAPES
from darkroom.cli.folders import require_writable_file
from darkroom.cli.simulate import summary
from darkroom.cli.simulate.document import study_document
from darkroom.cli.simulate.options import simulate_options
from darkroom.cli.simulate.page import page
from darkroom.cli.simulate.question import Question
from darkroom.cli.terminal import progress, tell, write_json
from darkroom.simulate import ScenarioError
from darkroom.simulate.study.settings import SettingError

_SHAPES = "\n".join(f"  {shape.name:<14}{shape.meaning}" for shape in SHAPES.values())


@click.command(
    "simulate",
    help=f"""Simulate traffic through the autoscaler, the activator and the Brokers, without running anything.

The decisions are the local runtime's own, and Knative's: windows, panic mode, containerConcurrency, retries,
maxAckPending. It answers how many pods there would be and why, how long requests would take, and what it would cost.

\b
  darkroom simulate --traffic burst --to resize --times 250ms --html burst.html
  darkroom simulate --traffic steady*3 --to resize --times measured.json --set resize.max-scale=5,10,20
  darkroom simulate --traffic access.log --to ingest --times 40ms --set ingest.min-scale=0,1 --json
  darkroom simulate --traffic spike --to resize --times measured.json --search --out patch.yaml \\
    --set resize.max-scale=2,4,8,16 --set resize.min-scale=0,1,2 --objective '99.5%<10s'
  darkroom simulate --traffic run.json --to resize --against run.json --platform local

\b
MANIFESTS are files or folders; without any, those of the project in this folder.
Traffic is one of:
  a shape, scaled by * and stretched by @: steady*2, burst*0.1, diurnal*5@3600
  the recording of a load test (NAME.json, or the report beside it)
  a CSV file of times and sizes, or of a rate over time as Prometheus and Grafana export it
  the address of a range query of Prometheus that gives requests per second
    (http://HOST:9090/api/v1/query_range?query=...&start=...&end=...&step=...)
  an access log: common or combined format, or the JSON lines of a function's log

\b
Shapes:
{_SHAPES}
""",
)
@simulate_options
def command(is_search: bool, out: Path | None, as_json: bool, html: Path | None, **given: Any) -> None:
    if out is not None and not is_search:
        raise click.UsageError("--out is for what --search finds")
    for file, option in ((out, "--out"), (html, "--html")):
        if file is not None:
            require_writable_file(file, option)
    try:
        question = Question.of(**given)
        with progress("simulating"):
            study = question.study(is_search=is_search)
    except (SettingError, ScenarioError) as exc:
        raise click.UsageError(str(exc)) from exc
    if html is not None:
        html.write_text(page(study), encoding="utf-8")
        tell(f"wrote {html}")
    if as_json:
        write_json(study_document(study))
    else:
        summary.show(study)
    if out is not None and study.patch is not None:
        out.write_text(study.patch, encoding="utf-8")
        tell(f"wrote {out}")
    if is_search and study.patch is None:
        raise click.ClickException(
            f"no setting holds {study.objective}; --out is not written"
            if out
            else f"no setting holds {study.objective}"
        )
