from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import ManifestError
from darkroom.manifests.dotenv import read_dotenv


def read(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / ".env"
    file.write_text(text)
    return read_dotenv(file)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("export A=plain", "plain"),
        ("  A = spaced  ", "spaced"),
        ("A=", ""),
        ("A=x=y", "x=y"),
        ("A=p#ss", "p#ss"),
        ("A=pass # a comment", "pass"),
        ("A= # a comment", ""),
        ("A=$HOME", "$HOME"),
        ("A='it is $5 # \\n'", "it is $5 # \\n"),
        ('A="two words" # a comment', "two words"),
        ('A="a\\nb\\t\\"c\\""', 'a\nb\t"c"'),
        ('A="-----BEGIN\nkey\n-----END"', "-----BEGIN\nkey\n-----END"),
        ("A=with space", "with space"),
    ],
)
def test_a_value_is_read_as_docker_compose_reads_it(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# first\n\n{line}\nB=2\n") == {"A": value, "B": "2"}


def test_the_last_line_of_a_name_wins_and_a_byte_order_mark_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffA=1\r\nA=2\r\n") == {"A": "2"}


def test_every_mistake_is_told_with_its_line_and_without_the_secret(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as refused:
        read(tmp_path, "A=1\nhunter2\nB='hunter2\nC=\"hunter2\n2D=hunter2\n")
    told = str(refused.value)
    assert ":2: must be NAME=value" in told
    assert ":3: the quotes of B do not end" in told
    assert ":4: the quotes of C do not end" in told
    assert ":5: must be NAME=value" in told
    assert "hunter2" not in told


def test_a_file_that_is_no_text_is_one_finding(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_dotenv(file)
