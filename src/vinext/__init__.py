"""What the Python code of a site imports.

The Worker's other packages (`cache`, `seed`, `isr`, `pages`, `edge`) are its own business, and may change.
"""

from __future__ import annotations

from pages.choice import use_asgi, use_function, use_pages
from pages.page import Page
from pages.rendering import no_store
from pages.revalidate import revalidate

__all__ = ["Page", "no_store", "revalidate", "use_asgi", "use_function", "use_pages"]
