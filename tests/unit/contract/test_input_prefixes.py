from __future__ import annotations

import pytest

from darkroom.contract.errors import InputNotFoundError
from darkroom.contract.input_prefixes import parse_input_prefixes
from darkroom.errors import SettingsError
from darkroom.serving.settings import Settings
from functions.ingest.uploads import check_key


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [("", ()), ("off", ()), ("library/", ("library/",)), ("a/b/, c.d/", ("a/b/", "c.d/"))],
)
def test_prefixes_are_off_by_default_and_separated_by_commas(text: str, prefixes: tuple[str, ...]) -> None:
    assert parse_input_prefixes(text) == prefixes


@pytest.mark.parametrize("text", ["library", "/", "/library/", "a//b/", "../", "library/,", "a/" * 300, "li*/"])
def test_a_prefix_that_is_no_folder_of_plain_segments_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be prefixes such as library/"):
        parse_input_prefixes(text)


@pytest.mark.parametrize("text", ["uploads/", "uploads/mine/", "processed/"])
def test_what_belongs_to_a_key_cannot_be_opened_to_all(text: str) -> None:
    with pytest.raises(SettingsError, match="INPUT_PREFIXES: cannot open"):
        Settings.load(needs=frozenset(), environment={"INPUT_PREFIXES": text})


def test_a_key_uses_the_pictures_under_an_open_prefix_and_no_others() -> None:
    opened = Settings.load(needs=frozenset(), environment={"INPUT_PREFIXES": "library/"}).input_prefixes
    check_key("library/a/b.png", "mine", opened)
    check_key("uploads/mine/a", "mine", opened)
    for other in ("libraryx/a.png", "uploads/others/a", "processed/a.png"):
        with pytest.raises(InputNotFoundError):
            check_key(other, "mine", opened)
    with pytest.raises(InputNotFoundError):
        check_key("library/a/b.png", "mine", Settings.load(needs=frozenset(), environment={}).input_prefixes)
