from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from playwright.sync_api import ConsoleMessage, Error, Page, Response

PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Requested:
    """One request for a page, with the cache state of its answer. `kind` is document, prefetch, navigation or action."""

    kind: str
    path: str
    status: int
    state: str | None


@dataclass
class Tab:
    """A tab of the browser on the site at `url`, with what it asked for and what it complained about."""

    page: Page
    url: str
    requests: list[Requested] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.set_default_navigation_timeout(PATIENCE_MS)
        self.page.on("response", self._note)
        self.page.on("console", self._listen)
        self.page.on("pageerror", self._fail)

    def open(self, path: str) -> None:
        """Load the tab's first page, and wait until it has prefetched what it links to.

        Not for a second page: what the browser then renews in its own cache never counts as finished.
        """
        self.page.goto(f"{self.url}{path}", wait_until="networkidle")

    def follow(self, link: str) -> None:
        """Click a link of the main menu."""
        self.page.get_by_role("navigation").get_by_role("link", name=link, exact=True).click()

    def follow_unseen(self, link: str) -> None:
        """Follow a link below what the window shows: the browser has not prefetched it."""
        self.page.get_by_role("main").get_by_role("link", name=link, exact=True).evaluate("link => link.click()")

    def shows(self, heading: str, path: str) -> None:
        """Wait for a page."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self.page.wait_for_url(lambda url: unquote(urlsplit(url).path) == path, wait_until="commit")

    def shrink(self) -> None:
        """Make the window so small that most links are outside."""
        self.page.set_viewport_size({"width": 800, "height": 120})

    def wait_for(self, kind: str, path: str) -> None:
        """Wait until the browser has asked for a page."""
        self.wait_until(lambda: self.asked(kind, path))

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Wait for something that the browser does of itself; nothing says when."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not is_so():
            assert time.monotonic() < deadline, self.requests
            self.page.wait_for_timeout(20)

    def settle(self) -> None:
        """Wait until nothing is being loaded."""
        self.page.wait_for_load_state("networkidle")

    def stamp(self, name: str = "rendered-at") -> str:
        """The time that the page shows."""
        shown = self.page.locator(f"main [data-{name}]").get_attribute(f"data-{name}")
        assert shown
        return shown

    def asked(self, kind: str, path: str | None = None) -> list[Requested]:
        return [each for each in self.requests if each.kind == kind and path in {None, each.path}]

    @property
    def documents(self) -> list[str]:
        """The pages that were loaded whole."""
        return [each.path for each in self.asked("document")]

    def _note(self, response: Response) -> None:
        request = response.request
        kind = _kind(request.resource_type, request.headers)
        if kind is not None:
            path = unquote(urlsplit(response.url).path)
            self.requests.append(Requested(kind, path, response.status, response.headers.get("x-vinext-cache")))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _fail(self, error: Error) -> None:
        self.complaints.append(f"exception: {error}")


def _kind(resource_type: str, headers: Mapping[str, str]) -> str | None:
    if resource_type == "document":
        return "document"
    if "next-action" in headers:
        return "action"
    if headers.get("rsc") != "1":
        return None
    return "prefetch" if "next-router-prefetch" in headers else "navigation"
