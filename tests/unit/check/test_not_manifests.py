"""What is no manifest is said once per file and skipped; what is meant to be one is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import Finding, Severity, check, inspect

BROKER = "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: pictures}\n"
OTHERS = {
    "mkdocs.yml": (
        "site_name: a\nmarkdown_extensions:\n  - emoji:\n      gen: !!python/name:material.emoji\n",
        "MkDocs",
    ),
    "values.yaml": ("image: {tag: a}\n", "Helm"),
    "values-production.yaml": ("replicas: 3\n", "Helm"),
    "Chart.yaml": ("apiVersion: v2\nname: a\nversion: 1.0.0\n", "Helm"),
    "docker-compose.yml": ("services: {a: {image: b}}\n", "Compose"),
    "compose.yaml": ("services: {a: {image: b}}\n", "Compose"),
    "ci.yml": ("on: push\njobs: {a: {steps: []}}\n", "GitHub"),
    "openapi.yaml": ("openapi: 3.1.0\npaths: {}\n", "OpenAPI"),
    "stack.yaml": ("Resources: {A: {Type: B, Properties: {C: !Ref D}}}\n", "CloudFormation"),
    "package.json": ('{"name": "a", "scripts": {}}\n', "JSON"),
    "tabs.json": ('{\n\t"name": "a"\n}\n', "JSON"),
    "list.yaml": ("- a\n- b\n", "without apiVersion and kind"),
    "text.yaml": ("just a text\n", "without apiVersion and kind"),
    "twice.yaml": ("a: 1\na: 2\n", "without apiVersion and kind"),
    "helm.yaml": (f"{{{{- if .Values.on }}}}\n{BROKER}{{{{- end }}}}\n", "template"),
    "go.yaml": (BROKER.replace("pictures", "{{ .Name }}"), "template"),
    "quoted.yaml": (BROKER.replace("pictures", '"{{ .Name }}"'), "template"),
    "jinja.yaml": (f"{{% for a in b %}}\n{BROKER}{{% endfor %}}\n", "template"),
    "envsubst.yaml": (BROKER.replace("pictures", "${NAME}"), "template"),
    "image.yaml": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - name: a\n      image: ${IMAGE}\n",
        "template",
    ),
    "several.yaml": ("a: 1\n---\nb: 2\n---\n- c\n", "without apiVersion and kind"),
}


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_manifest_is_one_hint_that_says_what_it_is(tmp_path: Path, name: str) -> None:
    text, what = OTHERS[name]
    (finding,) = check([written(tmp_path, name, text)])
    assert (finding.rule, finding.severity) == ("not-a-manifest", Severity.HINT)
    assert what in finding.message


def test_a_workflow_is_known_by_its_folder(tmp_path: Path) -> None:
    written(tmp_path, ".github/workflows/a.yaml", "name: a\n")
    (finding,) = check([tmp_path])
    assert "a workflow of GitHub" in finding.message


def test_the_templates_of_a_chart_are_skipped_one_by_one(tmp_path: Path) -> None:
    written(tmp_path, "Chart.yaml", "apiVersion: v2\nname: a\n")
    written(tmp_path, "templates/plain.yaml", BROKER + "spec: {delivery: {retry: -1}}\n")
    assert {each.rule for each in check([tmp_path])} == {"not-a-manifest"}


def test_other_files_in_the_folder_are_checked(tmp_path: Path) -> None:
    for name, (text, _) in OTHERS.items():
        written(tmp_path, f"others/{name}", text)
    written(tmp_path, "broker.yaml", BROKER + "spec: {delivery: {retry: -1}}\n")
    assert [each.rule for each in check([tmp_path]) if each.severity is Severity.ERROR] == ["delivery-value"]


def test_what_stands_between_manifests_is_said_once(tmp_path: Path) -> None:
    file = written(tmp_path, "a.yaml", f"a: 1\n---\n{BROKER}---\nb: 2\n")
    (finding,) = check([file])
    assert "2 documents" in finding.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BROKER.replace("apiVersion: eventing.knative.dev/v1\n", ""), "no apiVersion"),
        (BROKER.replace("kind: Broker\n", "spec: {}\n"), "no kind"),
        (BROKER.replace("apiVersion", "apiversion"), 'no apiVersion; it has "apiversion"'),
        (BROKER.replace("kind: Broker", "kind: 3"), "kind must be a string"),
    ],
)
def test_a_manifest_that_lacks_its_head_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    found = check([written(tmp_path, "a.yaml", text)])
    assert any(message in each.message for each in found if each.severity is Severity.ERROR)


def test_mustaches_in_the_data_of_a_config_map_are_no_template(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {domain-template: '{{.Name}}.{{.Domain}}'}\n"
    assert check([written(tmp_path, "a.yaml", text)]) == []


# --- kustomizations --------------------------------------------------------------------------------------------------


def test_a_kustomization_and_its_parts_are_left_to_kustomize(tmp_path: Path) -> None:
    written(
        tmp_path,
        "kustomization.yaml",
        "resources: [broker.yaml]\npatches: [{path: patch.yaml}]\nconfigMapGenerator: [{name: a, files: [b=c.yaml]}]\n",
    )
    written(tmp_path, "broker.yaml", BROKER)
    # A patch alone would be a Service without containers, and the same object twice.
    written(tmp_path, "patch.yaml", BROKER + "spec: {delivery: {retry: -1}}\n")
    written(tmp_path, "c.yaml", "a: b\n")
    inspection = inspect([tmp_path])
    assert inspection.findings == []
    assert [each.name for each in inspection.kustomizations] == ["c.yaml", "kustomization.yaml", "patch.yaml"]


def test_a_damaged_kustomization_hides_nothing(tmp_path: Path) -> None:
    written(tmp_path, "kustomization.yaml", "patches: [\n")
    written(tmp_path, "patch.yaml", BROKER + "spec: {delivery: {retry: -1}}\n")
    assert "delivery-value" in {each.rule for each in check([tmp_path])}


# --- lists -----------------------------------------------------------------------------------------------------------

TRIGGER = """\
    metadata: {name: resize}
    spec:
      broker: pictures
      retries: 3
"""


@pytest.mark.parametrize(
    ("head", "item"),
    [
        ("apiVersion: v1\nkind: List\n", "  - apiVersion: eventing.knative.dev/v1\n    kind: Trigger\n"),
        ("apiVersion: eventing.knative.dev/v1\nkind: TriggerList\nmetadata: {resourceVersion: ''}\n", "  -\n"),
    ],
)
def test_the_items_of_a_list_are_checked_on_their_own_lines(tmp_path: Path, head: str, item: str) -> None:
    text = f"{head}items:\n{item}{TRIGGER}"
    (finding,) = (each for each in check([written(tmp_path, "a.yaml", text)]) if each.rule == "unknown-field")
    assert "retries" in text.splitlines()[finding.line - 1]


def test_lists_in_lists_are_unpacked(tmp_path: Path) -> None:
    inner = f"{{kind: List, apiVersion: v1, items: [{_flow(BROKER)}, {_flow(BROKER)}]}}"
    text = f"kind: List\napiVersion: v1\nitems: [{inner}]\n"
    assert "duplicate" in {each.rule for each in check([written(tmp_path, "a.yaml", text)])}


def _flow(text: str) -> str:
    return "{" + ", ".join(text.strip().splitlines()) + "}"


# --- the same object twice -------------------------------------------------------------------------------------------


def duplicates(folder: Path) -> list[Finding]:
    return [each for each in check([folder]) if each.rule == "duplicate"]


def test_the_same_object_in_two_files_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", BROKER)
    written(tmp_path, "b.yaml", BROKER)
    (finding,) = duplicates(tmp_path)
    assert (finding.file.name, finding.severity) == ("b.yaml", Severity.ERROR)
    assert "a.yaml:1" in finding.message


def test_the_same_object_in_two_folders_is_a_hint(tmp_path: Path) -> None:
    written(tmp_path, "a/broker.yaml", BROKER)
    written(tmp_path, "b/broker.yaml", BROKER)
    assert [each.severity for each in duplicates(tmp_path)] == [Severity.HINT]


def test_the_same_name_in_another_namespace_or_kind_is_another_object(tmp_path: Path) -> None:
    other = BROKER.replace("name: pictures", "name: pictures, namespace: other")
    written(tmp_path, "a.yaml", f"{BROKER}---\n{other}---\n{BROKER.replace('kind: Broker', 'kind: EventPolicy')}")
    assert duplicates(tmp_path) == []
