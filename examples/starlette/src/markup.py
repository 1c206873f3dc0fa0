"""HTML from Python's template strings: what is put into one is escaped, unless it is HTML already."""

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse

LAYOUT = Template((Path(__file__).parent / "layout.html").read_text())


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(template):
    return Html("".join(part if isinstance(part, str) else escaped(part.value) for part in template))


def escaped(value):
    if isinstance(value, Html):
        return value
    return "".join(map(escaped, value)) if isinstance(value, list) else escape(str(value))


def page(main, title="Starlette on vinext-worker", status=200):
    """Answer with a whole page; `main` is its template string."""
    footer = html(t"<footer>Made at <time>{now()}</time></footer>")
    return HTMLResponse(LAYOUT.substitute(title=escape(title), main=html(main), footer=footer), status)


def now():
    return datetime.now(UTC).isoformat(timespec="seconds")
