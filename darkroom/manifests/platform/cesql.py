"""Checks the syntax of CloudEvents SQL expressions, as the webhook of Knative Eventing does.

The grammar is that of the specification "CloudEvents SQL Expression Language" 1.0. Only syntax is checked: whether a
function exists and what an expression evaluates to is only known when an event arrives. As in Knative's own parser, a
character that starts no token is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_DEPTH = 200
"""Maximum nesting of brackets and prefix operators: far more than any filter needs, far below Python's recursion
limit."""
_INT32 = 2**31 - 1
_TOKENS = {
    "space": re.compile(r"[ \t\r\n]+"),
    "string": re.compile(r""" "(?:\\.|""|[^"\\])*" | '(?:\\.|''|[^'\\])*' """, re.VERBOSE | re.DOTALL),
    "integer": re.compile(r"[+-]?[0-9]+"),
    "word": re.compile(r"[A-Za-z0-9]+"),
    "function": re.compile(r"[A-Za-z][A-Za-z_]*"),
    "operator": re.compile(r"!=|<>|<=|>=|[-+*/%=<>(),]"),
    "quote": re.compile(r"[\"']"),
}
"""The longest match wins; of two equally long matches, the first one listed here."""
_KEYWORDS = {"AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"}
_BINARY = {"*", "/", "%", "+", "-", "=", "!=", "<>", ">=", "<=", "<", ">", "AND", "OR", "XOR"}


class CesqlError(ValueError):
    """A syntax error; the message says what was expected, what was found, and at which column."""


@dataclass(frozen=True)
class Token:
    kind: str
    """A key of `_TOKENS`, `keyword` or `end`. A `function` is a name with an underscore; attributes have none."""
    text: str
    column: int
    """From 1."""

    @property
    def symbol(self) -> str:
        """An operator or a keyword in capitals; empty for everything else."""
        return self.text.upper() if self.kind in {"operator", "keyword"} else ""


def check_syntax(text: str) -> None:
    """Raise CesqlError unless the text is exactly one complete expression."""
    parser = _Parser(_tokens(text))
    parser.expression()
    if parser.next.kind != "end":
        raise parser.unexpected("an operator or the end")


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(text):
        kind, word = _longest(text, position)
        if kind == "word" and word.upper() in _KEYWORDS:
            kind = "keyword"
        if kind not in {"space", "nothing"}:
            found.append(Token(kind, word, position + 1))
        position += len(word)
    return [*found, Token("end", "", len(text) + 1)]


def _longest(text: str, position: int) -> tuple[str, str]:
    matches = [(kind, match.group()) for kind, each in _TOKENS.items() if (match := each.match(text, position))]
    return max(matches, key=lambda match: len(match[1]), default=("nothing", text[position]))


class _Parser:
    """A recursive-descent parser. It has no operator precedence, because that does not affect whether a text is
    valid."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def unexpected(self, wanted: str) -> CesqlError:
        found = repr(self.next.text) if self.next.kind != "end" else "the end"
        return CesqlError(f"expected {wanted} at column {self.next.column}, found {found}")

    def expression(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CesqlError(f"nested more than {MAX_DEPTH} deep")
        self._operand()
        while self._suffix():
            pass
        self._depth -= 1

    def _suffix(self) -> bool:
        """Read a binary operator with its right side, LIKE or IN. Returns whether there was one."""
        negated = self._take("NOT")
        if self._take("LIKE"):
            self._take_kind("string", "a quoted pattern")
        elif self._take("IN"):
            self._list(empty=False)
        elif negated:
            raise self.unexpected("LIKE or IN after NOT")
        elif self.next.symbol in _BINARY:
            self._at += 1
            self._operand()
        else:
            return False
        return True

    def _operand(self) -> None:
        while self._take("NOT") or self._take("-"):
            pass
        if self._take("EXISTS"):
            self._attribute()
        elif self._take("("):
            self.expression()
            self._expect(")")
        elif self.next.symbol in {"TRUE", "FALSE"} or self.next.kind == "string":
            self._at += 1
        elif self.next.kind == "integer":
            self._integer()
        else:
            self._attribute_or_call()

    def _attribute_or_call(self) -> None:
        # A function's name has no digits.
        may_be_called = self.next.kind in {"word", "function"} and not any(map(str.isdigit, self.next.text))
        if may_be_called and self._tokens[self._at + 1].symbol == "(":
            self._at += 1
            self._list(empty=True)
        else:
            self._attribute()

    def _attribute(self) -> None:
        self._take_kind("word", "an attribute, a value or a function")

    def _integer(self) -> None:
        if not -_INT32 - 1 <= int(self.next.text) <= _INT32:
            raise CesqlError(f"the number {self.next.text} at column {self.next.column} has more than 32 bits")
        self._at += 1

    def _list(self, *, empty: bool) -> None:
        self._expect("(")
        if empty and self._take(")"):
            return
        self.expression()
        while self._take(","):
            self.expression()
        self._expect(")")

    def _take(self, symbol: str) -> bool:
        if self.next.symbol != symbol:
            return False
        self._at += 1
        return True

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self.unexpected(repr(symbol))

    def _take_kind(self, kind: str, wanted: str) -> None:
        if self.next.kind != kind:
            raise self.unexpected(wanted)
        self._at += 1
