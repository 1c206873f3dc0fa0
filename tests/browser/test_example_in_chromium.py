"""The example behind the Worker, as a visitor's browser sees it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from playwright.sync_api import expect
from tests.browser.accessibility import accessibility_faults
from tests.browser.inspector import TOKEN, sign_in
from tests.browser.pictures import PICTURE_SIZE
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator
    from tests.browser.pictures import Pictures
    from tests.browser.tab import Requested, Tab
    from tests.workerd.example import ServedExample

POSTS = [
    "First light",
    "Stale is fine",
    "Tags, not timers",
    "One render for fifty visitors",
    "At the edge",
    "Héllo wörld",
    "日本語",
    "a+b & c",
]
RSC = {"RSC": "1", "Accept": "text/x-component"}


def keep_draft(example: ServedExample) -> str:
    """A page that the build did not know, made by a first visitor and kept; return its path."""
    path = "/blog/not-written-yet"
    assert example.visitor.ask(path).status == 200
    eventually(lambda: example.visitor.ask(f"{path}?_rsc", headers=RSC), lambda answer: answer.state == "HIT")
    return path


def test_links_are_followed_without_loading_another_page(tab: Tab) -> None:
    tab.open("/")
    tab.shows("One page for each way to cache", "/")
    for link, heading, path in [
        ("About", "About", "/about"),
        ("Blog", "Blog", "/blog"),
        ("Docs", "Documentation", "/docs/intro"),
        ("Big", "A big page", "/big"),
        ("Home", "One page for each way to cache", "/"),
    ]:
        tab.follow(link)
        tab.shows(heading, path)
    tab.settle()
    assert tab.documents == ["/"]
    assert tab.asked("document")[0].state == "HIT"


def test_what_is_prefetched_of_the_build_comes_from_cache(tab: Tab) -> None:
    def seeded() -> list[Requested]:
        return [each for each in tab.asked("prefetch") if each.path.startswith("/blog/") and each.path != "/blog/not-written-yet"]

    tab.open("/blog")
    tab.wait_until(lambda: len(seeded()) >= 5)
    assert {(each.status, each.state) for each in seeded()} == {(200, "HIT")}


def test_posts_with_awkward_names_are_followed_without_loading_another_page(tab: Tab) -> None:
    tab.open("/blog")
    for title in POSTS:
        tab.page.get_by_role("main").get_by_role("link", name=title, exact=True).click()
        expect(tab.page.get_by_role("heading", level=1)).to_have_text(title)
        assert title in tab.page.title()
        tab.page.get_by_role("link", name="All posts").click()
        tab.shows("Blog", "/blog")
    assert tab.documents == ["/blog"]


def test_a_link_to_a_page_of_the_build_that_was_not_prefetched_is_a_hit(tab: Tab) -> None:
    tab.shrink()
    tab.open("/")
    tab.follow_unseen("/docs/caching/tags")
    tab.shows("Documentation", "/docs/caching/tags")
    assert [each.state for each in tab.asked("navigation", "/docs/caching/tags")] == ["HIT"]
    assert tab.documents == ["/"]


def test_a_page_made_after_the_build_is_prefetched_from_cache(example: ServedExample, tab: Tab) -> None:
    path = keep_draft(example)
    tab.open("/blog")
    link = tab.page.get_by_role("link", name="Not written yet")
    link.scroll_into_view_if_needed()
    tab.wait_for("prefetch", path)
    link.click()
    tab.shows("Draft: not-written-yet", path)
    assert {(each.status, each.state) for each in tab.asked("prefetch", path)} == {(200, "HIT")}
    assert tab.documents == ["/blog"]


def test_a_page_made_after_the_build_is_a_hit_when_its_link_is_followed(example: ServedExample, tab: Tab) -> None:
    path = keep_draft(example)
    tab.shrink()
    tab.open("/blog")
    tab.follow_unseen("Not written yet")
    tab.shows("Draft: not-written-yet", path)
    assert [each.state for each in tab.asked("navigation", path)] == ["HIT"]
    assert tab.documents == ["/blog"]


def test_a_page_that_nobody_has_asked_for_is_made_for_the_client(example: ServedExample, tab: Tab) -> None:
    assert example.visitor.ask("/api/revalidate?path=/blog/not-written-yet").status == 200
    tab.shrink()
    tab.open("/blog")
    tab.follow_unseen("Not written yet")
    tab.shows("Draft: not-written-yet", "/blog/not-written-yet")
    assert tab.asked("navigation", "/blog/not-written-yet")[0].state == "MISS"
    assert tab.documents == ["/blog"]


def test_back_and_forward_show_what_was_there(tab: Tab) -> None:
    tab.open("/about")
    tab.follow("Blog")
    tab.shows("Blog", "/blog")
    tab.page.get_by_role("link", name="Stale is fine").click()
    tab.shows("Stale is fine", "/blog/stale-is-fine")
    tab.page.go_back()
    tab.shows("Blog", "/blog")
    tab.page.go_back()
    tab.shows("About", "/about")
    tab.page.go_forward()
    tab.shows("Blog", "/blog")
    tab.page.go_forward()
    tab.shows("Stale is fine", "/blog/stale-is-fine")
    assert tab.documents == ["/about"]


def test_a_reload_shows_the_same_page_from_cache(tab: Tab) -> None:
    tab.open("/blog/at-the-edge")
    before = tab.stamp()
    tab.page.reload()
    tab.shows("At the edge", "/blog/at-the-edge")
    assert tab.stamp() == before
    assert [each.state for each in tab.asked("document")] == ["HIT", "HIT"]


def test_dynamic_pages_work_and_are_not_cached(tab: Tab) -> None:
    tab.open("/")
    tab.follow("Dashboard")
    tab.shows("Hello, stranger", "/dash")
    tab.follow("Search")
    tab.shows("Search", "/search")
    tab.page.get_by_label("Search for").fill("tags")
    tab.page.get_by_role("button", name="Search").click()
    expect(tab.page.locator("[data-query=tags]")).to_contain_text("1 post")
    # vinext says MISS where a page turns out to be dynamic while it streams.
    assert {each.state for each in tab.requests if each.path in {"/dash", "/search"}} <= {None, "MISS"}
    assert tab.documents == ["/"]


def test_a_page_that_gets_stale_is_renewed_behind_the_visitor(tab: Tab) -> None:
    tab.open("/tick")
    first = tab.stamp()

    def reloaded() -> str:
        tab.page.reload()
        return tab.stamp()

    eventually(reloaded, lambda stamp: stamp > first)
    assert {each.state for each in tab.asked("document")} <= {"HIT", "STALE"}


def test_a_server_action_that_invalidates_shows_the_new_page(tab: Tab) -> None:
    tab.open("/tagged")
    before = tab.stamp("made-at")
    tab.follow("Actions")
    tab.shows("Server Actions", "/actions")
    tab.page.get_by_role("button", name="… and go to the products").click()
    tab.shows("Tagged", "/tagged")
    after = tab.stamp("made-at")
    assert after > before
    assert tab.documents == ["/tagged"]
    tab.page.reload()
    tab.shows("Tagged", "/tagged")
    assert tab.stamp("made-at") == after


def test_a_server_action_without_a_redirect_renews_the_page_it_is_on(tab: Tab) -> None:
    tab.open("/actions")
    before = tab.stamp("made-at")
    tab.page.get_by_role("button", name="Invalidate the tag “products”").click()
    eventually(lambda: tab.stamp("made-at"), lambda made: made > before)
    assert [each.status for each in tab.asked("action")] == [200]
    tab.follow("Tagged")
    tab.shows("Tagged", "/tagged")
    assert tab.stamp("made-at") > before
    assert tab.documents == ["/actions"]


def test_the_visitor_who_invalidated_sees_the_new_page_on_the_next_load(tab: Tab) -> None:
    tab.open("/tagged")
    before = tab.stamp("made-at")
    tab.page.get_by_role("link", name="/api/revalidate?tag=products").click()
    tab.page.wait_for_url("**/api/revalidate?tag=products")
    tab.page.goto(f"{tab.url}/tagged")
    assert tab.stamp("made-at") > before


def test_a_redirect_of_the_build_leads_where_it_should(tab: Tab) -> None:
    tab.open("/")
    tab.page.get_by_role("link", name="a redirect").click()
    tab.shows("About", "/about")


def test_the_site_works_without_javascript(example: ServedExample, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{example.runtime.url}/tagged")
        before = page.locator("main [data-made-at]").get_attribute("data-made-at") or ""
        page.goto(f"{example.runtime.url}/actions")
        page.get_by_role("button", name="… and go to the products").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Tagged")
        after = page.locator("main [data-made-at]").get_attribute("data-made-at") or ""
        assert after > before > ""


def test_the_inspector_finds_a_page_and_invalidates_it(example: ServedExample, browser: Browser) -> None:
    assert example.visitor.ask("/about").state == "HIT"
    complaints: list[str] = []
    with browser.new_context(viewport={"width": 390, "height": 800}) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.goto(f"{example.runtime.url}/__vinext/inspect")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        sign_in(page)
        page.get_by_label("Path begins with").fill("/about")
        page.get_by_role("button", name="List").click()
        row = page.get_by_role("row").filter(has=page.get_by_text("html", exact=True))
        # The wrong token was refused, and no style was. On the page of the entry, the frame blocks what the page wants to run.
        assert [said for said in complaints if said.startswith(("error", "warning")) and "401" not in said] == []
        row.get_by_role("link", name="/about", exact=True).click()
        expect(page.get_by_text("HIT: served.fresh")).to_be_visible()
        expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_have_text("About")
        assert any("script" in said and "sandboxed" in said for said in complaints), complaints
        page.get_by_role("button", name="Revalidate now").click()
        expect(page.get_by_role("status")).to_have_text("The page is invalidated: the next request renders it.")
        assert example.visitor.ask("/about").state == "MISS"
        eventually(lambda: example.visitor.ask("/about").state, lambda state: state == "HIT")
        before = example.visitor.ask("/about").text
        page.get_by_role("button", name="Regenerate now").click()
        expect(page.get_by_role("status")).to_have_text("The page was rendered just now, and its new entry is stored.")
        after = example.visitor.ask("/about")
        assert (after.state, after.text != before) == ("HIT", True)


def test_nothing_that_is_cached_can_run_in_the_inspector(example: ServedExample, browser: Browser) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    key = f"app:v2:{example.manifest()['buildId']}:/evil/{evil}:html"
    value = {"kind": "APP_PAGE", "html": f"<title>evil</title>{evil}", "headers": {"x-evil": evil}, "status": 200}
    control = {"revalidate": 600}
    now_ms = int(time.time() * 1000)
    entry = {"key": key, "value": value, "tags": [evil], "lastModified": now_ms, "revalidateAt": now_ms + 600_000}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = json.dumps({**entry, "cacheControl": control}).encode()
    assert json.loads(example.visitor.ask("/__vinext/seed", "POST", headers, body).body)["accepted"] == 1
    body = json.dumps({"tags": [evil]}).encode()
    assert example.visitor.ask("/__vinext/revalidate", "POST", headers, body).status == 200
    dialogs: list[str] = []

    def hear(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    # What the inspector's CSP forbids may run here, so only its escaping and the sandbox of the frame are in the way.
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.on("dialog", hear)
        page.goto(f"{example.runtime.url}/__vinext/inspect")
        sign_in(page)
        query = urlencode({"prefix": "/evil/", "tag": evil})
        for below in (f"?{query}", f"/entry?{urlencode({'key': key})}", f"/tags?{urlencode({'prefix': '<'})}"):
            page.goto(f"{example.runtime.url}/__vinext/inspect{below}", wait_until="networkidle")
            expect(page.get_by_text("<script>alert(1)</script>").first).to_be_attached()
    # The body alone has nothing but its CSP.
    with browser.new_context() as context:
        page = context.new_page()
        page.on("dialog", hear)
        page.goto(f"{example.runtime.url}/__vinext/inspect")
        sign_in(page)
        page.goto(f"{example.runtime.url}/__vinext/inspect/body?{urlencode({'key': key})}", wait_until="networkidle")
        expect(page).to_have_title("evil")
        # Another page cannot frame the inspector.
        page.goto("about:blank")
        page.set_content(f'<iframe src="{example.runtime.url}/__vinext/inspect"></iframe>')
        expect(page.frame_locator("iframe").get_by_role("heading", level=1)).not_to_be_attached()
    assert dialogs == []


def test_the_inspector_needs_no_mouse(example: ServedExample, browser: Browser) -> None:
    assert example.visitor.ask("/docs/intro").state == "HIT"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{example.runtime.url}/__vinext/inspect")
        # The field has the focus, from the first frame that is painted on.
        expect(page.get_by_label("Token")).to_be_focused()
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Entries")
        tab_to(page.get_by_label("Path begins with"))
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type("/docs/intro")
        page.keyboard.press("Enter")
        # The link is on the page before, too.
        page.wait_for_url("**/__vinext/inspect?*")
        tab_to(page.get_by_role("link", name="/docs/intro", exact=True).first)
        page.keyboard.press("Enter")
        tab_to(page.get_by_role("button", name="Revalidate now"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("The page is invalidated")
    assert example.visitor.ask("/docs/intro").state == "MISS"


def tab_to(wanted: Locator) -> None:
    """Go on with Tab until an element has the focus, which shows."""
    for _ in range(100):
        wanted.page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement && element.matches(':focus-visible')"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_the_inspector_is_accessible_and_fits_a_phone(example: ServedExample, browser: Browser, pictures: Pictures) -> None:
    """Each page in light and dark, by axe-core; on a phone nothing has to be scrolled sideways."""
    for path in ("/", "/about", "/blog/first-light", "/docs/intro", "/tagged"):
        example.visitor.ask(path)
    assert example.visitor.ask("/api/revalidate?tag=products").status == 200
    with browser.new_context(viewport=PICTURE_SIZE, bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{example.runtime.url}/__vinext/inspect")
        faults = accessibility_faults(page, "the sign-in")
        sign_in(page)
        entry = page.get_by_role("link", name="/about", exact=True).first.get_attribute("href") or ""
        pages = {
            "entries": "/__vinext/inspect",
            "entry": entry,
            "tags": "/__vinext/inspect/tags",
            "builds": "/__vinext/inspect/builds",
            "numbers": "/__vinext/inspect/numbers",
            "prune": "/__vinext/inspect/builds?prune=older",
        }
        for name, url in pages.items():
            page.goto(f"{example.runtime.url}{url}")
            pictures.take(page, f"inspector-{name}")
            faults += accessibility_faults(page, name)
    assert faults == []
