"""Who asks storage: the keys of the settings, or, without any, whoever AWS says that we are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from darkroom.adapters.storage.sigv4 import Credentials
from darkroom.contract.errors import DependencyUnavailableError

FindCredentials = Callable[[], Credentials]
"""Asked for each request: those of a role expire."""


def fixed(access_key: str, secret_key: str) -> FindCredentials:
    found = Credentials(access_key=access_key, secret_key=secret_key)
    return lambda: found


def of_the_environment() -> FindCredentials:
    """AWS' own chain (variables, profiles, a pod's or a machine's role), by the library that knows all of it.

    Nothing is imported or asked before the first request.
    """
    found: list[Any] = []

    def find() -> Credentials:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        try:
            if not found:
                found.append(Session().get_credentials())
            frozen = found[0].get_frozen_credentials() if found[0] is not None else None
        except BotoCoreError as exc:
            detail = f"AWS gave no credentials: {type(exc).__name__}"
            raise DependencyUnavailableError("storage", detail) from exc
        if frozen is None:
            found.clear()
            raise DependencyUnavailableError("storage", "there are neither STORAGE_ACCESS_KEY nor credentials of AWS")
        return Credentials(
            access_key=frozen.access_key, secret_key=frozen.secret_key, session_token=frozen.token or None
        )

    return find
