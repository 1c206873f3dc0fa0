"""A Worker entry of the app's own, around vinext: a password, a redirect, and headers that each visitor gets."""

from tests.differential.client import navigation, payload, prefetch
from tests.differential.script import Ask, Pause, Script, visit

_PASSWORD = {"Authorization": "Basic dTpwdw=="}
_ANN = {"Cookie": "user=ann"}
_BANNED = {"Cookie": "banned=1"}

SCRIPT = Script(
    attacked=["/guarded/{}", "/open", "/period/{}"],
    visits=[
        visit(
            "a page of the build",
            Ask("/"),
            Ask("/").settled(),
            Ask("/", headers=_ANN),
            Ask("/", "HEAD"),
            Ask("/").again(),
            Ask("/?utm=1"),
        ),
        visit("payloads", payload("/open"), payload("/open").settled(), navigation("/open"), prefetch("/open"), Ask("/open.rsc")),
        visit(
            "a password",
            Ask("/guarded/built"),
            payload("/guarded/built"),
            prefetch("/guarded/built"),
            Ask("/guarded/built.rsc"),
            Ask("/guarded/built", headers=_PASSWORD),
            Ask("/guarded/built", headers=_PASSWORD).settled(),
            Ask("/guarded/built", "HEAD"),
            Ask("/guarded/built"),
        ),
        visit(
            "a password before a page that is not of the build",
            Ask("/guarded/new"),
            Ask("/guarded/new", headers=_PASSWORD),
            Ask("/guarded/new"),
            payload("/guarded/new"),
            Ask("/guarded/new", headers=_PASSWORD).settled(),
            Ask("/guarded/new"),
            Ask("/guarded/new").again(),
        ),
        visit(
            "a page with a period",
            Ask("/period/1"),
            Ask("/period/1").settled(),
            Pause(2.2),
            Ask("/period/1", headers=_ANN),
            Pause(0.5),
            Ask("/period/1").settled(),
            payload("/period/1").settled(),
        ),
        visit("a redirect", Ask("/open", headers=_BANNED), Ask("/period/2", headers=_BANNED), payload("/").having(**_BANNED)),
        visit("handlers", Ask("/api/me", headers=_ANN), Ask("/api/cached"), Ask("/api/cached").settled()),
        visit("files", Ask("/open.txt"), Ask("/guarded/plan.txt"), Ask("/guarded/plan.txt", headers=_PASSWORD)),
        visit("nothing there", Ask("/nothing"), Ask("/nothing", headers=_ANN), Ask("/open", "POST", body=b"")),
    ],
)
