"""Fields, types and versions: what the API server refuses before it calls a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform import names
from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.channel import STREAM_SETTINGS
from darkroom.manifests.platform.rules.delivery import GOOD
from darkroom.manifests.platform.schema import SERVED, SPECS, Shape, faults
from darkroom.manifests.platform.schema.removed import removed_version
from darkroom.manifests.platform.schema.shape import FaultKind
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_TOP = {"apiVersion", "kind", "metadata", "spec", "status"}
_METADATA = {
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
}


def known(bundle: Bundle) -> Iterator[tuple[Manifest, Shape]]:
    """Manifests whose kind has a shape, including channel templates in ConfigMaps."""
    seen: set[int] = set()
    for manifest in [*bundle.manifests, *bundle.channels]:
        shape = SPECS.get((manifest.api_version, manifest.kind))
        if shape is not None and id(manifest) not in seen:
            seen.add(id(manifest))
            yield manifest, shape


@rule(
    "unknown-field",
    Severity.ERROR,
    "a field that the API does not have",
    on_the_cluster="The API server or the webhook refuses the manifest; in a Broker's channel template the field is "
    "silently dropped.",
    fix="Correct the name, or remove it.",
    bad=GOOD.replace("    retry: 3", "    retries: 3"),
    good=GOOD,
)
def unknown_field(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, shape in known(bundle):
        yield from _unknown(manifest, (), _TOP)
        yield from _unknown(manifest, ("metadata",), _METADATA)
        for kind, path, message in faults(manifest.get("spec"), shape, ("spec",)):
            if kind is FaultKind.UNKNOWN_FIELD and not _has_its_own_rule(manifest, path):
                yield manifest, path, message


def _unknown(manifest: Manifest, path: FieldPath, fields: set[str]) -> Iterator[RuleViolation]:
    for name in manifest.mapping(*path):
        if name not in fields:
            where = path[-1] if path else manifest.kind
            yield manifest, (*path, str(name)), f"{where} has no field {name!r}{suggestion(str(name), fields)}"


def _has_its_own_rule(manifest: Manifest, path: FieldPath) -> bool:
    """Whether stream-settings-ignored reports the field; it says where the field belongs."""
    return manifest.kind == "NatsJetStreamChannel" and path[:2] == ("spec", "stream") and path[-1] in STREAM_SETTINGS


@rule(
    "field-value",
    Severity.ERROR,
    "a field has a value that the API does not accept",
    on_the_cluster="The API server or the webhook refuses the manifest.",
    fix="Use what the message states. Strings that look like numbers or like true and false need quotes.",
    bad=GOOD.replace("    retry: 3", '    retry: "3"'),
    good=GOOD,
)
def field_value(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, shape in known(bundle):
        for kind, path, message in faults(manifest.get("spec"), shape, ("spec",)):
            if kind is FaultKind.WRONG_VALUE:
                yield manifest, path, message


@rule(
    "metadata",
    Severity.ERROR,
    "a name, a label or an annotation that the API server refuses",
    on_the_cluster="The API server refuses the manifest.",
    fix="Names are lower-case letters, digits and -; the values of labels and annotations are strings.",
    bad=GOOD.replace("metadata: {name: resize}", "metadata: {name: Resize}"),
    good=GOOD,
)
def metadata(bundle: Bundle) -> Iterator[RuleViolation]:
    templates = {id(each) for each in bundle.channels if each not in bundle.manifests}
    for manifest, _ in known(bundle):
        if id(manifest) not in templates:
            yield from _name_violations(manifest)
            yield from _mark_violations(manifest)


def _name_violations(manifest: Manifest) -> Iterator[RuleViolation]:
    name = manifest.get("metadata", "name")
    if name is None and manifest.get("metadata", "generateName") is None:
        yield manifest, ("metadata",), f"{manifest.kind} has no name"
    elif name is not None and not isinstance(name, str):
        yield manifest, ("metadata", "name"), f"the name must be a string, was {name!r}; put it in quotes"
    elif manifest.is_function and name is not None and not names.is_dns_1035_label(name):
        message = (
            f"a Service's name begins with a letter and has lower-case letters, digits and -, at most 63: {name!r}"
        )
        yield manifest, ("metadata", "name"), message
    elif name is not None and not names.is_dns_subdomain(name):
        yield manifest, ("metadata", "name"), f"a name has lower-case letters, digits, - and ., at most 253: {name!r}"
    namespace = manifest.get("metadata", "namespace")
    if namespace is not None and not (isinstance(namespace, str) and names.is_dns_label(namespace)):
        yield (
            manifest,
            ("metadata", "namespace"),
            f"the namespace must be lower-case letters, digits and -: {namespace!r}",
        )


def _mark_violations(manifest: Manifest) -> Iterator[RuleViolation]:
    for kind in ("labels", "annotations"):
        marks: Any = manifest.get("metadata", kind)
        if marks is not None and not isinstance(marks, dict):
            yield manifest, ("metadata", kind), f"{kind} must be a mapping"
        for key, value in marks.items() if isinstance(marks, dict) else ():
            where = ("metadata", kind, str(key))
            if value is not None and not isinstance(value, str):
                yield manifest, where, f"{key} must be a string, was {value!r}; put it in quotes"
            elif value is not None and kind == "labels" and not names.is_label_value(value):
                message = f"the label {key} may have letters, digits and -_. between them, at most 63, was {value!r}"
                yield manifest, where, message
            if not names.is_qualified_name(str(key).lower() if kind == "annotations" else str(key)):
                yield manifest, where, f"{key!r} is not a valid key for {kind}"


_V1BETA1 = "eventing.knative.dev/v1beta1"


@rule(
    "api-version",
    Severity.ERROR,
    "a version of the API that no cluster serves",
    on_the_cluster="There is no such kind, so kubectl does not apply the manifest.",
    fix="Use the version that the message states; compare the fields with that version's documentation.",
    bad=GOOD.replace("eventing.knative.dev/v1\n", f"{_V1BETA1}\n"),
    good=GOOD,
)
def api_version(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest in bundle.manifests:
        group, _, version = manifest.api_version.rpartition("/")
        served = SERVED.get((group, manifest.kind))
        if served is not None and version not in served:
            versions = " and ".join(f"{group}/{each}" for each in served)
            message = f"{manifest.kind} is served as {versions}, was {manifest.api_version}"
            yield manifest, ("apiVersion",), message
        elif served is None:
            yield from _other_group(manifest, group)
            yield from _removed(manifest)


def _removed(manifest: Manifest) -> Iterator[RuleViolation]:
    replacement = removed_version(manifest.api_version, manifest.kind)
    if replacement is not None:
        advice = f"use {replacement}" if replacement else "nothing replaces it"
        yield (
            manifest,
            ("apiVersion",),
            f"no cluster serves {manifest.kind} of {manifest.api_version} any more; {advice}",
        )


def _other_group(manifest: Manifest, group: str) -> Iterator[RuleViolation]:
    """A known kind in the wrong Knative group, or a misspelt kind."""
    if not group.endswith("knative.dev"):
        return
    for known_group, kind in SERVED:
        if kind == manifest.kind and group in {each for each, _ in SERVED}:
            yield manifest, ("apiVersion",), f"{kind} belongs to {known_group}, was {manifest.api_version}"
            return
    kinds = [kind for known_group, kind in SERVED if known_group == group]
    near = suggestion(manifest.kind, kinds, likeness=0.85)
    if near:
        yield manifest, ("kind",), f"{group} has no kind {manifest.kind!r}{near}"
