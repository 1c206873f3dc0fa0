"""`cacheComponents`: shells with holes, "use cache" in every form, and what cacheLife says to the client."""

from tests.differential.client import navigation, payload, prefetch
from tests.differential.script import Ask, Pause, Script, visit

_SLOW = 0.8
_ANN = {"Cookie": "user=ann"}
_DRAFT = {"Cookie": "__prerender_bypass={draft}"}


def _slow(path: str, headers: dict[str, str] | None = None) -> Ask:
    return Ask(path, headers=headers or {}, slow_seconds=_SLOW)


SCRIPT = Script(
    visits=[
        visit("a page that is static", Ask("/stat"), Ask("/stat"), payload("/stat"), Ask("/")),
        visit(
            "a shell and a hole",
            Ask("/ppr"),
            Ask("/ppr", headers=_ANN),
            Ask("/ppr"),
            payload("/ppr"),
            payload("/ppr").having(Cookie="user=ann"),
        ),
        visit("a hole that waits", _slow("/slow"), _slow("/slow", _ANN), _slow("/slowconn")),
        visit("a cached part that waits", _slow("/slowuse"), Ask("/slowuse").settled(), payload("/slowuse")),
        visit(
            "a page that is cached whole",
            Ask("/cached"),
            Ask("/cached").settled(),
            payload("/cached").settled(),
            Ask("/api/rt?tag=whole"),
            Ask("/cached"),
            Ask("/cached").settled(),
            Ask("/api/rt?tag=whole&profile=max"),
            Ask("/cached"),
            Pause(0.6),
            Ask("/cached").settled(),
        ),
        visit(
            "cacheLife", Ask("/life"), Ask("/life").settled(), payload("/life").settled(), navigation("/life"), prefetch("/life")
        ),
        visit("private and remote", Ask("/priv"), Ask("/priv", headers=_ANN), Ask("/priv")),
        visit(
            "parameters",
            Ask("/p/one"),
            Ask("/p/two"),
            Ask("/p/two", headers=_ANN),
            payload("/p/one"),
            payload("/p/one"),
            payload("/p/one").having(**_ANN),
        ),
        visit(
            "draft mode",
            Ask("/draft"),
            Ask("/draft").settled(),
            Ask("/preview/one").settled(),
            Ask("/api/draft"),
            Ask("/draft", headers=_DRAFT),
            payload("/draft").having(**_DRAFT),
            Ask("/preview/one", headers=_DRAFT),
            payload("/preview/one").having(**_DRAFT),
            Ask("/preview/two", headers=_DRAFT),
            Ask("/draft"),
            Ask("/draft").settled(),
            payload("/draft").settled(),
            Ask("/preview/one").settled(),
            payload("/preview/one").settled(),
            Ask("/preview/two").settled(),
            Ask("/draft", headers={"Cookie": "__prerender_bypass=forged"}),
            Ask("/api/draft?off=1"),
            Ask("/preview/one").settled(),
        ),
        visit("plain", Ask("/plain"), Ask("/plain"), payload("/plain")),
    ],
)
