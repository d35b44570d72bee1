"""Takes dead letters."""

from __future__ import annotations

import functions_framework
from flask import Request
from flask.typing import ResponseReturnValue


@functions_framework.http
def recovery(request: Request) -> ResponseReturnValue:
    return "", 204
