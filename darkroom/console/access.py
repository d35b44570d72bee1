"""Decides who may see a page and who may act: by the Host, the Origin, and an operator's key where there are keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from darkroom.console.keys import KeyFile, KeyFileError, OperatorKey, Scope
from darkroom.console.sessions import COOKIE, Sessions
from darkroom.events.hosts import host_name, is_loopback, is_one_of, is_same_origin

LOCAL = "local"
"""The operator where no keys are configured: whoever can reach this machine's loopback."""


class AccessRefusedError(Exception):
    """A request is refused. The sentence is for the person at the browser."""

    def __init__(self, status: int, sentence: str, *, who: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.who = who
        """The operator, if the request had a valid key."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    name: str
    may_act: bool


@dataclass(frozen=True, kw_only=True)
class Access:
    keys: KeyFile | None = None
    """None: no keys are asked for, and only this machine's names are served."""
    hosts: Collection[str] = ()
    """Names under which the console is served, besides this machine's."""
    sessions: Sessions = field(default_factory=Sessions)

    def check_host(self, request: Request) -> None:
        """Raise AccessRefusedError for a name that may be a web page's (DNS rebinding)."""
        host = request.headers.get("host", "")
        name = host_name(host)
        if not is_loopback(name) and not is_one_of(name, self.hosts):
            sentence = f"Nothing is served under the host {host[:80]!r}. Use localhost, or name it in CONSOLE_HOSTS."
            raise AccessRefusedError(403, sentence)

    def check_origin(self, request: Request) -> None:
        """Raise AccessRefusedError for a request that another site's page has sent.

        Browsers send Origin with each POST. A program that is no browser sends neither of the two headers.
        """
        origin = request.headers.get("origin")
        if origin is not None and not is_same_origin(origin, request.headers.get("host", "")):
            raise AccessRefusedError(403, f"Pages of {origin[:80]!r} may not act here.")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if origin is None and site not in ("same-origin", "none"):
            raise AccessRefusedError(403, f"Pages of another site may not act here (Sec-Fetch-Site: {site[:40]}).")

    def operator(self, request: Request, scope: Scope) -> Operator:
        """Return who sends this request. Raises AccessRefusedError: 401 without a valid key, 403 beyond its scope."""
        if self.keys is None:
            return Operator(name=LOCAL, may_act=True)
        found = self._key_of(request)
        if found is None:
            raise AccessRefusedError(401, "This needs an operator's key: sign in, or send Authorization: Bearer KEY.")
        if scope == "act" and found.scope != "act":
            raise AccessRefusedError(403, f"The key {found.name!r} may read and not act.", who=found.name)
        return Operator(name=found.name, may_act=found.scope == "act")

    def _key_of(self, request: Request) -> OperatorKey | None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.find(key.strip())
        return self._key_of_session(request.cookies.get(COOKIE, ""))

    def find(self, key: str) -> OperatorKey | None:
        """Return the entry of a key; None for an unknown one. Raises AccessRefusedError if the file cannot be read."""
        with _translated():
            return None if self.keys is None else self.keys.find(key)

    def _key_of_session(self, cookie: str) -> OperatorKey | None:
        name = self.sessions.name_in(cookie)
        with _translated():
            found = self.keys.named(name) if self.keys is not None and name else None
        return found if found is not None and self.sessions.is_valid(cookie, found.name, found.sha256) else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KeyFileError as exc:
        raise AccessRefusedError(503, f"The operators' keys cannot be read: {exc}.") from exc
