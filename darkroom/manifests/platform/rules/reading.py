"""What cannot be read, or is no manifest.

The reader of files reports these. They are rules so that they have a name, an explanation and a place in reports.
"""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

NOT_YAML = "not-yaml"
NOT_A_MANIFEST = "not-a-manifest"
UNKNOWN_IGNORE = "unknown-ignore"
_GOOD = """\
apiVersion: v1
kind: Namespace
metadata: {name: pictures}
"""


@rule(
    NOT_YAML,
    Severity.ERROR,
    "a file cannot be read, or is not the YAML that Kubernetes takes",
    on_the_cluster="kubectl refuses the file.",
    fix="Follow the message. Files are UTF-8, with unique keys and without tags such as !Ref.",
    bad=_GOOD + "spec: [\n",
    good=_GOOD,
)
def not_yaml(_: Bundle) -> Iterator[RuleViolation]:
    return iter(())


@rule(
    NOT_A_MANIFEST,
    Severity.HINT,
    "a file holds no manifest, or one that is not rendered yet",
    on_the_cluster="It is not applied as it is, so nothing in it is checked.",
    fix="Name only the files that are applied. Render templates, charts and kustomizations first: "
    "`helm template . | darkroom check -`, `kubectl kustomize . | darkroom check -`.",
    bad="site_name: Pictures\ntheme: {name: material}\n",
    good=_GOOD,
)
def not_a_manifest(_: Bundle) -> Iterator[RuleViolation]:
    return iter(())


@rule(
    UNKNOWN_IGNORE,
    Severity.WARNING,
    "a comment ignores a rule that does not exist",
    on_the_cluster="Nothing. The comment has no effect, and what it meant to ignore is reported.",
    fix="Correct the rule's name; `darkroom check --rules` lists them.",
    bad=_GOOD + "# darkroom: ignore[not-yml]\n",
    good=_GOOD + "# darkroom: ignore[not-yaml]\n",
)
def unknown_ignore(_: Bundle) -> Iterator[RuleViolation]:
    return iter(())
