"""What a manifest is and how it is called: its head, and that no two are the same object."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

_BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: pictures}
"""
_OTHER = _BROKER.replace("pictures", "letters")


@rule(
    "manifest-head",
    Severity.ERROR,
    "a manifest has no apiVersion or no kind",
    on_the_cluster="kubectl cannot tell what it is, and refuses the file.",
    fix="Set both at the top of the document, as strings.",
    bad=_BROKER.replace("apiVersion:", "apiversion:"),
    good=_BROKER,
)
def head(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest in bundle.manifests:
        for name in ("apiVersion", "kind"):
            value = manifest.get(name)
            if value is None:
                near = suggestion(name, [str(key) for key in manifest.data])
                instead = near.replace("did you mean", "it has") if near else ""
                yield manifest, (), f"the manifest has no {name}{instead.replace('?', '')}"
            elif not isinstance(value, str):
                yield manifest, (name,), f"{name} must be a string, was {value!r}"


@rule(
    "duplicate",
    Severity.ERROR,
    "two manifests are the same object",
    on_the_cluster="The one that is applied last overwrites the other. In different folders it is a hint: overlays and "
    "examples repeat names, and only one of the folders may be applied.",
    fix="Remove one, or give it another name or namespace.",
    bad=f"{_BROKER}---\n{_BROKER}",
    good=f"{_BROKER}---\n{_OTHER}",
)
def duplicate(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, earlier in _duplicates(bundle):
        place = f"{earlier.document.file}:{earlier.line(())}"
        message = f"{manifest.kind} {manifest.name!r} of the namespace {manifest.namespace!r} is there twice"
        if manifest.document.file.parent == earlier.document.file.parent:
            yield manifest, ("metadata", "name"), f"{message}, first at {place}"
        else:
            # Overlays and examples repeat names, and only one folder of them is applied to a cluster.
            message += f", in another folder at {place}; right if only one of the folders is applied"
            yield manifest, ("metadata", "name"), message, Severity.HINT


def _duplicates(bundle: Bundle) -> Iterator[tuple[Manifest, Manifest]]:
    """Each manifest that is the same object as an earlier one, with that one."""
    first: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in bundle.manifests:
        name = manifest.get("metadata", "name")
        if not isinstance(name, str) or not name or not isinstance(manifest.get("kind"), str):
            continue
        # Two versions of one group are the same object.
        group = manifest.api_version.rpartition("/")[0]
        earlier = first.setdefault((group, manifest.kind, manifest.namespace, name), manifest)
        if earlier is not manifest:
            yield manifest, earlier
