"""CloudEvents SQL: what the specification's grammar takes and what it does not."""

from __future__ import annotations

import pytest

from darkroom.manifests.platform.cesql import MAX_DEPTH, CesqlError, check_syntax


@pytest.mark.parametrize(
    "text",
    [
        "type = 'a'",
        'type = "a"',
        "TRUE",
        "not true",
        "a LIKE 'x%' AND b NOT LIKE 'y_'",
        "a IN ('x', 'y') OR b NOT IN (1, 2)",
        "EXISTS subject xor a1 <> 2",
        "(a + 1) * -3 % 2 <= 10",
        "a - 5 = 1",
        "LENGTH(subject) > 3",
        "MY_FUNCTION()",
        "CONCAT('a', LEFT(type, 2)) = 'ab'",
        "'it''s' = \"say \\\"no\\\"\"",
        "1x = 'y'",
        "-2147483648 = 2147483647",
        # A character that starts no token is skipped, as in Knative's own parser.
        "type = 'a';",
        "NOT NOT TRUE",
    ],
)
def test_an_expression_is_taken(text: str) -> None:
    check_syntax(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("type = ", "column 8, found the end"),
        (" ", "found the end"),
        ("type == 'a'", "column 7, found '='"),
        ("type = 'a", 'found "\'"'),
        ("a = 'b' c = 'd'", "expected an operator or the end at column 9"),
        ("a = 'b' && c = 'd'", "column 12"),
        ("a LIKE b", "a quoted pattern"),
        ("a NOT = 'b'", "LIKE or IN after NOT"),
        ("a IN ()", "column 7"),
        ("a IN 'x'", "'('"),
        ("EXISTS 'a'", "an attribute"),
        ("my_attribute = 'a'", "an attribute"),
        ("F1('a')", "an operator or the end"),
        ("(a = 'b'", "')'"),
        # A sign right before a number belongs to the number.
        ("a -5 = 1", "column 3, found '-5'"),
        ("2147483648 = a", "more than 32 bits"),
        ("(" * (MAX_DEPTH + 1), "nested more than"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, part: str) -> None:
    with pytest.raises(CesqlError) as error:
        check_syntax(text)
    assert part in str(error.value)
