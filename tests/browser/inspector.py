"""The inspector, as an operator uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKEN = "the operator's"


def sign_in(page: Page) -> None:
    """Sign in where the token is asked for, and wait for what is shown then."""
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entries")
