"""What is removed from text that clients send and libraries write."""

from __future__ import annotations

import pytest

from darkroom.contract.api_keys import make_key
from darkroom.redaction import redacted, redacted_value

SIGNED = "http://s3/b/k?X-Amz-Credential=canary%2F20260101&X-Amz-Date=1&X-Amz-Signature=canary1234"


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:canary@host:6379/0",
        "Error 111 connecting to redis://:canary@host",
        SIGNED,
        SIGNED.replace("=", "%3D"),
        "https://b.s3/k?AWSAccessKeyId=canary&Signature=canary&Expires=1",
        "Authorization: Bearer canarycanary",
        "Authorization: Basic Y2FuYXJ5canary",
        '{"password": "canary"}',
        "password=canary",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    assert "canary" in text
    assert "canary" not in redacted(text)


def test_a_key_is_hidden_wherever_it_stands_and_its_id_stays() -> None:
    key, stored = make_key("")
    for text in (key, f"/api/v1/jobs/{key}", f"?key={key}&a=b", f"x{key}", key[:-1]):
        assert key[17:40] not in redacted(text)
        assert stored.id in redacted(text)


@pytest.mark.parametrize(
    "text", ["", "nothing is stored under uploads/a/original", "http://127.0.0.1:8080/api/v1/jobs?limit=3&cursor=abc"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_values_are_hidden_by_their_names_too() -> None:
    assert redacted_value({"a": [{"password": "canary"}], "b": 1}) == {"a": [{"password": "[hidden]"}], "b": 1}
    error = {"field": "api_key", "message": "unknown field", "value": "canary"}
    assert redacted_value([error])[0]["value"] == "[hidden]"
