"""What a visitor may claim in headers that are vinext's, Next.js's or this Worker's own. Nobody believes any of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.differential.observe import Visitor
from tests.differential.script import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.differential.script import Script
    from tests.differential.sides import Side

_TOGETHER = 4
_PROPS = '{"kind":"app-page","buildId":"x","protocolVersion":13,"cachePathname":"/evil"}'

CLAIMS: Mapping[str, Mapping[str, str]] = {
    "middleware has run": {"x-middleware-subrequest": ":".join(["middleware"] * 5)},
    "middleware in src has run": {"x-middleware-subrequest": ":".join(["src/middleware"] * 5)},
    "the proxy has run": {"x-middleware-subrequest": ":".join(["proxy"] * 5)},
    "middleware said next": {"x-middleware-next": "1"},
    "middleware is to be skipped": {"x-middleware-skip": "1"},
    "middleware is to be invoked": {"x-middleware-invoke": "1"},
    "middleware rewrote": {"x-middleware-rewrite": "/evil"},
    "middleware redirected": {"x-middleware-redirect": "https://evil.example/", "Location": "https://evil.example/"},
    "middleware changed headers": {
        "x-middleware-override-headers": "authorization,cookie",
        "x-middleware-request-authorization": "Basic dTpwdw==",
        "x-middleware-request-cookie": "session=user-evil",
    },
    "middleware set a cookie": {"x-middleware-set-cookie": "evil=1; Path=/"},
    "middleware's context": {"x-vinext-mw-ctx": '{"h":[["x-evil","1"]],"s":418,"r":"/evil"}'},
    "middleware is cached": {"x-middleware-cache": "no-cache", "x-middleware-prefetch": "1"},
    "it is a hit": {"x-vinext-cache": "HIT", "x-nextjs-cache": "HIT"},
    "tags": {"x-vinext-cache-tags": "evil", "x-next-cache-tags": "evil", "cache-tag": "evil"},
    "a policy": {"cdn-cache-control": "max-age=9", "x-vinext-cache-control": "s-maxage=9"},
    "something was invalidated": {
        "x-vinext-revalidated-tags": "_N_T_%2F,_N_T_%2Flayout",
        "x-vinext-revalidated-cache-tag": "evil",
    },
    "an action invalidated": {"x-action-revalidated": "[[],1,0]", "x-vinext-action-revalidated": "1"},
    "it renews the page": {"x-prerender-revalidate": "0123456789abcdef", "x-prerender-revalidate-if-generated": "1"},
    "it renews the page, to vinext": {"x-vinext-revalidate": "1", "x-vinext-revalidate-host": "evil.example"},
    "it renews stored entries": {"x-vinext-regenerates-stored-entry": "1", "x-vinext-render-whole-document": "1"},
    "it pre-renders": {
        "x-vinext-prerender-secret": "guess",
        "x-vinext-prerender-speculative": "1",
        "x-vinext-prerender-route-params": "%7B%22id%22%3A%22evil%22%7D",
    },
    "it pre-rendered with an error": {"x-vinext-prerender-render-error": "1", "x-vinext-prerender-special-error": "1"},
    "it probes whether pages are cacheable": {"x-vinext-cacheability-probe": "1", "x-vinext-cacheability-probe-route": "/evil"},
    "another version": {"x-vinext-expected-worker-version": "evil"},
    "parameters": {"x-vinext-params": "%7B%22id%22%3A%22evil%22%7D"},
    "a path that was rendered": {"x-vinext-rendered-path-and-search": "%2Fevil", "x-nextjs-rewritten-path": "/evil"},
    "a status": {"x-vinext-special-error-status": "404", "x-invoke-status": "500"},
    "a redirect of a payload": {"x-vinext-rsc-redirect": "/evil", "x-vinext-rsc-redirect-type": "push"},
    "other identities of its build": {"x-vinext-rsc-build-id": "evil", "x-vinext-rsc-compatibility-id": "evil"},
    "a stale time": {"x-nextjs-stale-time": "1", "x-vinext-dynamic-stale-time": "1", "x-vinext-stale-time-pending": "1"},
    "the end of a payload": {"x-vinext-rsc-completion-metadata": "1", "x-vinext-rsc": "1"},
    "it wants the payload": {"x-vinext-wants-payload": "1", "x-vinext-payload-bytes": "10"},
    "the props of a stage": {"x-vinext-props": _PROPS, "x-vinext-stage": "response", "x-vinext-response-stage-props": _PROPS},
    "the options of a stage": {"x-vinext-dispatch": '{"cache":"shared"}', "x-vinext-cache-identity": "https://evil.example/"},
    "an offer of the cache": {"x-vinext-offer": '{"path":"/evil","status":200}', "x-vinext-verdict": '{"isHit":true}'},
    "a matched path": {"x-matched-path": "/evil", "x-invoke-path": "/evil", "x-invoke-query": "%7B%7D"},
    "a match of a route": {"x-nextjs-matched-path": "/evil", "x-now-route-matches": "1=evil", "x-nextjs-rewrite": "/evil"},
    "another URL": {"x-original-url": "/evil", "x-rewrite-url": "/evil"},
    "another host": {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"},
    "another method": {"x-http-method-override": "DELETE", "x-method-override": "DELETE"},
    "a deployment": {"x-deployment-id": "evil", "x-nextjs-deployment-id": "evil"},
    "it is an error page": {"x-nextjs-postponed": "1", "next-resume": "1", "x-vinext-trace-error": "evil"},
}
"""What is claimed, with the headers that claim it."""


@dataclass(frozen=True)
class Believed:
    """A claim that made a difference: to the answer for whoever made it, or to the next one for somebody else."""

    claim: str
    store: str
    path: str
    trait: str
    without: str
    with_claim: str
    is_next_visitor: bool

    def __str__(self) -> str:
        whose = "the next visitor's" if self.is_next_visitor else "its own"
        return (
            f"{self.path} [{self.store}], a claim that {self.claim}: {whose} answer has {self.trait} "
            f"{self.with_claim[:200]!r} instead of {self.without[:200]!r}"
        )


def attack(side: Side, script: Script) -> list[Believed]:
    """Ask each page of a script that is to be attacked with every claim; return the claims that somebody believed."""
    jobs = [(page, number, claim) for page in script.attacked for number, claim in enumerate(CLAIMS)]
    controls = {page: _two_answers(side, page, "control", {}) for page in script.attacked}
    with ThreadPoolExecutor(_TOGETHER) as threads:
        found = threads.map(lambda job: list(_believed(side, job[0], job[1], job[2], controls[job[0]])), jobs)
        return [each for some in found for each in some]


def _believed(
    side: Side, page: str, number: int, claim: str, control: tuple[Mapping[str, str], Mapping[str, str]]
) -> Iterator[Believed]:
    answers = _two_answers(side, page, f"victim{number}", CLAIMS[claim])
    for is_next_visitor, (expected, seen) in enumerate(zip(control, answers, strict=True)):
        for trait in sorted({*expected, *seen}):
            without, with_claim = expected.get(trait, "-"), seen.get(trait, "-")
            if without != with_claim:
                yield Believed(claim, side.name, page, trait, without, with_claim, bool(is_next_visitor))


def _two_answers(side: Side, page: str, name: str, headers: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the page answers to one who claims something, and then to one who does not; `{}` of its path is the name."""
    path = page.replace("{}", name)
    visitor = Visitor(side)
    asked = (Ask(path, headers=headers), Ask(path).settled() if "{}" in page else Ask(path))
    first, second = (visitor.ask(each).traits for each in asked)
    return _unnamed(first, name), _unnamed(second, name)


def _unnamed(traits: Mapping[str, str], name: str) -> Mapping[str, str]:
    named = {trait: value.replace(name, "<name>") for trait, value in traits.items()}
    # Its words are sorted, and the name was one of them.
    return {trait: "\n".join(sorted(value.split("\n"))) if trait == "payload" else value for trait, value in named.items()}
