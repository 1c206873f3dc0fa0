"""Pages of the Pages Router: one entry keeps the HTML and the data by which a client navigates to the page.

vinext renders both from the same props, and writes these into the HTML (`__NEXT_DATA__`). So one render gives both.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from cache.entry import PagesValue
from core.body import BytesBody, body_text, parse_json, text_body
from core.errors import CorruptValueError
from core.http import REDIRECTS
from core.javascript import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.entry import RedirectValue
    from core.body import Body

ROUTER = "pages"
"""The router's name in the manifest."""

MATCHED_PATH_HEADER = "x-nextjs-matched-path"
"""The header that tells a client, beside the data, the page's route."""

ERROR_PATHS = frozenset({"/404", "/500", "/_error"})
"""Pages that are rendered in the place of others, and not asked for by their own paths."""

FOR_EACH_VISITOR = "its getInitialProps runs for each visitor"
"""Why a page that `is_for_each_visitor` is no page of the build."""

DATA_FOLDER = "/_next/data/"
_DATA_SUFFIX = ".json"

_ROUTE_CHARACTERS = "/[]().,:;=@!$&'*+-_~"

# The characters that vinext escapes in JSON which may stand in HTML.
_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def data_page(path: str, build_id: str | None) -> str | None:
    """Return the path of the page whose data is at a URL path, None if it is no data of this build."""
    prefix = f"{DATA_FOLDER}{build_id}/"
    if not build_id or not path.startswith(prefix) or not path.endswith(_DATA_SUFFIX):
        return None
    name = path[len(prefix) : -len(_DATA_SUFFIX)]
    if name == "index":
        return "/"
    # A page whose own path begins with /index moves down a folder.
    name = name.removesuffix("/index") if name.endswith("/index") else name.removeprefix("index/")
    return f"/{name}" if name else None


def data_url(path: str, build_id: str) -> str:
    """Return the URL path of a page's data; `path` is the page's URL path without a slash at its end."""
    moves_down = path == "/index" or path.startswith("/index/")
    name = f"/index{path}" if moves_down else path if path != "/" else "/index"
    return f"{DATA_FOLDER}{build_id}{name}{_DATA_SUFFIX}"


def pages_value(html: Body, headers: Mapping[str, str], status: int, base_path: str) -> PagesValue | None:
    """Return the value of a page from the answer to a request for its HTML; None if the answer does not tell its data."""
    headers = {name.lower(): text for name, text in headers.items()}
    location = headers.get("location")
    if status in REDIRECTS and location is not None:
        data: object = _redirect_data(location, status, base_path)
        return PagesValue(html=text_body(location), page_data=data, headers=headers, status=status)
    if status == HTTPStatus.NOT_FOUND:
        return PagesValue(html=html, page_data={}, headers=headers, status=status)
    rendered = _next_data(html)
    if rendered is None:
        return None
    route = rendered.get("page")
    if isinstance(route, str):
        headers.setdefault(MATCHED_PATH_HEADER, quote(route, safe=_ROUTE_CHARACTERS))
    return PagesValue(html=html, page_data=rendered["props"], headers=headers, status=status)


def has_static_props(html: Body) -> bool:
    """Return whether `getStaticProps` has made a page, by its HTML."""
    rendered = _next_data(html)
    return rendered is not None and rendered.get("gsp") is True


def is_for_each_visitor(html: Body) -> bool:
    """Return whether `getInitialProps` has made a page, its own or that of the whole app, which vinext calls for each request.

    vinext renders such a page for a build as any other, and never serves what it has rendered then.
    """
    rendered = _next_data(html) or {}
    return rendered.get("gip") is True or (rendered.get("appGip") is True and rendered.get("gsp") is not True)


def redirect_value(value: RedirectValue, base_path: str) -> PagesValue | None:
    """Return the value of a redirect that vinext has stored as such; None if it leads nowhere."""
    props = value.props.get("pageProps")
    match props:
        case {"__N_REDIRECT": str(destination), "__N_REDIRECT_STATUS": int(status), **others} if status in REDIRECTS:
            is_below_base = others.get("__N_REDIRECT_BASE_PATH") is not False and destination.startswith("/")
            location = f"{base_path}{destination}" if is_below_base else destination
            headers = {"location": location}
            if status == HTTPStatus.PERMANENT_REDIRECT:
                headers["refresh"] = f"0;url={location}"
            return PagesValue(html=text_body(location), page_data=value.props, headers=headers, status=status)
    return None


def data_status(value: PagesValue) -> int:
    """Return the status of the answer to a request for the data. A redirect is for the client's router to follow."""
    return HTTPStatus.NOT_FOUND if value.status == HTTPStatus.NOT_FOUND else HTTPStatus.OK


def data_body(value: PagesValue) -> Body:
    """Return the data as vinext sends it."""
    if value.status == HTTPStatus.NOT_FOUND:
        return text_body('{"notFound":true}')
    return text_body(json_text(value.page_data).translate(_UNSAFE))


def _next_data(html: Body) -> dict[str, object] | None:
    data = html.to_bytes()  # as a text, a page with one emoji would take four times the room
    # vinext 1.4.0 writes a script of JSON, 0.0.38 an assignment.
    marker = max(data.rfind(b'id="__NEXT_DATA__"'), data.rfind(b"window.__NEXT_DATA__ = "))
    start = data.find(b"{", marker)
    end = data.find(b"</script>", start)
    if marker == -1 or start == -1 or end == -1:
        return None
    try:
        rendered = parse_json(body_text(BytesBody(data[start:end])))
    except CorruptValueError:
        return None
    # What a page shows before its data is there, is not the page.
    is_page = isinstance(rendered, dict) and isinstance(rendered.get("props"), dict) and not rendered.get("isFallback")
    return rendered if isinstance(rendered, dict) and is_page else None


def _redirect_data(location: str, status: int, base_path: str) -> dict[str, object]:
    props: dict[str, object] = {"__N_REDIRECT": location, "__N_REDIRECT_STATUS": status}
    if base_path and location.startswith("/"):
        if location == base_path or location.startswith(f"{base_path}/"):
            props["__N_REDIRECT"] = location[len(base_path) :] or "/"
        else:
            props["__N_REDIRECT_BASE_PATH"] = False
    return {"pageProps": props}
