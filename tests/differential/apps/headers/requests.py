"""Headers of next.config without a condition, and those of route handlers: they are on every answer, however a page was rendered."""

from tests.differential.client import navigation, payload
from tests.differential.script import Ask, Pause, Script, visit

_ANN = {"Cookie": "user=ann"}
_BOB = {"Cookie": "user=bob"}
_CLIENT = {"x-nextjs-data": "1"}

SCRIPT = Script(
    visits=[
        visit(
            "a page and its payload", Ask("/products/html"), payload("/products/html").settled(), Ask("/products/html").settled()
        ),
        visit(
            "a payload and its page", payload("/products/rsc"), Ask("/products/rsc").settled(), payload("/products/rsc").settled()
        ),
        visit(
            "a page that is rendered again",
            Ask("/products/again").just_renewed(),
            Pause(2.2),
            Ask("/products/again"),
            Pause(0.5),
            Ask("/products/again").settled(),
            payload("/products/again").settled(),
        ),
        visit(
            "a page that is rendered beside an answer",
            Ask("/products/query?a=1"),
            Pause(0.5),
            Ask("/products/query").settled(),
            navigation("/products/state"),
            Pause(0.5),
            Ask("/products/state").settled(),
        ),
        visit("another spelling", Ask("/products/%61bc"), Ask("/products/abc").settled(), payload("/products/abc").settled()),
        visit("the URL of a payload", Ask("/products/suffix.rsc"), Ask("/products/suffix").settled()),
        visit("another path", Ask("/any/one"), Ask("/any/one").settled(), Ask("/products/one"), Ask("/products/one").settled()),
        visit("a page of the Pages Router by another path", Ask("/latest/led"), Pause(0.5), Ask("/news/led").settled()),
        visit("Vary", Ask("/varies"), Ask("/varies").settled(), payload("/varies").settled()),
        visit("Cache-Control", Ask("/policy"), Ask("/policy").settled(), payload("/policy").settled()),
        visit("Set-Cookie", Ask("/cookie"), Ask("/cookie").settled(), payload("/cookie")),
        visit(
            "the Pages Router",
            Ask("/_next/data/{build}/news/data.json", headers=_CLIENT),
            Pause(0.5),
            Ask("/news/data").settled(),
            Ask("/news/renewed"),
            Ask("/news/renewed").settled(),
            Ask("/api/renew?path=/news/renewed"),
            Ask("/news/renewed").settled(),
        ),
        visit(
            "getInitialProps of the app",
            Ask("/news/shown", headers=_ANN),
            Ask("/news/shown").settled(),
            Ask("/news/shown", headers=_BOB),
            Ask("/_next/data/{build}/news/shown.json", headers=_CLIENT),
        ),
        visit(
            "a route handler's own Cache-Control",
            Ask("/api/feed").just_renewed(),
            Ask("/api/feed"),
            Ask("/api/feed", "HEAD"),
            Pause(2.2),
            Ask("/api/feed"),
        ),
        visit("the same of an answer for one visitor", Ask("/api/visitor", headers=_ANN), Ask("/api/visitor", headers=_BOB)),
    ],
)
