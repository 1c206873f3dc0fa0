"""An app in two stages with the page cache between them: the exchange about one request.

The request stage runs middleware, applies the rules of next.config and finds the route. It then asks for a response of the
response stage, which renders. The page cache answers in the place of that stage where it has the page; what the request stage
adds for the visitor goes onto every response and into no entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import unquote

from pages.handler import PageError, PageHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pages.handler import PageResponse, WholeResponse
    from pages.request import PageRequest


@dataclass(frozen=True)
class Resource:
    """A response of the response stage: the path and the end of the key under which vinext's own cache would keep it.

    `tag_path` is the path of the page that is rendered, which may be another than the visitor's.
    """

    path: str
    part: str
    tag_path: str

    @classmethod
    def of(cls, document: Any) -> Resource:
        """Read what the app says. Raise PageError for anything else."""
        match document:
            case {"path": str(path), "part": str(part), "tagPath": str(tag_path)} if path.startswith("/"):
                return cls(path, part, tag_path)
        raise PageError(f"the app's request stage speaks of {document!r}, which is no response of the response stage")


@dataclass(frozen=True)
class Question:
    """The request stage asks for the entry of a resource, and goes on when `resume` gets an offer.

    Without `is_storable`, what it renders if there is none will not be kept.
    """

    resource: Resource
    resume: Callable[[str], Awaitable[Step]]
    is_storable: bool = True


@dataclass(frozen=True)
class StagedAnswer:
    """The response for the visitor.

    With `is_hit`, its status and headers are for the entry that was offered, whose body it lacks. `made` is what it is a new
    response for, which may be kept if `admitted` returns it, complete. `missed` is a resource that this response is not to be
    kept for, though another could be. `dynamic` is a resource that is made for each request alone. `replay` renders the resource
    again. `unknown` says what the app did not understand of its own framework, so that nothing could be kept.
    """

    response: PageResponse
    is_hit: bool = False
    made: Resource | None = None
    missed: Resource | None = None
    dynamic: Resource | None = None
    replay: str | None = None
    unknown: str | None = None
    admitted: Callable[[], Awaitable[WholeResponse | None]] | None = None


Step: TypeAlias = "Question | StagedAnswer"

NO_OFFER = ""
"""The page cache has nothing that the request may be for, as far as it knows; the request stage asks."""


def offer(path: str, part: str, status: int, headers: Mapping[str, list[str]], *, is_stale: bool) -> str:
    """Return the offer of an entry."""
    document: dict[str, object] = {"path": path, "part": part, "status": status, "headers": headers}
    if is_stale:
        document["isStale"] = True
    return json.dumps(document)


def no_entry(resource: Resource, *, is_unruled: bool) -> str:
    """Return the offer that says that there is no entry of a resource.

    With `is_unruled`, the entry will be served without the request stage, and so keeps what that stage adds.
    """
    return json.dumps({"path": resource.path, "part": resource.part, "isUnruled": is_unruled})


def wanted_pages(header: str) -> list[tuple[Resource, str]]:
    """Return the resources that the app wants anew, each with its replay. Raise PageError for what does not parse."""
    try:
        pages = json.loads(unquote(header))
        wanted = [(Resource.of(page), page["replay"]) for page in pages]
    except (ValueError, TypeError, KeyError) as error:
        raise PageError(f"the app wants {header!r:.200} anew, which does not parse") from error
    return [(resource, str(replay)) for resource, replay in wanted]


class StagedPages(PageHandler, Protocol):
    """A page handler in stages. What it renders for the cache brings both artifacts of a page."""

    async def serve(self, request: PageRequest, offer: str) -> Step:
        """Answer a visitor's request. Raise PageError if the app gives no answer, or one that does not parse."""
