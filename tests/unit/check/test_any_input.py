"""Whatever is in a file, each file gets a verdict, none of them a traceback, and the other files are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.check import check, check_texts, inspect
from darkroom.manifests import ManifestError, load
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.source import MAX_DEPTH, MAX_FILE_BYTES, ReadError, read_text, scan
from tests.unit.manifests.test_manifests import PIPELINE

GOOD = RULES["manifest-head"].good
BAD = RULES["delivery-duration"].bad

# --- input that breaks readers ---------------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + index)}: &{chr(98 + index)} [{', '.join(['*' + chr(97 + index)] * 9)}]\n" for index in range(9)
)
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
BROKEN = {
    "a date that is none": f"{HEAD}x: 2020-13-45\n",
    "deep brackets": f"{HEAD}x: {'[' * 20_000}",
    "deep and closed": f"{HEAD}x: {'[' * 2_000}{']' * 2_000}",
    "deep blocks": HEAD + "".join(f"{' ' * depth}a:\n" for depth in range(2_000)),
    "deep mappings": f"{HEAD}x: {'{a: ' * 5_000}",
    "an alias bomb": HEAD + BOMB,
    "an alias in itself": f"{HEAD}x: &x [*x]\n",
    "an alias of nothing": f"{HEAD}x: *y\n",
    "merge keys of themselves": f"{HEAD}x: &x\n  <<: *x\n",
    "a NUL": f"{HEAD}x: \0\n",
    "a control character": f"{HEAD}x: \x07\n",
    "duplicate keys": f"{HEAD}data: {{a: b}}\ndata: {{c: d}}\n",
    "a mapping as a key": f"{HEAD}? {{a: b}}\n: c\n",
    "a list as a key": f"{HEAD}? [a]\n: c\n",
    "a tag of its own": f"{HEAD}x: !Ref y\n",
    "a tag of Python": f"{HEAD}x: !!python/object:os.system {{}}\n",
    "tabs": f"{HEAD}x:\n\ty: z\n",
    "an open quote": f"{HEAD}x: 'y\n",
    "a lone surrogate": f'{HEAD}x: "\\ud800"\n',
    "a number without end": f"{HEAD}x: {'9' * 100_000}\n",
    "bytes": "\x80\x81",
    "nothing but marks": "---\n...\n---\n...\n%",
}
HARMLESS = {"a date that is none", "a number without end"}
"""What looks broken and is not: these may have findings as manifests, or none."""


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_reader_is_one_finding_and_the_other_files_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN[name], "utf-8")
    (tmp_path / "b.yaml").write_text(BAD)
    found = [each for each in check([tmp_path]) if each.file.name == "a.yaml" and each.rule == "not-yaml"]
    assert len(found) == (0 if name in HARMLESS else 1)
    assert "delivery-duration" in {each.rule for each in check([tmp_path]) if each.file.name == "b.yaml"}


@pytest.mark.parametrize("name", sorted(set(BROKEN) - HARMLESS))
def test_the_loader_reports_what_breaks_a_reader_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN[name], "utf-8")
    with pytest.raises(ManifestError):
        load([tmp_path])


ENCODED: dict[str, Callable[[str], bytes]] = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Latin-1": lambda text: (text + "# é\n").encode("latin-1"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_another_encoding_is_one_finding_that_says_utf_8(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_bytes(ENCODED[name](GOOD))
    (finding,) = check([tmp_path])
    assert finding.rule == "not-yaml"
    assert "UTF-8" in finding.message


def test_a_byte_order_mark_of_utf_8_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert check([tmp_path]) == []


def test_a_file_that_is_too_large_is_one_finding(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    (finding,) = check([tmp_path])
    assert f"more than {MAX_FILE_BYTES // 2**20} MiB" in finding.message


def test_what_cannot_be_opened_is_one_finding_and_the_other_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "nowhere.yaml").symlink_to("missing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.yaml" / "b.yaml").write_text(BAD)
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    found = check([tmp_path])
    assert [each.file.name for each in found if each.rule == "not-yaml"] == ["loop.yaml", "nowhere.yaml"]
    assert {each.file.name for each in found if each.rule == "delivery-duration"} == {"b.yaml"}


def test_a_file_that_two_paths_lead_to_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert len(inspect([tmp_path, tmp_path / "a.yaml", tmp_path / "." / "b.yaml"]).files) == 1
    assert check([tmp_path, tmp_path / "a.yaml"]) == []


def test_the_documents_before_an_error_of_syntax_are_checked() -> None:
    found = check_texts([(Path("a.yaml"), f"{BAD}---\na: [\n")])
    assert {"delivery-duration", "not-yaml"} <= {each.rule for each in found}


def test_a_name_that_is_no_file_is_reported_and_not_raised(tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        read_text(tmp_path / "\0.yaml")


def test_scalars_are_what_kubernetes_reads() -> None:
    text = "a: 2020-01-01\nb: 1:30\nc: 010\nd: 1e3\ne: 3.0\nf: on\ng: 0x1f\nh: 1_000\ni: '1'\nj: ~\n1: k\ntrue: l\n"
    (document,) = scan(text, Path("a.yaml")).documents
    expected = {"a": "2020-01-01", "b": "1:30", "c": 8, "d": 1000, "e": 3, "f": True, "g": 31, "h": 1000, "i": "1"}
    assert document.data == {**expected, "j": None, "1": "k", "true": "l"}
    assert document.line(("true",)) == 12


def test_nesting_up_to_the_limit_is_read() -> None:
    assert not scan("[" * MAX_DEPTH + "]" * MAX_DEPTH, Path("a.yaml")).problems


# --- random input ----------------------------------------------------------------------------------------------------

DOCUMENTS = [each for each in yaml.safe_load_all(PIPELINE) if each] + [
    each for rule in RULES.values() for each in yaml.safe_load_all(rule.good) if isinstance(each, dict)
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["{{ .a }}", "1 day", "PT0S"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: replaced(each, rest, new) if key == step else each for key, each in value.items()}
    return [replaced(each, rest, new) if index == step else each for index, each in enumerate(value)]


@st.composite
def changed_manifests(draw: st.DrawFn) -> str:
    """Manifests of every kind that the rules know, in each of which a value is replaced by another."""
    documents = draw(st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=4))
    changed = [replaced(each, draw(st.sampled_from(places(each))), draw(VALUES)) for each in documents]
    text: str = yaml.safe_dump_all(changed, allow_unicode=True)
    return text


def assert_a_verdict(tmp: Path, content: bytes) -> None:
    file = tmp / "a.yaml"
    file.write_bytes(content)
    for finding in check([file]):
        assert finding.file == file
        assert finding.line >= 1
    with contextlib.suppress(ManifestError):
        load([file])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=60, deadline=None)
@given(text=changed_manifests())
def test_a_manifest_with_any_value_anywhere_gets_a_verdict(folder: Path, text: str) -> None:
    assert_a_verdict(folder, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_file_gets_a_verdict(folder: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from([PIPELINE, *(rule.bad[:3000] for rule in RULES.values())])).encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    assert_a_verdict(folder, content[:start] + data.draw(st.binary(max_size=12)) + content[end:])


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"%@#,? \n\t", max_size=80).map(str.encode))
def test_any_bytes_get_a_verdict(folder: Path, content: bytes) -> None:
    assert_a_verdict(folder, content)
