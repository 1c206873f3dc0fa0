"""A site with a login: redirects to it and from it, sessions in a cookie that each visit prolongs, cached pages behind it."""

from tests.differential.client import navigation, payload, prefetch
from tests.differential.script import Ask, Pause, Script, visit

_ANN = {"Cookie": "session=user-ann"}
_BOB = {"Cookie": "session=user-bob"}
_OLD = {"Cookie": "session=expired"}

SCRIPT = Script(
    attacked=["/dashboard", "/pricing/{}"],
    visits=[
        visit(
            "a stranger",
            Ask("/dashboard?tab=1"),
            Ask("/dashboard", "HEAD"),
            Ask("/login?callbackUrl=%2Fdashboard"),
            Ask("/dashboard", headers=_OLD),
            payload("/dashboard"),
            navigation("/dashboard"),
            prefetch("/dashboard"),
            Ask("/api/me"),
            Ask("/api/auth/session"),
        ),
        visit(
            "signing in and out",
            Ask("/api/auth/signin?callbackUrl=%2Fdashboard", "POST", body=b""),
            Ask("/dashboard", headers=_ANN),
            Ask("/dashboard", headers=_BOB),
            payload("/dashboard").having(**_BOB),
            Ask("/login", headers=_ANN),
            Ask("/api/me", headers=_ANN),
            Ask("/api/me", headers={**_ANN, "x-user": "root"}),
            Ask("/api/auth/session", headers=_BOB),
            Ask("/api/auth/signout", headers=_ANN),
        ),
        visit(
            "pages for everybody",
            Ask("/"),
            Ask("/").settled(),
            Ask("/", headers=_ANN),
            Ask("/", headers=_BOB),
            Ask("/"),
            Ask("/").again(),
            payload("/").settled(),
            payload("/").having(**_ANN),
        ),
        visit(
            "a page with a period",
            Ask("/pricing/team"),
            Ask("/pricing/team").settled(),
            Pause(2.2),
            Ask("/pricing/team", headers=_ANN),
            Pause(0.5),
            Ask("/pricing/team").settled(),
        ),
        visit(
            "a cached page behind the login",
            Ask("/members/new"),
            Ask("/members/new", headers=_ANN),
            Pause(0.5),
            Ask("/members/new", headers=_ANN),
            Ask("/members/new", headers=_BOB),
            Ask("/members/new"),
            payload("/members/new"),
            payload("/members/new").having(**_ANN),
            Ask("/members/built", headers=_ANN),
            Ask("/members/built"),
            Ask("/members/built.rsc"),
        ),
        visit("nothing there", Ask("/nothing"), Ask("/nothing", headers=_ANN), Ask("/nothing")),
    ],
)
