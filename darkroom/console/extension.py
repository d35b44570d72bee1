"""The interface through which an application adds its own pages to the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.routing import Route

    from darkroom.console.shell import Shell


@dataclass(frozen=True, kw_only=True)
class Section:
    """An entry of the navigation."""

    title: str
    path: str
    """Below `/console`, such as `/jobs`. Pages below it belong to the section."""
    position: int
    """Sections are shown in the order of their positions. The platform's own are at multiples of 100."""


class ConsolePages(Protocol):
    """An application's pages. Handlers may block only in threads, as in any Starlette application."""

    @property
    def sections(self) -> Sequence[Section]: ...

    @property
    def templates(self) -> Sequence[tuple[str, str]]:
        """Return packages and their folders of templates, such as `("shop.console", "templates")`.

        Names must differ from the console's own: put them into a subfolder, such as `templates/shop/orders.html`.
        """

    def routes(self, shell: Shell) -> Sequence[Route]:
        """Return the routes, whose paths are below `/console`, such as `/jobs/{id}`.

        The endpoint of each route that takes POST comes from `Shell.action`; the console refuses to start otherwise.
        """

    def close(self) -> None:
        """Close clients. May block; called once, when the console ends."""


@dataclass(frozen=True, kw_only=True)
class NoPages:
    """The pages of a project whose application has none."""

    sections: Sequence[Section] = ()
    templates: Sequence[tuple[str, str]] = ()

    def routes(self, shell: Shell) -> Sequence[Route]:
        return ()

    def close(self) -> None:
        return None
