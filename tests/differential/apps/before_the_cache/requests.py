"""Middleware, headers, redirects and rewrites: what Next.js does before its page cache."""

from tests.differential.client import navigation, payload
from tests.differential.script import Ask, Pause, Script, visit

_PASSWORD = {"Authorization": "Basic dTpwdw=="}
_TOKEN = {"Authorization": "Bearer good"}
_PART = {"Range": "bytes=2-4"}
_LINK = {"Next-Router-Prefetch": "1", "Next-Router-Segment-Prefetch": "1"}
_FOREIGN = {"CF-IPCountry": "XX"}

SCRIPT = Script(
    attacked=["/isr-behind/{}", "/staging", "/ab"],
    variables={"STAGING_PASSWORD": "pw"},
    visits=[
        visit(
            "headers of next.config",
            Ask("/"),
            Ask("/").settled(),
            Ask("/", "HEAD"),
            Ask("/").again(),
            Ask("/?utm=1"),
            Ask("/missing"),
        ),
        visit("headers on payloads", payload("/login"), payload("/login").settled(), navigation("/login"), Ask("/login.rsc")),
        visit(
            "password",
            Ask("/staging"),
            payload("/staging"),
            Ask("/staging", headers=_PASSWORD),
            Ask("/staging"),
            Ask("/staging", "HEAD"),
            Ask("/staging/deeper"),
        ),
        visit(
            "country", Ask("/block", headers=_FOREIGN), Ask("/block"), Ask("/block", headers=_FOREIGN), Ask("/block").settled()
        ),
        visit(
            "variants",
            Ask("/ab"),
            Ask("/ab", headers={"Cookie": "bucket=b"}),
            Ask("/ab").settled(),
            Ask("/ab", headers={"Cookie": "bucket=b"}).settled(),
            payload("/ab").having(Cookie="bucket=b").settled(),
            Ask("/variant-b").settled(),
        ),
        visit("nonce", Ask("/nonce"), Ask("/nonce").settled(), Ask("/nonce"), Ask("/nonce").again(), Ask("/nonce", "HEAD")),
        visit(
            "Cache-Control of next.config",
            Ask("/policy/static"),
            Ask("/policy/static").settled(),
            payload("/policy/static"),
            Ask("/policy/static?a=1"),
            Ask("/policy/visitor"),
            Ask("/policy/visitor", headers={"Cookie": "user=ann"}),
            payload("/policy/visitor").having(Cookie="user=ann"),
            Ask("/policy/visitor"),
            Ask("/policy/handler"),
            Ask("/policy/visitor", headers={"Next-Action": "none"}),
            Ask("/policy/handler", headers={"Upgrade": "h2c"}),
        ),
        visit("a nonce for scripts", Ask("/csp/1"), Ask("/csp/1"), payload("/csp/2"), payload("/csp/2").settled()),
        visit("cookie", Ask("/cookie"), Ask("/cookie").settled(), Ask("/cookie").again(), payload("/cookie")),
        visit(
            "period behind next()",
            Ask("/isr-behind/1"),
            Ask("/isr-behind/1").settled(),
            Ask("/isr-behind/1", "HEAD"),
            Pause(2.2),
            Ask("/isr-behind/1"),
            Ask("/isr-behind/1").settled(),
            payload("/isr-behind/1").settled(),
        ),
        visit(
            "a route handler with HTML",
            Ask("/isr-behind/html"),
            Ask("/isr-behind/html").settled(),
            payload("/isr-behind/html"),
            Ask("/isr-behind/html", "HEAD"),
        ),
        *(
            visit(
                f"links to what is not there, {path}",
                Ask(f"{path}/page-first"),
                Ask(f"{path}/page-first").settled(),
                payload(f"{path}/page-first", _LINK).settled(),
                payload(f"{path}/page-first"),
                payload(f"{path}/link-first", _LINK),
                payload(f"{path}/link-first", _LINK).settled(),
                payload(f"{path}/link-first"),
                Ask(f"{path}/link-first").settled(),
            )
            for path in ("/gone", "/isr-behind/gone")
        ),
        visit("query behind next()", Ask("/isr-behind/q?a=1"), Ask("/isr-behind/q?a=2"), Ask("/isr-behind/q").settled()),
        visit(
            "headers that middleware has written",
            Ask("/own/headers"),
            Ask("/own/headers", headers={"X-Host": "theirs", "X-Original-URL": "/theirs"}),
            Ask("/own/headers", headers=_TOKEN),
            Ask("/own/handler"),
            Ask("/own/handler"),
        ),
        visit(
            "credentials",
            Ask("/api/me", headers=_TOKEN),
            Ask("/api/me", headers=_TOKEN),
            Ask("/api/me"),
            Ask("/api/me", headers=_TOKEN),
            Ask("/credentials", headers=_TOKEN),
            Ask("/credentials"),
            Ask("/credentials", headers=_TOKEN),
        ),
        visit(
            "credentials for a page with a period",
            Ask("/isr-behind/credentials", headers=_TOKEN),
            Ask("/isr-behind/credentials").settled(),
            Ask("/isr-behind/credentials", headers=_TOKEN),
        ),
        visit(
            "a part",
            Ask("/api/part", headers=_PART),
            Ask("/api/part"),
            Ask("/api/part", headers=_PART),
            Ask("/isr-behind/part", headers=_PART),
            Ask("/isr-behind/part").settled(),
        ),
        visit(
            "redirect by cookie",
            Ask("/banned-page"),
            Ask("/banned-page", headers={"Cookie": "banned=1"}),
            payload("/banned-page").having(Cookie="banned=1"),
            Ask("/banned-page").settled(),
        ),
        visit(
            "redirect by host",
            Ask("/host-page"),
            Ask("/host-page", headers={"Host": "www.example.com"}),
            Ask("/host-page", headers={"Host": "other.example.com"}),
            Ask("/host-page").settled(),
        ),
        visit(
            "rewrite by cookie",
            Ask("/beta-page"),
            Ask("/beta-page", headers={"Cookie": "beta=1"}),
            Ask("/beta-page", headers={"Cookie": "beta=1"}).settled(),
            Ask("/beta-page").settled(),
            Ask("/beta-new").settled(),
        ),
        visit(
            "other methods",
            Ask("/login", "POST", body=b""),
            Ask("/login", "PUT", body=b""),
            Ask("/login", "OPTIONS"),
            Ask("/login/"),
        ),
    ],
)
