"""One app for several hosts: middleware rewrites a tenant's host to its pages, rules of next.config go by the host."""

from tests.differential.client import payload
from tests.differential.script import Ask, Pause, Script, visit


def _host(name: str) -> dict[str, str]:
    return {"Host": name}


_ACME, _BETA = _host("acme.example.com"), _host("beta.example.com")

SCRIPT = Script(
    visits=[
        visit(
            "two tenants",
            Ask("/", headers=_ACME),
            Ask("/", headers=_BETA),
            Ask("/"),
            Ask("/", headers=_ACME).settled(),
            Ask("/", headers=_BETA).settled(),
            Ask("/").settled(),
            Ask("/", "HEAD", _ACME),
            Ask("/", headers=_ACME).again(),
            Pause(2.2),
            Ask("/", headers=_ACME),
            Pause(0.5),
            Ask("/", headers=_ACME).settled(),
            Ask("/", headers=_BETA),
        ),
        visit(
            "pages of tenants",
            Ask("/one", headers=_ACME),
            Ask("/one", headers=_ACME).settled(),
            Ask("/one", headers=_BETA),
            Ask("/one?q=1", headers=_ACME),
            Ask("/missing", headers=_ACME),
            Ask("/one"),
        ),
        visit(
            "payloads of tenants",
            payload("/two").having(**_ACME),
            payload("/two").having(**_ACME).settled(),
            payload("/two").having(**_BETA),
            payload("/").having(**_ACME),
            payload("/"),
        ),
        visit("paths of their own", Ask("/s/acme"), Ask("/s/acme/one"), Ask("/s/acme", headers=_ACME), Ask("/s/acme.rsc")),
        visit("other hosts", Ask("/", headers=_host("www.example.com")), Ask("/a/b?c=d", headers=_host("www.example.com"))),
        visit("blocked", Ask("/", headers=_host("blocked.example.com")), Ask("/", "HEAD", _host("blocked.example.com"))),
        visit("a rewrite by host", Ask("/who", headers=_ACME), Ask("/who", headers=_BETA), Ask("/who")),
        visit(
            "files of any host",
            Ask("/feed.xml"),
            Ask("/feed.xml", headers=_ACME),
            Ask("/feed.xml").settled(),
            Ask("/feed.xml", headers=_ACME).settled(),
        ),
    ],
)
