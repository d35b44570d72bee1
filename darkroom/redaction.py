"""Removes secrets from text that is shown or stored: API keys, passwords in URLs, signatures of signed URLs.

It is applied to what clients send and to messages from libraries. Settings mask their own secrets; this is the second
line of defence.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

HIDDEN = "[hidden]"

_SECRETS = re.compile(
    r"(?P<key>drk_[0-9A-Za-z]+_)[0-9A-Za-z]*"
    # user:password@host
    r"|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)"
    # Credentials in signed URLs (both of S3's signature versions), and any other parameter with such a name.
    r"|(?P<parameter>(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|access_token|api_key"
    r"|apikey|password|passwd|secret|token)(?:=|%3[Dd]|\"\s*:\s*\"|:\s*))[^&\s\"'<>]+"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[0-9A-Za-z._~+/=-]{8,}",
    re.IGNORECASE,
)
_MARKS = re.compile("[=%: ]|drk_", re.IGNORECASE)
"""Every secret above contains one of these. Most logged text contains none and is returned at once."""
_SECRET_NAME = re.compile(r"password|passwd|secret|token|api_?key|authorization|credential|signature|cookie", re.I)


def redacted(text: str) -> str:
    """Return the text with every secret replaced by `[hidden]`."""
    if not _MARKS.search(text):
        return text
    return _SECRETS.sub(lambda match: f"{next(filter(None, match.groups()))}{HIDDEN}", text)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Report whether a field with this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redacted_value(value: Any) -> Any:
    """Return a JSON value without secrets: those inside strings, and members whose name marks them as secret."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        hides = isinstance(value.get("field"), str) and is_secret_name(value["field"])
        return {
            name: HIDDEN if is_secret_name(str(name)) or (hides and name == "value") else redacted_value(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted_value(member) for member in value]
    return value
