"""The inspector: pages for the people who run the site, about what is in its cache, below `/__vinext/inspect`.

    /__vinext/inspect               the entries of the build, LISTED_AT_ONCE a page; the sign-in for those who have not
    /__vinext/inspect/entry?key=…   one entry: what each layer of the cache has, its headers, its body, and why (`isr.why`)
    /__vinext/inspect/entry?url=…   the same for whatever a request for the URL looks up
    /__vinext/inspect/body?key=…    the body alone, as a document that can do nothing
    /__vinext/inspect/tags          the tags that were invalidated
    /__vinext/inspect/builds        the builds that have entries
    /__vinext/inspect/numbers       the counters of this isolate

They are made here, without JavaScript. Somebody signs in with the token, and each form that changes something proves that it
comes from such a page (`isr.inspect_session`). Looking changes nothing.
"""

from __future__ import annotations

import traceback
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from cache.tags import revalidate_path_tag
from core.errors import CacheError, described
from core.javascript import to_utf8
from core.paths import INSPECT_URL
from isr.admin import RevalidateRequest, revalidate
from isr.inspect_builds import builds_page, prune
from isr.inspect_entries import LABELS, EntryPages, kept_entry
from isr.inspect_html import field, html, page, see_other, tag
from isr.inspect_numbers import numbers_page
from isr.inspect_session import WRONG_SECONDS, Sessions, end_cookie
from isr.inspect_site import RefusedError, button, entry_url, inspect_url, note, required_entry
from isr.inspect_tags import tags_page
from isr.store import kept_headers
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.body import Body
    from core.log import Log
    from core.runtime import Clock
    from isr.answer import CachedAnswer
    from isr.inspect_html import Html
    from isr.inspect_site import InspectedSite
    from pages.request import PageRequest

MAX_FORM_BYTES = 64 * 1024

STALE_SECONDS = 24 * 60 * 60
"""For so long a page that is made stale may still be served."""

_PAGES = {"Entries": "", "Tags": "/tags", "Builds": "/builds", "Numbers": "/numbers"}


class Inspector:
    """Answers the requests at and below INSPECT_URL of a Worker that has a token."""

    def __init__(self, token: str, clock: Clock, log: Log) -> None:
        self._sessions = Sessions(token, clock)
        self._clock = clock
        self._log = log
        self._entries = EntryPages(clock)

    async def answer(
        self,
        request: PageRequest,
        read_body: Callable[[int], Awaitable[Body | None]],
        open_site: Callable[[], Awaitable[InspectedSite | None]],
    ) -> CachedAnswer:
        """Answer a request; `read_body` and `open_site` are as in `isr.admin.Admin.answer`."""
        try:
            _require_method(request)
            form = await _form(read_body) if request.method == "POST" else {}
            csrf = self._sessions.csrf(request)
            if csrf is None:
                return self._sign_in(request, form)
            return await self._signed_in(request, form, csrf, open_site)
        except RefusedError as refused:
            self._log.event("warning", "admin.refused", path=request.path, status=refused.status, reason=str(refused))
            return page("Not done", note(str(refused), is_bad=True), _back(refused.back), status=refused.status)
        except Exception as error:  # noqa: BLE001 - whatever the store or a cache handler raises is shown
            self._log.event("error", "inspect.failed", path=request.path, error=traceback.format_exc())
            said = f"This cannot be shown: {described(error)}"
            return page("Not done", note(said, is_bad=True), _back(INSPECT_URL), status=500)

    def _sign_in(self, request: PageRequest, form: Mapping[str, str]) -> CachedAnswer:
        token, code = form.get("token"), _query(request).get("once")
        if token is None and code is None:
            return _sign_in_page()
        if not self._sessions.may_try(request):
            reason = "too many wrong tokens"
            self._log.event("warning", "admin.refused", path=request.path, status=429, reason=reason)
            said = f"Too many wrong tokens came from this address. Try again in {WRONG_SECONDS} seconds."
            return _sign_in_page(said, 429, ("Retry-After", str(WRONG_SECONDS)))
        if token is None:
            return self._follow_link(request, code or "")
        cookie = self._sessions.cookie_for(request, token)
        if cookie is None:
            self._log.event("warning", "admin.refused", path=request.path, status=401, reason="a wrong token")
            return _sign_in_page("This is not the token.")
        return see_other(INSPECT_URL, ("Set-Cookie", cookie))

    def _follow_link(self, request: PageRequest, code: str) -> CachedAnswer:
        cookie = self._sessions.cookie_for_link(request, code)
        if cookie is None:
            self._log.event("warning", "admin.refused", path=request.path, status=401, reason="a link that does not sign in")
            return _sign_in_page("This link does not sign in: it has been used, or is older than a minute. Ask for a new one.")
        return see_other(INSPECT_URL, ("Set-Cookie", cookie))

    async def _signed_in(
        self,
        request: PageRequest,
        form: Mapping[str, str],
        csrf: str,
        open_site: Callable[[], Awaitable[InspectedSite | None]],
    ) -> CachedAnswer:
        if request.path == INSPECT_URL and (form.get("token") is not None or "once" in _query(request)):
            return see_other(INSPECT_URL)
        if request.method == "POST" and not _is_same(form.get("csrf", ""), csrf):
            raise RefusedError(403, "the form is not of this sign-in; open the page again")
        if form.get("do") == "sign-out":
            return see_other(INSPECT_URL, ("Set-Cookie", end_cookie(request)))
        site = await open_site()
        if site is None:
            raise RefusedError(
                503, "the site's cache is not known: its build cannot be read, or the host is no tenant; see the log"
            )
        if request.path == f"{INSPECT_URL}/do" and request.method == "POST":
            return see_other(await self._do(site, form))
        return await self._page(request, site, csrf)

    async def _page(self, request: PageRequest, site: InspectedSite, csrf: str) -> CachedAnswer:
        query, nav = _query(request), _nav(site, csrf, request.path.removeprefix(INSPECT_URL))
        pages: dict[str, Callable[[], Awaitable[CachedAnswer]]] = {
            "": lambda: self._entries.listed(site, query, nav),
            "/entry": lambda: self._entries.shown(site, query, csrf, nav),
            "/body": lambda: self._entries.body(site, query.get("key", "")),
            "/tags": lambda: tags_page(site, query, self._clock, nav),
            "/builds": lambda: builds_page(site, query, csrf, nav),
        }
        below = request.path.removeprefix(INSPECT_URL)
        if below == "/numbers":
            return numbers_page(site, nav)
        if below not in pages:
            raise RefusedError(404, "the inspector has no such page")
        return await pages[below]()

    async def _do(self, site: InspectedSite, form: Mapping[str, str]) -> str:
        """Do what a form wants; return the URL of the page that tells of it."""
        do, key = form.get("do", ""), form.get("key", "")
        if do == "prune":
            build = form.get("build", "")
            url = await prune(site, build)
            self._log.event("info", "inspect.pruned", build=build)
            return url
        named = required_entry(site.build, key)
        if do not in LABELS:
            raise RefusedError(400, f"{do!r} is none of {', '.join(LABELS)}")
        back = entry_url(key=key)
        if site.serves(named.build):
            if do == "regenerate":
                await self._regenerate(site, key, named.url, named.headers)
                return entry_url(key=key, done=do)
            stale_seconds = STALE_SECONDS if do == "stale" else None
            wanted = RevalidateRequest((revalidate_path_tag(named.path),), (), stale_seconds)
            try:
                await revalidate(site.invalidation, wanted, self._log)
            except CacheError as error:
                raise RefusedError(503, str(error), back) from error
        elif do != "remove":
            raise RefusedError(409, f"this Worker does not serve the build {named.build.build_id}", back)
        if do == "remove" and site.listing is not None:
            await site.listing.delete(key)
        return entry_url(key=key, done=do)

    async def _regenerate(self, site: InspectedSite, key: str, url: str | None, headers: dict[str, str]) -> None:
        if url is None:
            raise RefusedError(409, "the key does not tell the URL, so nobody can ask for the page", entry_url(key=key))
        kept = kept_entry(await site.entries.observer().look(key))
        selected = () if kept is None else kept_headers(kept).selected
        reason = await site.regeneration.regenerate(site.visit(url, headers), key, selected)
        if reason is not None:
            raise RefusedError(502, f"The page is not regenerated: {reason}.", entry_url(key=key))


def _require_method(request: PageRequest) -> None:
    if request.method not in {"GET", "POST"}:
        raise RefusedError(405, f"the inspector takes GET and POST, not {request.method}")


async def _form(read_body: Callable[[int], Awaitable[Body | None]]) -> dict[str, str]:
    try:
        body = await read_body(MAX_FORM_BYTES)
    except PageError as error:
        raise RefusedError(400, f"the form broke off: {error}") from error
    if body is None:
        raise RefusedError(413, f"the form is larger than {MAX_FORM_BYTES} bytes")
    text = body.to_bytes().decode("utf-8", "replace")
    return {name: texts[-1] for name, texts in parse_qs(text, keep_blank_values=True).items()}


def _query(request: PageRequest) -> dict[str, str]:
    return {name: texts[-1] for name, texts in parse_qs(request.query).items()}


def _is_same(given: str, expected: str) -> bool:
    return compare_digest(to_utf8(given), expected.encode())


def _sign_in_page(said: str = "", status: int = 401, *headers: tuple[str, str]) -> CachedAnswer:
    form = tag(
        "form",
        tag("label", "Token ", field(name="token", type="password", autocomplete="current-password", required="", autofocus="")),
        tag("button", "Sign in"),
        method="post",
        action=INSPECT_URL,
    )
    note = tag("p", said, class_="note bad", role="alert") if said else html()
    hint = tag("p", "The token is the Worker's secret VINEXT_ADMIN_TOKEN. The sign-in lasts 15 minutes.")
    fixed = (("WWW-Authenticate", "Bearer"), *headers) if status == 401 else headers  # noqa: PLR2004
    return page("Sign in to the cache", note, form, hint, status=status, headers=fixed)


def _nav(site: InspectedSite, csrf: str, shown: str) -> Html:
    links = (
        tag("a", name, href=inspect_url(below), **({"aria_current": "page"} if below == shown else {}))
        for name, below in _PAGES.items()
    )
    build = tag("span", f"Build {site.build.build_id or 'without an ID'}")
    sign_out = button(csrf, "sign-out", "Sign out")
    return tag("nav", *links, build, sign_out, aria_label="Inspector")


def _back(url: str) -> Html:
    return tag("p", tag("a", "Back", href=url))
