"""Encodes an answer for a connection whose request could not be parsed, or was given up."""

from __future__ import annotations

from http import HTTPStatus

from darkroom.problems import Problem


def raw_answer(document: Problem) -> bytes:
    fields = {**document.headers, "content-length": str(len(document.body)), "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    status = HTTPStatus(document.status)
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + document.body
