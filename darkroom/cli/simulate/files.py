"""Reads the files and addresses that the command names, and finds out what they are by their content."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from darkroom.arrivals import SHAPES
from darkroom.cli.terminal import printable
from darkroom.simulate.observed import Observed, ObservedError
from darkroom.simulate.observed.histograms import is_exposition, read_histograms
from darkroom.simulate.observed.load_run import is_load_run, parse_load_run
from darkroom.simulate.observed.measured import is_measured, parse_measured
from darkroom.simulate.observed.otlp import is_otlp, read_otlp
from darkroom.simulate.observed.recording import Recording, is_recording, parse_recording
from darkroom.simulate.traffic import Traffic, TrafficError
from darkroom.simulate.traffic.access_log import read_access_log
from darkroom.simulate.traffic.prometheus import is_query_answer, read_range
from darkroom.simulate.traffic.shapes import is_shape, read_shape
from darkroom.simulate.traffic.tables import read_table

MOST_BYTES = 2**30
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text, and what it is called in messages."""

    name: str
    text: str

    def document(self) -> Any:
        """Return the JSON document that it is; None if it is none."""
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def read_traffic(what: str, *, service: str, seed: int, path: str = "") -> tuple[Traffic, Recording | None]:
    """Read a shape by its name, a file, or Prometheus' answer. Raises click.ClickException.

    A recorded run is returned too, since it also has times and instances.
    """
    try:
        if is_shape(what):
            return read_shape(what, seed=seed), None
        if not what.startswith(("http://", "https://")) and not Path(what).exists():
            raise TrafficError(f"there is no file {what!r} and no shape of this name; shapes are {', '.join(SHAPES)}")
        return _traffic_in(read_source(what), service, seed, path)
    except (TrafficError, ObservedError) as exc:
        raise click.ClickException(printable(exc)) from exc


def _traffic_in(source: Source, service: str, seed: int, path: str) -> tuple[Traffic, Recording | None]:
    document = source.document()
    if is_recording(document) or is_load_run(document):
        recording = _recording_in(source, document, service)
        return recording.traffic(), recording
    if is_query_answer(document):
        return read_range(source.text, source=source.name, seed=seed), None
    if document is not None and "\n{" not in source.text.strip():
        raise TrafficError(
            f"{source.name} is JSON of an unknown kind; expected a load test's recording, a recorded run, or the "
            "answer to a range query of Prometheus"
        )
    is_table = source.name.removesuffix(".gz").endswith((".csv", ".tsv"))
    if is_table or (not source.text.lstrip().startswith("{") and '"' not in source.text[:2000]):
        return read_table(source.text, source=source.name, seed=seed), None
    return read_access_log(source.text, source=source.name, path=path), None


def read_recording(what: str, *, service: str) -> Recording:
    """Read a run that was recorded whole, or a load test's, by its page or JSON. Raises click.ClickException."""
    source = read_source(what)
    try:
        return _recording_in(source, source.document(), service)
    except ObservedError as exc:
        raise click.ClickException(printable(exc)) from exc


def _recording_in(source: Source, document: Any, service: str) -> Recording:
    if is_load_run(document):
        return parse_load_run(source.text, service=service, source=source.name)
    return parse_recording(source.text, source=source.name)


def read_observed(what: str, *, service: str, metric: str = "") -> Observed:
    """Read service times and starts from a file or address. Raises click.ClickException."""
    source = read_source(what)
    document = source.document()
    try:
        if is_measured(document):
            return parse_measured(source.text, source=source.name).observed(source.name)
        if is_recording(document) or is_load_run(document):
            return _recording_in(source, document, service).observed()
        if is_otlp(document) or '"resourceSpans"' in source.text[:5000]:
            return read_otlp(source.text, service=service, source=source.name)
        if is_exposition(source.text):
            return read_histograms(source.text, service=service, source=source.name, metric=metric)
    except ObservedError as exc:
        raise click.ClickException(printable(exc)) from exc
    raise click.ClickException(
        f"{source.name} has no times that could be read; expected what `darkroom measure` writes, a recorded run, "
        "OTLP's JSON, or histograms in Prometheus' text format"
    )


def read_source(what: str) -> Source:
    """Read a file, also a compressed one, or an address. Raises click.ClickException."""
    if what.startswith(("http://", "https://")):
        return Source(name=what.partition("?")[0], text=_fetched(what))
    file = Path(what)
    if file.suffix == ".html":
        # The recording of a load test is beside its page.
        file = file.with_suffix(".json")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise click.ClickException(f"{file} has {file.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
        content = file.read_bytes()
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        return Source(name=str(file), text=text.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise click.ClickException(f"{file} is not UTF-8 text: {exc.reason}") from exc
    except (OSError, EOFError) as exc:
        raise click.ClickException(f"{file} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def _fetched(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=ANSWER_WITHIN_S)
        # Prometheus says in its body why it refuses a query.
        if answer.is_error and not answer.text.lstrip().startswith("{"):
            raise click.ClickException(f"{url.partition('?')[0]} answered {answer.status_code}")
        return answer.text
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise click.ClickException(f"{url.partition('?')[0]} does not answer: {printable(exc)}") from exc
