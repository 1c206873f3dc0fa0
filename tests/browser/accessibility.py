"""What axe-core finds wrong with a page, and what does not fit a phone."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

_SCREENS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("a desktop, dark", {"width": 1200, "height": 800}, "dark"),
    ("a phone, light", {"width": 360, "height": 740}, "light"),
)

_RUN = """async () => (await axe.run({ iframes: false, resultTypes: ["violations"] })).violations.flatMap(
  ({id, nodes}) => nodes.map(({html}) => `${id}: ${html}`))"""


def accessibility_faults(page: Page, name: str) -> list[str]:
    """Return the faults of a page, dark on a desktop and light on a phone. Its context bypasses the page's CSP."""
    size = page.viewport_size
    assert size is not None
    faults: list[str] = []
    page.add_script_tag(content=_axe())
    for screen, viewport, scheme in _SCREENS:
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        faults += [f"{name} on {screen}: {fault}" for fault in page.evaluate(_RUN)]
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > viewport["width"]:
            faults.append(f"{name} on {screen}: {width} px wide")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)
    return faults


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()
