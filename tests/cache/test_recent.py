from __future__ import annotations

import gc
import sys

from hypothesis import given
from hypothesis import strategies as st

from core.budget import Budget
from core.recent import MAX_BYTES, SHARED_BUDGET, Recent


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


def test_long_keys_take_the_room_of_many_short_ones() -> None:
    budget = Budget(100_000)
    short, long = Recent[str, int](budget=budget), Recent[str, int](budget=budget)
    for number in range(1000):
        short[f"/{number}"] = number
        long[f"/{number}".ljust(4096, "x")] = number
        assert budget.total <= 100_000
    held = sum(map(sys.getsizeof, (*short, *long)))
    assert held <= budget.total <= 100_000
    assert "/999" in short
    assert "/999".ljust(4096, "x") in long


def test_a_flood_of_one_kind_leaves_the_others_alone() -> None:
    budget = Budget(100_000)
    few, flooded = Recent[str, int](budget=budget), Recent[tuple[str, str], str](budget=budget)
    for number in range(50):
        few[f"/{number}"] = number
    for number in range(5000):
        flooded[f"/{number}", "a=b"] = "x" * 100
    assert list(few) == [f"/{number}" for number in range(50)]
    assert flooded[f"/{4999}", "a=b"] == "x" * 100


def test_a_fact_larger_than_the_budget_is_not_remembered() -> None:
    budget = Budget(10_000)
    recent = Recent[str, str](budget=budget)
    recent["small"] = "y"
    recent["large"] = "x" * 20_000
    assert "large" not in recent
    assert budget.total <= 10_000


def test_a_memory_that_is_gone_takes_no_room() -> None:
    budget = Budget(10_000)
    gone = Recent[int, str](budget=budget)
    gone[1] = "x" * 8000
    del gone
    gc.collect()
    recent = Recent[int, str](budget=budget)
    recent[1] = "x" * 8000
    assert 1 in recent


@given(st.lists(st.tuples(st.sampled_from(["set", "pop", "del", "clear"]), st.integers(0, 9), st.text(max_size=300))))
def test_bytes_are_counted_through_every_change(changes: list[tuple[str, int, str]]) -> None:
    budget = Budget(10**9)
    recent = Recent[int, str](5, budget=budget)
    for change, key, value in changes:
        if change == "set":
            recent[key] = value
        elif change == "pop":
            recent.pop(key, None)
        elif change == "clear":
            recent.clear()
        elif key in recent:
            del recent[key]
    expected = Recent[int, str](5, budget=Budget(10**9))
    for key, value in recent.items():
        expected[key] = value
    assert recent.size_bytes == budget.total == expected.size_bytes


def test_an_isolate_has_one_budget() -> None:
    assert Recent[str, int]()._budget is SHARED_BUDGET
    assert SHARED_BUDGET.total <= MAX_BYTES


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 3000)), max_size=200))
def test_who_has_half_as_much_as_another_gives_up_nothing(facts: list[tuple[int, int, int]]) -> None:
    budget = Budget(10_000)
    memories = [Recent[int, str](budget=budget) for _ in range(6)]
    for number, key, length in facts:
        written = memories[number]
        before = [dict(memory) for memory in memories]
        sizes = [memory.size_bytes for memory in memories]
        written[key] = "x" * length
        largest = max(*sizes, sizes[number] + 160 + sys.getsizeof("x" * length))
        for memory, kept, size_bytes in zip(memories, before, sizes, strict=True):
            if memory is not written and size_bytes * 2 <= largest / 2:
                assert memory == kept
        assert budget.total == sum(memory.size_bytes for memory in memories) <= 10_000


def test_many_memories_without_facts_are_not_looked_at() -> None:
    budget = Budget(10_000)
    empty = [Recent[int, str](budget=budget) for _ in range(1000)]
    recent = Recent[int, str](budget=budget)
    for number in range(1000):
        recent[number] = "x" * 100
    assert sum(map(len, budget._holders.values())) == 1
    assert len(empty) == 1000
