"""Takes secrets out of text that is shown or kept: API keys, passwords in URLs, signatures of signed URLs.

For what strangers send and libraries say. Settings mask their own secrets; this is what stands behind them.
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
    # What makes a signed URL good: of S3's two signature versions, and whatever else calls itself so.
    r"|(?P<parameter>(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|access_token|api_key"
    r"|apikey|password|passwd|secret|token)(?:=|%3[Dd]|\"\s*:\s*\"|:\s*))[^&\s\"'<>]+"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[0-9A-Za-z._~+/=-]{8,}",
    re.IGNORECASE,
)
_MARKS = re.compile("[=%: ]|drk_", re.IGNORECASE)
"""Nothing of the above is without one of these; most of what is logged is, and is passed on at once."""
_SECRET_NAME = re.compile(r"password|passwd|secret|token|api_?key|authorization|credential|signature|cookie", re.I)


def redacted(text: str) -> str:
    if not _MARKS.search(text):
        return text
    return _SECRETS.sub(lambda match: f"{next(filter(None, match.groups()))}{HIDDEN}", text)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds what nobody else should see."""
    return _SECRET_NAME.search(name) is not None


def redacted_value(value: Any) -> Any:
    """A JSON value with the secrets taken out of its strings, and out of members whose name says that they are one."""
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
