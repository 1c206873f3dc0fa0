"""Pages that wait for something: their first bytes come before it."""

from tests.differential.client import navigation, payload
from tests.differential.script import Ask, Pause, Script, visit

_SLOW = 0.8


def _slow(path: str, headers: dict[str, str] | None = None) -> Ask:
    return Ask(path, headers=headers or {}, slow_seconds=_SLOW)


SCRIPT = Script(
    visits=[
        visit("dynamic", _slow("/slowdyn"), _slow("/slowdyn"), Ask("/slowdyn", "HEAD")),
        visit("cookies", _slow("/slowcookies"), _slow("/slowcookies", {"Cookie": "user=ann"}), _slow("/slowcookies")),
        visit(
            "with a period", _slow("/slowisr/1"), Ask("/slowisr/1").settled(), payload("/slowisr/1"), Ask("/slowisr/1").again()
        ),
        visit("loading", Ask("/ld"), Ask("/ld").settled(), payload("/ld"), navigation("/ld")),
        visit("static", Ask("/stat"), Ask("/stat").settled(), Ask("/stat", headers={"Range": "bytes=0-9"})),
        visit(
            "draft mode",
            Ask("/draft"),
            Ask("/draft").settled(),
            Ask("/draft", headers={"Cookie": "__prerender_bypass=forged"}),
            Ask("/draft", headers={"Cookie": "__prerender_bypass="}),
            Ask("/draft").settled(),
            Ask("/api/draft?off=1"),
        ),
        visit(
            "payloads with a query",
            payload("/plain/query?a=1"),
            payload("/plain/query").settled(),
            payload("/plain/query?b=2&c=%3F%20+").settled(),
            payload("/stat").settled(),
            payload("/stat?a=1"),
            Ask("/stat?a=1"),
        ),
        visit(
            "events",
            _slow("/api/events"),
            _slow("/api/events", {"Accept": "text/event-stream"}),
            _slow("/api/events", {"Cookie": "user=ann"}),
            _slow("/api/events?since=1"),
            _slow("/api/until-gone"),
            _slow("/api/until-gone", {"Accept": "text/event-stream"}),
        ),
        visit(
            "a route handler with a period",
            Ask("/api/slowfeed"),
            Ask("/api/slowfeed"),
            Ask("/api/slowfeed?since=1"),
            Ask("/api/slowfeed", "HEAD"),
            Ask("/api/slowfeed", headers={"Cookie": "user=ann"}),
        ),
        *(
            visit(
                f"a route handler runs for nobody but its visitors: {path}",
                Ask(f"{path}?q=1"),
                Pause(0.5),
                Ask(f"{path}?q=2", headers={"Cookie": "user=ann"}),
                Pause(0.5),
                Ask(f"{path}?q=3"),
            )
            for path in ("/api/runs", "/api/counted")
        ),
        visit("a query that a route handler does not read", Ask("/api/plainfeed?q=1"), Pause(0.5), Ask("/api/plainfeed")),
        visit("after a tag", Ask("/api/rt?tag=nothing&profile=max"), Ask("/api/rt?tag=nothing"), Pause(0.1), Ask("/stat")),
    ],
)
