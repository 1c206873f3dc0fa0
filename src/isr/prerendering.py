"""Answers for the command that pre-renders: each page with the fields to store, or the reason why it is not stored.

The rules are those of the page cache, so that a page is pre-rendered exactly if the page cache would store it.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core.body import MAX_BODY_BYTES, text_body
from core.errors import described
from core.http import OUTCOME_HEADER
from core.paths import PATHS_URL, url_path
from isr.admission import Refusal, admit
from isr.answer import CachedAnswer
from isr.page_headers import stored_headers
from pages.handler import PageError
from pages.request import GivenHeaders, RenderRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.body import Body
    from isr.variants import VariantRules
    from pages.handler import PageHandler
    from pages.request import PageRequest


class Prerendering:
    """Replaces the page cache while `VINEXT_PRERENDER` is on, which is never in production."""

    def __init__(self, page_handler: PageHandler, static_paths: Callable[[], Any] | None, variants: VariantRules) -> None:
        self._page_handler = page_handler
        self._variants = variants
        self._static_paths = static_paths

    async def answer(self, request: PageRequest) -> CachedAnswer:
        """Answer with the list of paths, or with one page. A failure is reported in the answer's headers."""
        if request.path == PATHS_URL:
            return await self._paths()
        try:
            return await self._page(request)
        except PageError as error:
            return _answer({"error": str(error)})

    async def _page(self, request: PageRequest) -> CachedAnswer:
        if request.path.endswith("/") and request.path != "/":
            # A build has one page for both forms of a path.
            return _answer({"skipped": "it ends in a slash, and is rendered when it is asked for"})
        canonical = RenderRequest(request.origin, request.path)
        response = await self._page_handler.render(canonical)
        decision = admit(response, None, rsc=False, variants=self._variants)
        if isinstance(decision, Refusal):
            await response.drop()
            return _answer({"error" if decision.is_failure else "skipped": str(decision)})
        body = await response.copy().read(MAX_BODY_BYTES)
        if body is None:
            return _answer({"skipped": f"a body of more than {MAX_BODY_BYTES} bytes"})
        selected = self._variants.selection(decision.varies_by, GivenHeaders(canonical.headers)) or ()
        outcome = {
            "artifact": decision.artifact.value,
            "status": response.status,
            "headers": stored_headers(response, selected),
            "revalidate": decision.period.revalidate_seconds,
            "expire": decision.period.expire_seconds,
            "tags": decision.tags,
        }
        return _answer(outcome, body)

    async def _paths(self) -> CachedAnswer:
        if self._static_paths is None:
            return _answer({"skipped": "there is no static_paths() beside the page handler"})
        try:
            paths = self._static_paths()
            listed = list(await paths if inspect.isawaitable(paths) else paths)
        except Exception as error:  # noqa: BLE001 - whatever the site's function raises
            return _answer({"error": f"static_paths() raised {described(error)}"})
        wrong = next((path for path in listed if not isinstance(path, str) or not path.startswith("/")), None)
        if wrong is not None:
            return _answer({"error": f"static_paths() gives {wrong!r}, allowed: paths that begin with /"})
        encoded = dict.fromkeys(url_path(path) for path in listed)
        return _answer({}, text_body(json.dumps(list(encoded))))


def _answer(outcome: dict[str, Any], body: Body | None = None) -> CachedAnswer:
    headers = (("Content-Type", "application/octet-stream"), (OUTCOME_HEADER, quote(json.dumps(outcome))))
    return CachedAnswer(200, headers, body)
