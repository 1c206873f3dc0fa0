"""An entry as JSON: the document that both layouts store, and the checks on reading it.

Bodies are not part of the document that is read: they come detached, under the names of their fields.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

from cache.entry import AppPageValue, AppRouteValue, CacheEntry, FetchValue, ImageValue, PagesValue, RedirectValue
from cache.fields import Fields
from core.errors import CorruptValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.entry import CacheValue
    from core.body import Body, Detach


Document: TypeAlias = "dict[str, object]"

DETACH: Detach = {
    "APP_PAGE": {"html": "text", "rscData": "base64"},
    "PAGES": {"html": "text"},
    "APP_ROUTE": {"body": "base64"},
    "IMAGE": {"buffer": "base64"},
}
"""The body fields of each kind and how the JSON of vinext writes them."""

_BODY_ATTRIBUTES = {"html": "html", "rscData": "rsc_data", "body": "body", "buffer": "buffer"}

KNOWN_ENTRIES = 1000

LARGEST_KNOWN = 4096
"""A page that is read again and again is the same each time. So many entries of each layout are remembered, without their
bodies, and so long may the JSON of one be."""


def read_entry(document: object, bodies: Mapping[str, Body]) -> CacheEntry:
    """Build the entry that a stored document describes; raises CorruptValueError for any wrong shape.

    A `cacheControl.revalidate` of null is JavaScript's Infinity: never stale.
    """
    if not isinstance(document, dict):
        message = f"an entry is an object, not {type(document).__name__}"
        raise CorruptValueError(message)
    fields = Fields(document, "entry")
    value = fields.take("value")
    tags = fields.strings("tags")
    last_modified = _milliseconds(fields.number("lastModified"))
    revalidate_at = fields.optional_number("revalidateAt", required=True)
    expire_at = fields.optional_number("expireAt")
    control = fields.mapping("cacheControl") if "cacheControl" in document else None
    extra = fields.rest()
    revalidate, expire, stale = _periods(control, last_modified, revalidate_at, expire_at)
    entry = CacheEntry(
        value=None if value is None else _read_value(value, bodies),
        tags=tags,
        last_modified_ms=last_modified,
        revalidate_at_ms=None if revalidate_at is None else _milliseconds(revalidate_at),
        expire_at_ms=None if expire_at is None else _milliseconds(expire_at),
        revalidate_seconds=revalidate,
        expire_seconds=expire,
        stale_seconds=stale,
        extra=extra,
    )
    if control is not None and control != _cache_control(entry):
        extra["cacheControl"] = control
    return entry


def with_bodies(entry: CacheEntry, bodies: Mapping[str, Body]) -> CacheEntry:
    """Return an entry with other bodies, named as in DETACH; the rest is that of `entry`, its identity too."""
    if not bodies or entry.value is None:
        return entry
    return entry.with_value(_value_with_bodies(entry.value, bodies))


def _value_with_bodies(value: CacheValue, bodies: Mapping[str, Body]) -> CacheValue:
    match value:
        case AppPageValue():
            return replace(value, html=bodies.get("html", value.html), rsc_data=bodies.get("rscData", value.rsc_data))
        case PagesValue():
            return replace(value, html=bodies["html"])
        case AppRouteValue():
            return replace(value, body=bodies["body"])
        case ImageValue():
            return replace(value, buffer=bodies["buffer"])
    return value


def bodies_of(entry: CacheEntry) -> dict[str, Body]:
    """Give the bodies of an entry, named as in DETACH."""
    if entry.value is None:
        return {}
    bodies = {name: getattr(entry.value, _BODY_ATTRIBUTES[name]) for name in DETACH.get(entry.value.kind, ())}
    return {name: body for name, body in bodies.items() if body is not None}


def entry_document(entry: CacheEntry, value: Document | None, *, bounded: bool) -> Document:
    """Give the document of an entry in vinext's order; `bounded` adds what schema V2 has: `expireAt` and `cacheControl`."""
    document: Document = {
        "value": value,
        "tags": entry.tags,
        "lastModified": entry.last_modified_ms,
        "revalidateAt": entry.revalidate_at_ms,
    }
    if bounded:
        document["expireAt"] = entry.expire_at_ms
        control = entry.extra.get("cacheControl", _cache_control(entry))
        if control is not None:
            document["cacheControl"] = control
    document.update((name, field) for name, field in entry.extra.items() if name != "cacheControl")
    return document


def value_document(value: CacheValue) -> Document:
    """Give the fields of a value in vinext's order, absent ones left out; bodies are Body objects."""
    match value:
        case FetchValue():
            data = {"headers": value.headers, "body": value.body, "url": value.url, "status": value.status}
            fields: Document = {
                "data": {**_present(data), **value.data_extra},
                "tags": value.tags,
                "revalidate": value.revalidate,
            }
        case AppPageValue():
            fields = {
                "html": value.html,
                "rscData": value.rsc_data,
                "headers": value.headers,
                "postponed": value.postponed,
                "status": value.status,
            }
        case PagesValue():
            fields = {
                "html": value.html,
                "generatedFromDataRequest": value.generated_from_data_request,
                "headers": value.headers,
                "status": value.status,
            }
            fields = {"html": value.html, "pageData": value.page_data, **_present(fields)}
            return {"kind": value.kind, **fields, **value.extra}
        case AppRouteValue():
            fields = {"body": value.body, "status": value.status, "headers": value.headers}
        case RedirectValue():
            fields = {"props": value.props}
        case ImageValue():
            fields = {
                "etag": value.etag,
                "buffer": value.buffer,
                "extension": value.extension,
                "revalidate": value.revalidate,
            }
    return {"kind": value.kind, **_present(fields), **value.extra}


def body_field(value: Document, name: str) -> Body:
    """Give a body out of a `value_document`, where the fields that DETACH names hold nothing else."""
    return cast("Body", value[name])


def _read_value(document: object, bodies: Mapping[str, Body]) -> CacheValue:
    if not isinstance(document, dict):
        message = f"value is an object or null, not {type(document).__name__}"
        raise CorruptValueError(message)
    fields = Fields(document, "value")
    kind = fields.take("kind")
    match kind:
        case "FETCH":
            return _read_fetch(fields)
        case "APP_PAGE":
            return AppPageValue(
                html=fields.body("html", bodies),
                rsc_data=fields.optional_body("rscData", bodies),
                headers=fields.headers(),
                postponed=fields.optional_text("postponed"),
                status=fields.status(),
                extra=fields.rest(),
            )
        case "PAGES":
            return PagesValue(
                html=fields.body("html", bodies),
                page_data=fields.take("pageData", None),
                headers=fields.headers(),
                status=fields.status(),
                generated_from_data_request=fields.optional_flag("generatedFromDataRequest"),
                extra=fields.rest(),
            )
        case "APP_ROUTE":
            return AppRouteValue(
                body=fields.body("body", bodies),
                status=fields.required("status", fields.status()),
                headers=fields.required("headers", fields.headers()),
                extra=fields.rest(),
            )
        case "REDIRECT":
            return RedirectValue(props=fields.mapping("props"), extra=fields.rest())
        case "IMAGE":
            return ImageValue(
                etag=fields.text("etag"),
                buffer=fields.body("buffer", bodies),
                extension=fields.text("extension"),
                revalidate=fields.optional_number("revalidate"),
                extra=fields.rest(),
            )
    message = f"value.kind is none of vinext's: {str(kind)[:40]!r}"
    raise CorruptValueError(message)


def _read_fetch(fields: Fields) -> FetchValue:
    data = Fields(dict(fields.mapping("data")), "value.data")
    headers = data.headers() or {}
    if not all(isinstance(item, str) for item in headers.values()):
        raise data.refuse("headers", headers, "an object of strings")
    return FetchValue(
        headers={name: item for name, item in headers.items() if isinstance(item, str)},
        body=data.text("body"),
        url=data.text("url"),
        status=data.status(),
        tags=fields.optional_strings("tags"),
        revalidate=fields.revalidate(),
        data_extra=data.rest(),
        extra=fields.rest(),
    )


def _periods(
    control: Mapping[str, object] | None, last_modified: int, revalidate_at: float | None, expire_at: float | None
) -> tuple[float | None, float | None, float | None]:
    """Give the periods that `cacheControl` states; where it says nothing, those that the times amount to."""
    revalidate = expire = stale = None
    if control is not None:
        fields = Fields(control, "entry.cacheControl")
        revalidate = fields.optional_number("revalidate", required=True)
        expire = fields.optional_number("expire")
        stale = fields.optional_number("stale")
    if revalidate_at is None:
        revalidate = None
    elif revalidate is None:
        revalidate = _seconds(revalidate_at - last_modified)
    if expire is None and expire_at is not None:
        expire = _seconds(expire_at - last_modified)
    return revalidate, expire, stale


def _cache_control(entry: CacheEntry) -> Document | None:
    if entry.revalidate_seconds is None:
        return None
    control = {"revalidate": entry.revalidate_seconds, "expire": entry.expire_seconds, "stale": entry.stale_seconds}
    return _present(control)


def _present(fields: Mapping[str, object]) -> Document:
    return {name: field for name, field in fields.items() if field is not None}


def _milliseconds(number: float) -> int:
    return math.floor(number)


def _seconds(milliseconds: float) -> float:
    seconds = milliseconds / 1000
    return int(seconds) if seconds.is_integer() else seconds
