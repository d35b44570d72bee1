"""`python -m tools.kinds_table docs/any-project.md`: writes what becomes of each kind and field into their page.

The fields are those of the API, from the tables of the linter, and those of the models, which say what runs.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darkroom.manifests.ignored_kinds import CLUSTER_ONLY, UNNEEDED
from darkroom.manifests.load import KINDS
from darkroom.manifests.model import Resource, Strict, fields_of
from darkroom.manifests.parsing import model_in
from darkroom.manifests.platform.schema import SPECS
from darkroom.manifests.platform.schema.shape import List, Object, Recursive, Shape
from tools.marked_pages import with_generated

BEGIN = "<!-- the kinds and fields: made by `make reference`; do not edit -->"
END = "<!-- end of the kinds and fields -->"
RUNS, CHECKED, IGNORED, LEFT_OUT, REFUSED = "runs", "checked", "ignored", "leaves it out", "refused"
_BY_A_CLUSTER = ("Serving refuses", "Serving sets", "a cluster refuses", "a cluster ignores")
_HEAD = ("apiVersion", "kind", "metadata", "status")


def with_kinds(page: str) -> str:
    """Return the page with the tables between the two marks regenerated. Raises ValueError when they are missing."""
    return with_generated(page, BEGIN, END, _lines())


def _lines() -> Iterator[str]:
    for model, versions in _versions().items():
        kind = next(kind for (_, kind), each in KINDS.items() if each is model)
        yield f"### {kind} (`{'`, `'.join(versions)}`)"
        yield ""
        rows = [*_rows(model, SPECS.get((versions[0], kind)))]
        if rows:
            yield "| field | here | |"
            yield "|---|---|---|"
            yield from (f"| `{path}` | {fate} | {reason} |" for path, fate, reason in rows)
        else:
            yield "Accepted; nothing runs by it."
        yield ""
    yield "### Kinds that are left out"
    yield ""
    yield "Any kind that is neither above nor below is left out too."
    yield ""
    yield "| kind | API group | why | `--strict` |"
    yield "|---|---|---|---|"
    for (group, kind), reason in sorted(CLUSTER_ONLY.items(), key=lambda each: each[0][1]):
        if not any(known == kind and version.rpartition("/")[0] == group for version, known in KINDS):
            strict = "accepts it" if (group, kind) in UNNEEDED else "refuses it"
            yield f"| {kind} | {group or 'core'} | {reason} | {strict} |"
    yield ""


def _versions() -> Mapping[type[Resource], list[str]]:
    found: dict[type[Resource], list[str]] = {}
    for (version, _), model in KINDS.items():
        found.setdefault(model, []).append(version)
    return found


Row = tuple[str, str, str]


def _rows(model: type[Resource], spec: Shape | None) -> Iterator[Row]:
    shapes = {"spec": spec} if spec is not None else {}
    yield from _fields(model, shapes, "", (), without=_HEAD)


def _fields(
    model: type[Strict], shapes: Mapping[str, Shape], above: str, seen: tuple[type[Strict], ...], without: Any = ()
) -> Iterator[Row]:
    """Yield a row for each field of a model and of the API, the fields of fields included."""
    modelled = fields_of(model)
    for name in sorted({*modelled, *shapes, *model.refused, *model.ignored} - {*without}):
        path = f"{above}{name}"
        fate, reason = _fate(model, name, modelled)
        inner, many = _inner(modelled.get(name))
        if fate == RUNS and inner is not None and inner not in seen:
            below = f"{path}{'[]' if many else ''}."
            yield from _fields(inner, _below(shapes.get(name)), below, (*seen, model, inner))
        else:
            yield path, fate, reason


def _fate(model: type[Strict], name: str, modelled: Mapping[str, Any]) -> tuple[str, str]:
    if name in model.checked:
        return CHECKED, "as a cluster checks it; it has no effect here"
    if name in modelled:
        return RUNS, ""
    if name in model.ignored:
        return IGNORED, model.ignored[name]
    if name in model.refused:
        reason = model.refused[name]
        return (REFUSED if reason.startswith(_BY_A_CLUSTER) else LEFT_OUT), reason
    return IGNORED, "the cluster's controllers set it" if name in model.silent else ""


def _inner(annotation: Any) -> tuple[type[Strict] | None, bool]:
    """Return the model in a field's type, and whether it is in a list."""
    if (found := model_in(annotation)) is not None:
        return found, False
    for each in typing.get_args(annotation):
        inner, _ = _inner(each)
        if inner is not None:
            return inner, True
    return None, False


def _below(shape: Shape | None) -> Mapping[str, Shape]:
    while isinstance(shape, List | Recursive):
        shape = shape.of if isinstance(shape, List) else shape.shape
    if isinstance(shape, Object):
        return shape.fields
    return {}


def main() -> None:
    page = Path(sys.argv[1])
    page.write_text(with_kinds(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
