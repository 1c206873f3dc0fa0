"""The example site: static pages, pages with a period, tags, a redirect, dynamic pages, a route handler, Server Actions."""

from tests.differential.client import loading_shell, navigation, payload, prefetch
from tests.differential.script import Ask, Files, Pause, Script, Submit, visit

_RENEW = "/api/revalidate"

SCRIPT = Script(
    visits=[
        visit("a page", Ask("/about"), Ask("/about").settled(), Ask("/about").again(), Ask("/about", "HEAD"), Ask("/about?a=1")),
        visit("files", Files("/"), Ask("/favicon.ico"), Ask("/favicon.ico", "HEAD"), Ask("/_next/static/nothing.js")),
        visit(
            "payloads",
            payload("/big"),
            payload("/big").settled(),
            navigation("/big"),
            prefetch("/big"),
            loading_shell("/big"),
            Ask("/big.rsc"),
            Ask("/big", headers={"RSC": "1"}),
        ),
        visit(
            "posts",
            Ask("/blog/new"),
            Ask("/blog/new").settled(),
            payload("/blog/new").settled(),
            Ask(f"{_RENEW}?path=/blog/new", "POST", body=b""),
            Ask("/blog/new"),
            Ask("/blog/new").settled(),
            payload("/blog/new").settled(),
            Ask("/blog/%E6%97%A5%E6%9C%AC%E8%AA%9E"),
            Ask("/blog/a%2Bb%20%26%20c"),
            Ask("/docs/caching/tags").settled(),
            Ask("/docs/missing-thing"),
        ),
        visit(
            "a period",
            Ask("/tick").just_renewed(),
            Pause(2.2),
            Ask("/tick"),
            Pause(0.5),
            Ask("/tick").settled(),
            payload("/tick"),
        ),
        visit(
            "tags",
            Ask("/tagged").settled(),
            Ask(f"{_RENEW}?tag=products"),
            Ask("/tagged"),
            Ask("/tagged").settled(),
            Ask(f"{_RENEW}?tag=products&expire=60"),
            Ask("/tagged"),
            Pause(0.6),
            Ask("/tagged").settled(),
            Ask(f"{_RENEW}?tag=nothing&when=after"),
            # They show the same data.
            Ask("/actions").settled(),
            Submit("/actions", "refreshBlog"),
            Submit("/actions", "refreshProductsAndShow"),
            Ask("/actions"),
        ),
        visit("a redirect", Ask("/moved"), Ask("/moved", "HEAD"), payload("/moved")),
        visit("dynamic pages", Ask("/dash"), Ask("/search?q=tags"), Ask("/search"), payload("/dash")),
        visit(
            "a route handler",
            Ask("/api/time"),
            Ask("/api/time").settled(),
            Ask("/api/time", "HEAD"),
            Ask("/api/time", "POST", body=b""),
        ),
        visit(
            "nothing there", Ask("/missing"), Ask("/missing"), payload("/missing"), Ask("/about/"), Ask("/about", "PUT", body=b"")
        ),
    ],
)
