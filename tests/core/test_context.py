from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING

import pytest

from core.context import holding

if TYPE_CHECKING:
    from collections.abc import Iterator

color: ContextVar[str] = ContextVar("color", default="none")


def test_a_value_holds_until_the_block_ends() -> None:
    with holding(color, "red"):
        with holding(color, "blue"):
            inner = color.get()
        outer = color.get()
    assert (inner, outer, color.get()) == ("blue", "red", "none")


def test_it_holds_until_the_block_fails() -> None:
    with pytest.raises(KeyError), holding(color, "red"):
        raise KeyError
    assert color.get() == "none"


def test_work_that_is_closed_in_another_context_closes_quietly() -> None:
    seen: list[str] = []

    def work() -> Iterator[None]:
        with holding(color, "red"):
            try:
                seen.append(color.get())
                yield
            finally:
                seen.append(color.get())

    given_up = work()
    copy_context().run(next, given_up)
    given_up.close()  # type: ignore[attr-defined]
    assert seen == ["red", "none"]
