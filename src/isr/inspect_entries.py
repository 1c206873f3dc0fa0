"""The inspector's pages about entries: the list of them, and one with its headers, its body and the story of a request for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from cache.look import Unserved
from cache.tags import PATH_TAG_PREFIX, encode_tag
from core.body import EMPTY_BODY
from core.paths import INSPECT_URL
from isr.answer import CachedAnswer
from isr.inspect_html import BODY_CSP, FIXED_HEADERS, field, html, page, table, tag
from isr.inspect_site import (
    NOT_LISTED,
    RefusedError,
    button,
    entry_url,
    inspect_url,
    key_prefix,
    named_entry,
    next_page,
    note,
    required_entry,
)
from isr.store import body_of
from isr.story import entry_facts, mark_text, time_text
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.entry import CacheEntry
    from cache.look import Look
    from core.body import Body
    from core.runtime import Clock
    from isr.inspect_html import Html
    from isr.inspect_site import InspectedSite, NamedEntry
    from isr.served_build import ServedBuild

LISTED_AT_ONCE = 50

MAX_SHOWN_BYTES = 256 * 1024
"""A larger body is not shown as text: it would have to be copied into Python's memory."""

# A look reads the whole entry, which may have 25 MB.
_LOOKS_AT_ONCE = 3

_BUILD_CHARACTERS = 8

LABELS = {
    "regenerate": "Regenerate now",
    "revalidate": "Revalidate now",
    "stale": "Make stale",
    "remove": "Remove",
}

_DONE = {
    "regenerate": "The page was rendered just now, and its new entry is stored.",
    "revalidate": "The page is invalidated: the next request renders it.",
    "stale": "The page is stale: the next request is answered with it, and renders it again.",
    "remove": "The page is invalidated, and the entry is deleted from the store.",
}


class EntryPages:
    """Makes the pages; `clock` tells what is fresh."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def listed(self, site: InspectedSite, query: Mapping[str, str], nav: Html) -> CachedAnswer:
        """Return a page of the list: entries of a build by the beginning of their path, and of those the ones with a tag."""
        prefix, wanted_tag, build_id = query.get("prefix", "/"), query.get("tag", ""), query.get("build")
        build = site.build if build_id is None else replace(site.build, build_id=build_id)
        router = query.get("router", build.routers[0])
        search = tag(
            "form",
            tag("label", "Path begins with ", field(name="prefix", value=prefix)),
            tag("label", "Tag ", field(name="tag", value=wanted_tag)),
            _routers(build, router),
            html() if site.serves(build) else field(type="hidden", name="build", value=build_id),
            tag("button", "List"),
            method="get",
            action=INSPECT_URL,
        )
        look = tag(
            "form",
            tag("label", "URL ", field(name="url", value="/")),
            tag("button", "Look at it"),
            method="get",
            action=entry_url(),
        )
        parts = [search, look]
        if not site.serves(build):
            parts.insert(0, note(f"The entries of the build {build_id}, which this Worker does not serve."))
        if site.listing is None:
            return page("Entries", *parts, note(NOT_LISTED), nav=nav)
        beginning = f"{key_prefix(build, router)}{prefix if prefix.startswith('/') else f'/{prefix}'}"
        listed = await site.listing.keys(beginning, query.get("cursor"), LISTED_AT_ONCE)
        entries, rows = site.entries.observer(), []
        for start in range(0, len(listed.keys), _LOOKS_AT_ONCE):
            keys = listed.keys[start : start + _LOOKS_AT_ONCE]
            looks = await asyncio.gather(*map(entries.look, keys))
            rows += [
                self._row(build, key, seen[-1])
                for key, seen in zip(keys, looks, strict=True)
                if not wanted_tag or encode_tag(wanted_tag) in seen[-1].kept_tags or wanted_tag in seen[-1].kept_tags
            ]
        notes = [f"Entries read: {len(listed.keys)}."]
        if wanted_tag:
            notes = [f"Of {len(listed.keys)} entries read, {len(rows)} carry the tag."]
            if listed.cursor is not None:
                notes.append("The store has no list by tag: go on for the others.")
        notes.append("Pages of the build that nobody has asked for yet, and those with very long paths, are not in the list.")
        where = {"prefix": prefix, "tag": wanted_tag, "router": router, **({} if build_id is None else {"build": build_id})}
        names = ("path", "form", "state", "age", "period", "size", "tags", "build")
        return page("Entries", *parts, table(names, rows), note(" ".join(notes)), next_page("", listed.cursor, **where), nav=nav)

    def _row(self, build: ServedBuild, key: str, seen: Look) -> Sequence[object]:
        named = named_entry(build, key)
        path, form = (named.path, named.form) if named is not None else (key, "")
        link = tag("a", path, href=entry_url(key=key))
        kept, of_build = seen.entry or seen.kept, _short_build(build.build_id)
        if kept is None:
            return link, form, self._state(seen), "", "", "", "", of_build
        facts = entry_facts(kept, self._clock())
        period = "none" if kept.revalidate_seconds is None else _span(kept.revalidate_seconds)
        age, size = _span(max(0, self._clock() - kept.last_modified_ms) // 1000), f"{int(str(facts['bytes'])) / 1000:.1f} kB"
        tags = ", ".join(each for each in kept.tags if not each.startswith((PATH_TAG_PREFIX, "/"))) or "its path's"
        return link, form, self._state(seen), age, period, size, tags, of_build

    def _state(self, seen: Look) -> str:
        if seen.reason is not None:
            return f"{seen.reason.value}: {seen.error}" if seen.error else seen.reason.value
        if seen.entry is None:
            return Unserved.ABSENT.value
        if seen.entry.value is None:
            return "a note that the page may not be kept"
        until_ms = seen.entry.revalidate_at_ms
        return "fresh" if until_ms is None or self._clock() < until_ms else "stale"

    async def shown(self, site: InspectedSite, query: Mapping[str, str], csrf: str, nav: Html) -> CachedAnswer:
        """Return the page of one entry by its key, or of all those that a request for a URL may be for."""
        key, url = query.get("key"), query.get("url")
        headers: dict[str, str] = {}
        parts: list[Html] = []
        if (said := _DONE.get(query.get("done", ""))) is not None:
            parts.append(tag("p", said, class_="note", role="status"))
        if key is not None:
            named = required_entry(site.build, key)
            url, headers = named.url, named.headers
            if not site.serves(named.build):
                url = None
                said = f"It is of the build {named.build.build_id}, and this Worker serves {site.build.build_id or 'none'}."
                parts.append(note(f"{said} No request to this Worker is answered with it."))
            elif url is None:
                parts.append(note("The key does not tell the URL, so there is no story."))
        elif url is None or not url.startswith("/"):
            raise RefusedError(400, "give the key of an entry, or a URL that begins with /")
        keys = [] if key is None else [key]
        if url is not None:
            story = await site.why.explain(site.visit(url, headers))
            document = story.to_document()
            parts += [tag("h2", "Why"), tag("p", tag("strong", story.line)), _steps(document["steps"])]
            if key is None:
                keys = [found for step in story.steps if step.name == "lookup" for found in _texts(step.facts.get("keys"))]
        for each in keys:
            parts.append(await self._key(site, each, csrf, is_alone=key is not None))
        return page(url or key or "", *parts, nav=nav)

    async def _key(self, site: InspectedSite, key: str, csrf: str, *, is_alone: bool) -> Html:
        looks = await site.entries.observer().look(key)
        rows = [(seen.layer, self._state(seen), seen.form, "; ".join(map(mark_text, seen.marks))) for seen in looks]
        parts = [tag("h2", key), table(("layer", "state", "layout", "invalidations"), rows)]
        kept = kept_entry(looks)
        named = named_entry(site.build, key)
        if named is not None and (is_alone or kept is not None):
            parts += [button(csrf, do, LABELS[do], key=key) for do in _possible(site, named)]
        if kept is not None and named is not None:
            parts += [self._facts(kept), _headers(kept), _shown_body(kept, named, key)]
        return tag("section", *parts)

    def _facts(self, kept: CacheEntry) -> Html:
        facts = entry_facts(kept, self._clock())
        if kept.revalidate_at_ms is not None:
            facts["staleFrom"] = time_text(kept.revalidate_at_ms)
        return table(("fact", "value"), ((name, _fact_text(fact)) for name, fact in facts.items()))

    async def body(self, site: InspectedSite, key: str) -> CachedAnswer:
        """Return the body of an entry alone, as a document that can do nothing."""
        named = required_entry(site.build, key)
        kept = kept_entry(await site.entries.observer().look(key))
        body = None if kept is None else _body_in(kept, named)
        is_html = kept is not None and body is not None and _is_html(kept, named)
        fixed = (
            ("Content-Type", "text/html; charset=utf-8" if is_html else "text/plain; charset=utf-8"),
            ("Content-Security-Policy", BODY_CSP),
            ("X-Frame-Options", "SAMEORIGIN"),
            *FIXED_HEADERS,
        )
        return CachedAnswer(404 if body is None else 200, fixed, body or EMPTY_BODY)


def _span(seconds: float) -> str:
    """Return a time for people, by its largest unit of which it has two."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"


def _short_build(build_id: str | None) -> Html:
    name = build_id or "none"
    return html(name) if len(name) <= _BUILD_CHARACTERS else tag("span", f"{name[:_BUILD_CHARACTERS]}…", title=name)


def kept_entry(looks: Sequence[Look]) -> CacheEntry | None:
    """Return the entry that is there, served or not: the store's before a copy."""
    return next((seen.entry or seen.kept for seen in reversed(looks) if seen.entry or seen.kept), None)


def _possible(site: InspectedSite, named: NamedEntry) -> list[str]:
    """Return what can be done with an entry."""
    if not site.serves(named.build):
        return [] if site.listing is None else ["remove"]
    impossible = {"regenerate"} if named.url is None else set()
    if site.listing is None:
        impossible.add("remove")
    return [do for do in LABELS if do not in impossible]


def _routers(build: ServedBuild, chosen: str) -> Html:
    if len(build.routers) == 1:
        return html()
    options = (tag("option", name, value=name, **({"selected": ""} if name == chosen else {})) for name in build.routers)
    return tag("label", "Router ", tag("select", *options, name="router"))


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _fact_text(fact: object) -> str:
    if isinstance(fact, list):
        return ", ".join(_texts(fact))
    return "none" if fact is None else str(fact)


def _steps(steps: object) -> Html:
    rows = []
    for step in steps if isinstance(steps, list) else []:
        facts = {name: fact for name, fact in step.items() if name not in {"step", "says", "reason"}}
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        shown = tag("details", tag("summary", "facts"), _text(text)) if facts else ""
        rows.append((step["step"], html(step["says"], shown), step.get("reason", "")))
    return table(("step", "what was found", "reason"), rows)


def _text(text: str) -> Html:
    # It scrolls, so the keyboard must reach it.
    return tag("pre", text, tabindex=0)


def _headers(kept: CacheEntry) -> Html:
    headers: Mapping[str, str | list[str]] = getattr(kept.value, "headers", None) or {}
    rows = [(name, text) for name, texts in headers.items() for text in ([texts] if isinstance(texts, str) else texts)]
    return html(tag("h3", "Headers"), table(("name", "value"), rows)) if rows else tag("p", "It keeps no headers.")


def _body_in(kept: CacheEntry, named: NamedEntry) -> Body | None:
    return body_of(kept, Artifact(named.form.partition(":")[0]))


def _is_html(kept: CacheEntry, named: NamedEntry) -> bool:
    if named.form.partition(":")[0] in {Artifact.HTML, Artifact.PAGES}:
        return True
    headers: Mapping[str, str | list[str]] = getattr(kept.value, "headers", None) or {}
    types = [text for name, text in headers.items() if name.lower() == "content-type"]
    return any(isinstance(text, str) and text.lower().startswith("text/html") for text in types)


def _shown_body(kept: CacheEntry, named: NamedEntry, key: str) -> Html:
    body = _body_in(kept, named)
    if body is None:
        return tag("p", "It has no body.")
    url = inspect_url("/body", key=key)
    parts = [tag("h3", "Body"), tag("p", tag("a", "the body alone", href=url))]
    if body.size_bytes > MAX_SHOWN_BYTES:
        parts.append(note(f"{body.size_bytes} bytes are too many to show here as text."))
    else:
        text = body.to_bytes().decode("utf-8", "replace")
        parts.append(tag("details", tag("summary", "as text"), _text(text)))
    if _is_html(kept, named):
        parts.append(tag("iframe", src=url, sandbox="", title="the page, without scripts", loading="lazy"))
    return html(*parts)
