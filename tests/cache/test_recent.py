from __future__ import annotations

from core.recent import Recent


def test_the_key_that_was_not_set_for_longest_goes() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["a"] = 3
    recent["c"] = 4
    assert recent == {"a": 3, "c": 4}


def test_a_key_that_is_set_again_drops_no_other() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["b"] = 3
    assert recent == {"a": 1, "b": 3}
