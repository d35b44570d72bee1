"""`python -m tools.reference docs`: writes the API's descriptions, and a page for readers generated from them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from darkroom.contract.asyncapi import asyncapi
from darkroom.contract.openapi import openapi
from darkroom.contract.schemas import error_types

OPENAPI, ASYNCAPI, REFERENCE = "openapi.json", "asyncapi.json", "reference.md"


def documents() -> dict[str, str]:
    """Return the text of each file of the folder, by name."""
    api, events = openapi(), asyncapi()
    return {OPENAPI: _json(api), ASYNCAPI: _json(events), REFERENCE: "\n".join(_page(api, events)) + "\n"}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _page(api: dict[str, Any], events: dict[str, Any]) -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield f"Generated from [{OPENAPI}]({OPENAPI}) and [{ASYNCAPI}]({ASYNCAPI}) by `make reference`; do not edit."
    yield "`make gallery` renders pictures with each parameter into one page, `gallery/index.html`."
    yield ""
    yield "## HTTP"
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            yield from _operation(api, f"{method.upper()} {path}", operation)
    yield from _errors()
    yield from _schemas(api, {**api["components"]["schemas"], **events["components"]["schemas"]})
    yield from _events(events)


def _operation(api: dict[str, Any], name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"### `{name}`"
    yield ""
    yield f"{operation['summary']}."
    if "description" in operation:
        yield ""
        yield operation["description"]
    yield from _parameters(api, operation.get("parameters", []))
    if "requestBody" in operation:
        yield ""
        bodies = (
            f"`{media_type}` ({_type(content['schema'])})"
            for media_type, content in operation["requestBody"]["content"].items()
        )
        yield f"Bodies: {', '.join(bodies)}."
    yield ""
    yield "| status | response |"
    yield "|---|---|"
    for status, answer in operation["responses"].items():
        yield f"| {status} | {_cell(answer['description'])} |"


def _parameters(api: dict[str, Any], parameters: list[dict[str, Any]]) -> Iterator[str]:
    if not parameters:
        return
    yield ""
    yield "| parameter | in | value | default | meaning |"
    yield "|---|---|---|---|---|"
    for parameter in parameters:
        schema = parameter["schema"]
        value, meaning = _value(api, schema), _cell(parameter.get("description", ""))
        yield f"| `{parameter['name']}` | {parameter['in']} | {value} | {_default(schema)} | {meaning} |"


def _errors() -> Iterator[str]:
    yield ""
    yield "## Errors"
    yield ""
    yield "Problem documents (RFC 9457), `application/problem+json`, identified by `code`, as are failed jobs."
    yield ""
    yield "| code | status | meaning |"
    yield "|---|---|---|"
    for kind in error_types():
        yield f"| `{kind.code}` | {kind.status} | {kind.title} |"


def _schemas(api: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Schemas"
    for name, schema in schemas.items():
        yield ""
        yield f"### {name}"
        yield ""
        if "properties" not in schema:
            yield f"{_value(api, schema)}."
            continue
        yield "| field | value | required | default | meaning |"
        yield "|---|---|---|---|---|"
        for field, value in schema["properties"].items():
            required = "yes" if field in schema.get("required", []) else ""
            meaning = _cell(value.get("description", ""))
            yield f"| `{field}` | {_value(api, value)} | {required} | {_default(value)} | {meaning} |"


def _events(events: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Events"
    yield ""
    yield events["info"]["description"]
    yield ""
    yield "| type | sent | data |"
    yield "|---|---|---|"
    for message in events["components"]["messages"].values():
        yield f"| `{message['name']}` | {message['summary']} | {_type(message['payload'])} |"


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _value(api: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the allowed values in a few words."""
    if "$ref" in schema:
        named = api["components"]["schemas"][_name(schema)]
        return _value(api, named) if "enum" in named else _type(schema)
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        return " or ".join(_value(api, branch) for branch in branches)
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_value(api, schema['items'])}"
    return _type(schema) + _bounds(schema)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    kind = schema.get("type", "anything")
    kind = " or ".join(kind) if isinstance(kind, list) else kind
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low:,} to {high:,}"
    if low is not None:
        return f" from {low:,}"
    return f" matching `{_cell(schema['pattern'])}`" if "pattern" in schema else ""


def _cell(text: str) -> str:
    return "".join(_shown(character) for character in text).replace("|", "\\|")


def _shown(character: str) -> str:
    """Escape a character. Patterns contain control characters and non-characters, which would make the page a binary
    file.
    """
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
