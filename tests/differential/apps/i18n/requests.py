"""Locales by a proxy: the default one without a prefix (a rewrite), others by what the browser or a cookie prefers."""

from tests.differential.client import navigation, payload
from tests.differential.script import Ask, Pause, Script, visit

_GERMAN = {"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"}
_FRENCH = {"Cookie": "NEXT_LOCALE=fr"}

SCRIPT = Script(
    attacked=["/news/{}"],
    visits=[
        visit(
            "home",
            Ask("/"),
            Ask("/").settled(),
            Ask("/", headers=_GERMAN),
            Ask("/", headers=_FRENCH),
            Ask("/", headers={**_GERMAN, **_FRENCH}),
            Ask("/", "HEAD"),
            Ask("/").again(),
            Ask("/?ref=mail"),
            Ask("/?ref=mail", headers=_GERMAN),
        ),
        visit("a prefix", Ask("/de"), Ask("/de").settled(), Ask("/de", headers={"Cookie": "NEXT_LOCALE=de"}), Ask("/de", "HEAD")),
        visit("the default with a prefix", Ask("/en"), Ask("/en/about"), Ask("/en/news/built")),
        visit("about", Ask("/about"), Ask("/about").settled(), Ask("/about", headers=_GERMAN), Ask("/fr/about").settled()),
        visit(
            "payloads",
            payload("/about"),
            payload("/about").settled(),
            payload("/about").having(**_GERMAN),
            payload("/de/about").settled(),
            navigation("/fr/about"),
            Ask("/de/about.rsc"),
        ),
        visit(
            "a period behind a rewrite",
            Ask("/news/fresh"),
            Ask("/news/fresh").settled(),
            Ask("/de/news/fresh"),
            Ask("/de/news/fresh").settled(),
            Pause(2.2),
            Ask("/news/fresh"),
            Pause(0.5),
            Ask("/news/fresh").settled(),
            payload("/news/fresh").settled(),
        ),
        visit(
            "not found",
            Ask("/news/missing"),
            Ask("/de/news/missing"),
            Ask("/de/nothing"),
            Ask("/nothing/at/all"),
            Ask("/xx/about"),
            Ask("/de/"),
        ),
    ],
)
