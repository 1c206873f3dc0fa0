"""The HTML of the inspector: whatever is shown is escaped, unless it is HTML of this module's own making."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from core.body import BytesBody
from core.javascript import to_utf8
from isr.answer import CachedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1d1d1f;--dim:#5a5a62;--link:#0b57d0;--line:#d9d9df;--soft:#f3f3f6}
@media(prefers-color-scheme:dark){
:root{--back:#17171a;--text:#e9e9ec;--dim:#a9a9b3;--link:#8ab4f8;--line:#3a3a41;--soft:#232328}}
html{background:var(--back);color:var(--text)}
body{font:1rem/1.5 system-ui,sans-serif;max-width:76rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
a{color:var(--link)}h1{font-size:1.4rem;margin:1rem 0 .5rem}h2{font-size:1.1rem;margin-top:2rem}
nav{display:flex;gap:.25rem 1.25rem;flex-wrap:wrap;align-items:center;border-bottom:1px solid var(--line)}
nav a{text-decoration:none}nav [aria-current]{color:inherit;font-weight:600}nav span{margin-left:auto;color:var(--dim)}
form{display:inline-flex;gap:.5rem;flex-wrap:wrap;align-items:center;margin:.25rem .75rem .25rem 0}
input,button,select{font:inherit;color:inherit;background:var(--soft);border:1px solid var(--dim);border-radius:.35rem;
padding:.3rem .7rem;max-width:100%;box-sizing:border-box}input{background:var(--back)}button{cursor:pointer}
table{border-collapse:collapse;width:100%;margin:.75rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line)}
th{white-space:nowrap;color:var(--dim);font-weight:400}
[data-name=age],[data-name=period],[data-name=size],[data-name=count],[data-name=step],[data-name=reason],[title]{
white-space:nowrap}
pre{background:var(--soft);padding:.75rem;overflow:auto;max-height:30rem;white-space:pre-wrap}
iframe{width:100%;height:30rem;border:1px solid var(--line);background:#fff}
.note{background:var(--soft);padding:.5rem .75rem}.bad{border-left:.3rem solid #d33}
@media(max-width:45rem){thead{display:none}tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
td{display:flex;gap:.75rem;border:0;padding:.1rem 0}td::before{content:attr(data-name);flex:0 0 6rem;color:var(--dim)}}
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

# Nothing runs, nothing is sent, and nothing of another site is loaded.
BODY_CSP = (
    "sandbox; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)

FIXED_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"))


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(*parts: object) -> Html:
    """Return parts as HTML, one after the other; what is no Html is escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(str(part)) for part in parts))


def tag(element: str, /, *parts: object, **attributes: object) -> Html:
    """Return an element; an underscore at the end of an attribute's name is left out, others are hyphens."""
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(text))}"' for key, text in attributes.items())
    return Html(f"<{element}{named}>{html(*parts)}</{element}>")


def field(**attributes: object) -> Html:
    """Return an input."""
    return Html(tag("input", **attributes).removesuffix("</input>"))


def table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Html:
    """Return a table; on a phone each row is a list of its named cells."""
    names = tuple(names)
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))
    cells = (
        tag("tr", *(tag("td", tag("div", cell), data_name=name) for name, cell in zip(names, row, strict=True))) for row in rows
    )
    return tag("table", head, tag("tbody", *cells))


_NO_NAV = Html()


def page(
    title: str, *parts: object, nav: Html = _NO_NAV, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> CachedAnswer:
    """Return a whole page; `nav` stands above its title."""
    head = Html(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    document = html(head, nav, tag("main", tag("h1", title), *parts))
    fixed = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", CSP),
        ("X-Frame-Options", "DENY"),
        *FIXED_HEADERS,
    )
    return CachedAnswer(status, (*fixed, *headers), BytesBody(to_utf8(document)))


def see_other(location: str, *headers: tuple[str, str]) -> CachedAnswer:
    """Return a redirect after a form."""
    return CachedAnswer(303, (("Location", location), *FIXED_HEADERS, *headers), None)
