"""Parallel routes, a modal that intercepts a link, and shells that are shown while a page loads."""

from tests.differential.client import intercepted, loading_shell, navigation, payload, prefetch, with_slots
from tests.differential.script import Ask, Pause, Script, visit

_MODAL = "interception:slot:modal:/feed:/feed->/photo/:id"
_SLOTS = "slot:stats:/board slot:team:/board"

SCRIPT = Script(
    attacked=["/item/{}"],
    visits=[
        visit(
            "a photo by itself",
            Ask("/photo/1"),
            Ask("/photo/1").settled(),
            payload("/photo/1").settled(),
            Ask("/photo/built"),
            payload("/photo/built"),
        ),
        visit(
            "a photo over the feed",
            Ask("/feed"),
            intercepted("/photo/2", "/feed"),
            intercepted("/photo/2", "/feed").settled(),
            intercepted("/photo/2", "/feed", _MODAL),
            intercepted("/photo/2", "/feed", _MODAL).settled(),
            payload("/photo/2"),
            payload("/photo/2").settled(),
            Ask("/photo/2"),
            intercepted("/photo/built", "/feed"),
            intercepted("/photo/built", "/elsewhere"),
            payload("/photo/built"),
        ),
        visit(
            "slots",
            Ask("/board").just_renewed(),
            Ask("/board").settled(),
            payload("/board").settled(),
            with_slots("/board", _SLOTS),
            with_slots("/board", _SLOTS).settled(),
            with_slots("/board", "slot:team:/board"),
            with_slots("/board/members", _SLOTS),
            Ask("/board/members"),
            payload("/board/members").settled(),
            Pause(2.2),
            with_slots("/board", _SLOTS),
            Ask("/board"),
            Pause(0.5),
            Ask("/board").settled(),
        ),
        visit(
            "loading shells",
            loading_shell("/item/1"),
            loading_shell("/item/1").settled(),
            payload("/item/1"),
            payload("/item/1").settled(),
            Ask("/item/1").settled(),
            loading_shell("/item/built"),
            loading_shell("/item/built").settled(),
            prefetch("/item/2"),
            navigation("/item/2"),
        ),
        visit(
            "a slow page",
            Ask("/slow", slow_seconds=0.8),
            loading_shell("/slow"),
            loading_shell("/slow"),
            payload("/slow"),
            Ask("/slow", headers={"Cookie": "user=ann"}, slow_seconds=0.8),
            loading_shell("/slow").having(Cookie="user=ann"),
        ),
    ],
)
