"""The Pages Router beside the App Router: periods of props, data of pages, every fallback, and what is not for the cache."""

from tests.differential.client import payload
from tests.differential.script import Ask, Pause, Script, Visit, visit

_ANN = {"Cookie": "user=ann"}
_MEMBER = {"Cookie": "member=1"}
_TOKEN = {"Authorization": "Bearer good"}
_CLIENT = {"x-nextjs-data": "1"}


def _data(page: str, headers: dict[str, str] | None = None) -> Ask:
    """The props of a page, as the client asks for them."""
    return Ask(f"/_next/data/{{build}}{page}.json", headers={**_CLIENT, **(headers or {})})


def _fallback(folder: str) -> Visit:
    return visit(
        f"paths of {folder}",
        Ask(f"/{folder}/built").settled(),
        Ask(f"/{folder}/new"),
        Pause(0.3),
        Ask(f"/{folder}/new"),
        _data(f"/{folder}/new"),
        _data(f"/{folder}/other"),
        Ask(f"/{folder}/missing"),
        Ask(f"/{folder}/moved"),
        _data(f"/{folder}/missing"),
        _data(f"/{folder}/moved"),
    )


SCRIPT = Script(
    attacked=["/user", "/posts/{}"],
    visits=[
        visit(
            "a period",
            Ask("/isr").just_renewed(),
            Ask("/isr").settled(),
            _data("/isr"),
            Ask("/isr", "HEAD"),
            Ask("/isr").again(),
            Ask("/isr?q=1"),
            Pause(2.2),
            Ask("/isr"),
            Pause(0.5),
            Ask("/isr").settled(),
            _data("/isr").settled(),
        ),
        visit(
            "renewed on demand",
            Ask("/posts/demand"),
            Ask("/posts/demand").settled(),
            Ask("/api/renew?path=/posts/demand"),
            Ask("/posts/demand"),
        ),
        _fallback("posts"),
        _fallback("fixed"),
        _fallback("open"),
        visit("no props", Ask("/fixed-page"), Ask("/fixed-page"), Ask("/fixed-page", "HEAD")),
        visit(
            "initial props of a request",
            Ask("/initial"),
            Ask("/initial", headers=_ANN),
            _data("/initial", _ANN),
            Ask("/initial", "HEAD"),
            Ask("/initial?q=1"),
        ),
        visit("props of a request", Ask("/user"), Ask("/user?q=1", headers=_ANN), _data("/user", _ANN), Ask("/user")),
        visit("props of a request with credentials", Ask("/user", headers=_TOKEN), Ask("/user"), Ask("/user", headers=_TOKEN)),
        visit("functions", Ask("/api/hello?a=1"), Ask("/api/hello", "POST", {**_ANN, "Content-Type": "application/json"}, b"{}")),
        visit(
            "behind middleware",
            Ask("/members/list"),
            Ask("/members/list", headers=_MEMBER),
            Ask("/members/list", headers=_MEMBER).settled(),
            Ask("/members/list"),
            _data("/members/list"),
            _data("/members/list", _MEMBER),
        ),
        visit(
            "the App Router beside it",
            Ask("/"),
            Ask("/").settled(),
            Ask("/news/new"),
            Ask("/news/new").settled(),
            payload("/news/new"),
        ),
        visit("payloads of pages that have none", payload("/isr"), Ask("/isr.rsc")),
        visit("nothing there", Ask("/nothing"), Ask("/_next/data/{build}/nothing.json"), Ask("/_next/data/other-build/isr.json")),
    ],
)
