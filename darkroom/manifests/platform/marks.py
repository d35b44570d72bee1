"""Labels and annotations that Knative and Kubernetes read, so that a misspelt one has no effect, and nobody says so.

Names of other owners are theirs alone. A name that resembles none of these is left alone too: controllers set many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from darkroom.manifests.errors import suggestion

VISIBILITY = "networking.knative.dev/visibility"
_LIKENESS = 0.8
_DOMAINS = ("knative.dev", "pod-security.kubernetes.io", "app.kubernetes.io")
_LABELS = frozenset(
    {
        VISIBILITY,
        "bindings.knative.dev/include",
        "bindings.knative.dev/exclude",
        *(
            f"pod-security.kubernetes.io/{mode}{suffix}"
            for mode in ("enforce", "audit", "warn")
            for suffix in ("", "-version")
        ),
        *(
            f"app.kubernetes.io/{name}"
            for name in ("name", "component", "part-of", "instance", "version", "managed-by", "created-by")
        ),
    }
)


def misspelt(name: str, known: Iterable[str]) -> str:
    """The suggestion for a name in the domain of a known one that resembles it; empty if there is none."""
    domain, slash, local = name.partition("/")
    if not slash or not domain.endswith(_DOMAINS):
        return ""
    same_domain = [each for each in known if each.startswith(f"{domain}/")]
    # Today's spelling before the older one with capitals.
    for spelling in ([each for each in same_domain if each == each.lower()], same_domain):
        near = suggestion(local, [each.partition("/")[2] for each in spelling], likeness=_LIKENESS)
        if near:
            return near.replace('mean "', f'mean "{domain}/')
    return ""


def label_problems(labels: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """The misspelt labels and the wrong values of known ones, each with what is wrong."""
    for name, value in labels.items():
        if not isinstance(name, str):
            continue
        near = misspelt(name, _LABELS) if name not in _LABELS else ""
        if near:
            yield name, f"unknown label{near}"
        elif name == VISIBILITY and isinstance(value, str) and value != "cluster-local":
            yield name, f'must be "cluster-local" or not be there, was {value!r}'
