"""Requests as vinext's client sends them: their headers, and the `_rsc` that says which of a page's payloads is meant."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.differential.script import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping

_RSC = {"RSC": "1", "Accept": "text/x-component"}
_HASHED = (
    "Next-Router-Prefetch",
    "Next-Router-Segment-Prefetch",
    "Next-Router-State-Tree",
    "Next-Url",
    "X-Vinext-Interception-Context",
    "X-Vinext-Interception-Id",
    "X-Vinext-Mounted-Slots",
    "X-Vinext-Rsc-Render-Mode",
)
_FINGERPRINT = "X-Vinext-Rsc-State-Fingerprint"
_DIGEST_BYTES = 12
_SHELL = {
    "Next-Router-Prefetch": "1",
    "Next-Router-Segment-Prefetch": "1",
    "X-Vinext-Rsc-Render-Mode": "prefetch-loading-shell",
}


def payload(path: str, headers: Mapping[str, str] | None = None) -> Ask:
    """A request for the RSC payload of a page. With no more headers it is the one that navigations and prefetches share."""
    given = {**_RSC, **(headers or {})}
    mark = "&" if "?" in path else "?"
    busting = rsc_parameter(given)
    return Ask(f"{path}{mark}_rsc={busting}" if busting else f"{path}{mark}_rsc", headers=given)


def navigation(path: str, state: str = "1f2e3d", mounted: str | None = None) -> Ask:
    """The payload for a link that is followed from a page: its state is known, and the layouts that are there."""
    layouts = {} if mounted is None else {"X-Vinext-Mounted-Layouts": mounted}
    return payload(path, {_FINGERPRINT: state, **layouts})


def prefetch(path: str, current: str = "/") -> Ask:
    """The payload for a link that comes into view on the page `current`."""
    tree = quote(json.dumps(["", {"children": ["__PAGE__", {}]}]), safe="")
    return payload(
        path, {"Next-Router-Prefetch": "1", "Next-Router-State-Tree": tree, "Next-Url": current, _FINGERPRINT: "1f2e3d"}
    )


def loading_shell(path: str) -> Ask:
    """The part of a page that is shown while the rest loads."""
    return payload(path, _SHELL)


def intercepted(path: str, context: str, identity: str | None = None) -> Ask:
    """The payload for a link that a route below `context` intercepts."""
    named = {} if identity is None else {"X-Vinext-Interception-Id": identity}
    return payload(path, {"X-Vinext-Interception-Context": context, **named})


def with_slots(path: str, slots: str) -> Ask:
    """The payload for a client that has parallel routes mounted."""
    return payload(path, {"X-Vinext-Mounted-Slots": slots})


def rsc_parameter(headers: Mapping[str, str]) -> str:
    """The value of `_rsc` that vinext 1.4.0 takes as right for these headers; empty for a page's one full payload."""
    values = [headers.get(name) for name in _HASHED]
    if _FINGERPRINT in headers:
        values.append(headers[_FINGERPRINT])
    if all(value is None for value in values):
        return ""
    digest = hashlib.sha256(",".join("0" if value is None else value for value in values).encode()).digest()
    return base64.urlsafe_b64encode(digest[:_DIGEST_BYTES]).decode().rstrip("=")
