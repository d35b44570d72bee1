"""PingSources and SinkBindings: schedules, payloads, subjects, overrides."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform import names
from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.cron import check_schedule, check_timezone
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

_GROUP = "sources.knative.dev/"
GOOD_PING = """\
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {name: tick}
spec:
  schedule: "*/15 * * * * *"
  contentType: application/json
  data: '{"sweep": true}'
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: darkroom}}
"""
GOOD_BINDING = """\
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: ingest}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: ingest}
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: darkroom}}
"""


@rule(
    "schedule",
    Severity.ERROR,
    "a schedule or a time zone that is not valid",
    on_the_cluster="The webhook refuses the PingSource.",
    fix="Use five fields, or six with the seconds first; Sunday is 0, there is no day 7, no L and no #. Or use "
    "@hourly, @daily, @weekly, @monthly or @yearly. The time zone has a name such as Europe/Berlin.",
    bad=GOOD_PING.replace("*/15 * * * * *", "0 0 * * 7"),
    good=GOOD_PING,
)
def schedule(bundle: Bundle) -> Iterator[RuleViolation]:
    for source in bundle.of_kind(_GROUP, "PingSource"):
        # The default schedule is every minute.
        timezone = str(source.get("spec", "timezone") or "")
        for name, check in (("schedule", partial(check_schedule, timezone=timezone)), ("timezone", check_timezone)):
            text = source.get("spec", name)
            if isinstance(text, str) and text:
                try:
                    check(text)
                except ValueError as exc:
                    yield source, ("spec", name), f"{name} {text!r}: {exc}"


@rule(
    "ping-data",
    Severity.ERROR,
    "a PingSource's data does not match its contentType",
    on_the_cluster="The webhook refuses the PingSource.",
    fix="Use a JSON object with contentType application/json, and only one of `data` and `dataBase64` (standard "
    "base64).",
    bad=GOOD_PING.replace("""'{"sweep": true}'""", "sweep"),
    good=GOOD_PING,
)
def data(bundle: Bundle) -> Iterator[RuleViolation]:
    for source in bundle.of_kind(_GROUP, "PingSource"):
        plain, encoded = source.get("spec", "data"), source.get("spec", "dataBase64")
        if plain and encoded:
            yield source, ("spec", "dataBase64"), "data and dataBase64 exclude each other"
            continue
        name, text = ("dataBase64", encoded) if encoded else ("data", plain)
        if isinstance(text, str) and text:
            message = _data_problem(name, text, source.get("spec", "contentType"))
            if message is not None:
                yield source, ("spec", name), message


def _data_problem(name: str, text: str, content_type: Any) -> str | None:
    if name == "dataBase64":
        try:
            text = base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as exc:
            return f"dataBase64 is not base64: {exc}"
    if content_type != "application/json":
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        return f"{name} is not JSON, but contentType is application/json: {exc}"
    if value is not None and not isinstance(value, dict):
        return f"{name} must be a JSON object for contentType application/json, was {text[:40]!r}"
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


@rule(
    "sink-binding-subject",
    Severity.ERROR,
    "a SinkBinding's subject that the webhook refuses",
    on_the_cluster="The webhook refuses the SinkBinding.",
    fix="Set apiVersion and kind, and either a name or a selector, in the SinkBinding's own namespace.",
    bad=GOOD_BINDING.replace(", name: ingest}\n", "}\n"),
    good=GOOD_BINDING,
)
def subject(bundle: Bundle) -> Iterator[RuleViolation]:
    for binding in bundle.of_kind(_GROUP, "SinkBinding"):
        for name, message in _subject_problems(binding.mapping("spec", "subject"), binding.namespace):
            yield binding, ("spec", "subject", name), message


def _subject_problems(subject: dict[str, Any], namespace: str) -> Iterator[tuple[str, str]]:
    version, kind, name = (subject.get(each) or "" for each in ("apiVersion", "kind", "name"))
    selector = subject.get("selector")
    if not version or not names.is_qualified_name(str(version)):
        yield "apiVersion", f"the subject's apiVersion must look like apps/v1, was {version!r}"
    if not kind or not names.is_identifier(str(kind)):
        yield "kind", f"the subject's kind must be a name such as Deployment, was {kind!r}"
    if subject.get("namespace") not in (None, "", namespace):
        yield "namespace", f"the subject must be in the namespace {namespace!r}, was in {subject['namespace']!r}"
    if selector is not None and name:
        yield "selector", "name and selector exclude each other"
    elif selector is None and not name:
        yield "name", "the subject requires a name or a selector, has neither"
    elif name and not names.is_dns_label(str(name)):
        yield "name", f"the subject's name has lower-case letters, digits and -, was {name!r}"
    if isinstance(selector, dict):
        yield from (("selector", message) for message in _selector_problems(selector))


def _selector_problems(selector: dict[str, Any]) -> Iterator[str]:
    labels = selector.get("matchLabels")
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if not names.is_qualified_name(str(key)) or not names.is_label_value(str(value)):
            yield f"{key}: {value} is not a valid label"
    expressions = selector.get("matchExpressions")
    for each in expressions if isinstance(expressions, list) else ():
        operator, values = (each.get("operator"), each.get("values")) if isinstance(each, dict) else (None, None)
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            yield f"operator must be In, NotIn, Exists or DoesNotExist, was {operator!r}"
        elif bool(values) != (operator in ("In", "NotIn")):
            yield f"the operator {operator} takes {'values' if operator in ('In', 'NotIn') else 'no values'}"


@rule(
    "ce-overrides",
    Severity.ERROR,
    "an extension's name is not letters and digits",
    on_the_cluster="The webhook refuses the source or the SinkBinding.",
    fix="Use letters and digits only; CloudEvents requires lower case.",
    bad=GOOD_BINDING + "  ceOverrides: {extensions: {Bad-Name: x}}\n",
    good=GOOD_BINDING + "  ceOverrides: {extensions: {goodname: x}}\n",
)
def overrides(bundle: Bundle) -> Iterator[RuleViolation]:
    for source in bundle.manifests:
        if not source.api_version.startswith(_GROUP):
            continue
        for name in source.mapping("spec", "ceOverrides", "extensions"):
            if not re.fullmatch("[A-Za-z0-9]+", str(name), re.ASCII):
                path = ("spec", "ceOverrides", "extensions", str(name))
                yield source, path, f"an extension's name must be letters and digits, was {name!r}"


_MODES = ("Reference", "Resource")
_API_SERVER = """\
apiVersion: sources.knative.dev/v1
kind: ApiServerSource
metadata: {name: cluster}
spec:
  mode: Reference
  resources: [{apiVersion: v1, kind: Event}]
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: darkroom}}
"""


@rule(
    "source-spec",
    Severity.ERROR,
    "an ApiServerSource or a ContainerSource that the webhook refuses",
    on_the_cluster="The webhook refuses the source.",
    fix="An ApiServerSource has the mode Reference or Resource, and resources with apiVersion and kind; the containers "
    "of a ContainerSource have an image.",
    bad=_API_SERVER.replace("mode: Reference", "mode: Ref"),
    good=_API_SERVER,
)
def source_spec(bundle: Bundle) -> Iterator[RuleViolation]:
    for source in bundle.of_kind(_GROUP, "ApiServerSource"):
        mode = source.get("spec", "mode")
        if isinstance(mode, str) and mode not in {"", *_MODES}:
            near = suggestion(mode, _MODES)
            yield source, ("spec", "mode"), f"mode must be {' or '.join(_MODES)}, was {mode!r}{near}"
        if source.get("spec", "resources") == []:
            yield source, ("spec", "resources"), f"ApiServerSource {source.name} has no resources"
        for path, resource in source.items("spec", "resources"):
            if not str(resource.get("kind") or "").strip():
                yield source, path, "a resource has no kind"
    for source in bundle.of_kind(_GROUP, "ContainerSource"):
        containers = [*source.items("spec", "template", "spec", "containers")]
        if not containers:
            yield source, ("spec",), f"ContainerSource {source.name} has no containers"
        for path, each in containers:
            # The webhook gives a container a name before it validates.
            if not each.get("image"):
                yield source, path, f"a container of ContainerSource {source.name} has no image"
