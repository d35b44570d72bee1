from __future__ import annotations

import pytest

from darkroom.console.rendering import with_code


@pytest.mark.parametrize(
    ("sentence", "html"),
    [
        ("Run `darkroom deadletters list`.", "Run <code>darkroom deadletters list</code>."),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("<b> & `<i>`", "&lt;b&gt; &amp; <code>&lt;i&gt;</code>"),
        ("an open ` alone", "an open ` alone"),
        ("nothing", "nothing"),
    ],
)
def test_what_stands_between_backticks_is_code(sentence: str, html: str) -> None:
    assert str(with_code(sentence)) == html
