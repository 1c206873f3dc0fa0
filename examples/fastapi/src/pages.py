"""The pages for people, as HTML."""

from datetime import UTC, datetime
from html import escape


def list_page(items):
    rows = "".join(f'<li><a href="/items/{escape(name)}">{escape(name)}</a>, {item.price:.2f}' for name, item in items.items())
    return _page("A shop", f"<ul>{rows}</ul>")


def item_page(item):
    return _page(item.name, f"<p>{item.price:.2f}, {item.left} left</p>")


def _page(title, main):
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<main><h1>{escape(title)}</h1>{main}</main><footer>Made at <time>{made}</time></footer></html>"
    )
