"""`python -m tools.metrics_table docs/operations.md`: writes the metric catalog into a page of the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from darkroom.telemetry.metric import Metric, MetricKind, Source
from tools.catalog import CATALOG
from tools.marked_pages import with_generated

BEGIN = "<!-- the catalog: made by `make reference`; do not edit -->"
END = "<!-- end of the catalog -->"


def with_catalog(page: str) -> str:
    """Return the page with the table between the two marks regenerated. Raises ValueError when they are missing."""
    return with_generated(page, BEGIN, END, [*_lines(), ""])


def _lines() -> Iterator[str]:
    for source in Source:
        yield f"**{source.value[0].upper()}{source.value[1:]}**"
        yield ""
        yield "| Prometheus | kind | labels | what |"
        yield "|---|---|---|---|"
        yield from (_row(metric) for metric in CATALOG if metric.source is source)
        yield ""
    yield "Histograms' bounds, in seconds:"
    yield ""
    yield from _bounds()


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.prometheus_name}` | {metric.kind} | {labels} | {metric.description} |"


def _bounds() -> Iterator[str]:
    for metric in CATALOG:
        if metric.kind is MetricKind.HISTOGRAM:
            yield f"- `{metric.prometheus_name}`: {', '.join(f'{bound:g}' for bound in metric.buckets)}"


def main() -> None:
    page = Path(sys.argv[1])
    page.write_text(with_catalog(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
