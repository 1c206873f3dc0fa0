"""Whether a series grows, told from its fluctuation."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from benchmarks.growth import growth
from benchmarks.soak import Part, judged

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS = [float(number * 5000) for number in range(1, 21)]


def noise(seed: int, size: float) -> list[float]:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [chance.gauss(0, size) for _ in REQUESTS]


def test_a_level_series_does_not_grow_whatever_its_noise() -> None:
    seen = [growth(REQUESTS, [5e8 + one for one in noise(seed, 1e7)]).is_seen for seed in range(200)]
    assert sum(seen) < 20


def test_waves_are_not_taken_for_growth() -> None:
    # A part of a wave rises: what neighbours have in common widens the error.
    wave = [5e8 + 1e7 * (abs(number % 6 - 3)) for number in range(len(REQUESTS))]
    assert not growth(REQUESTS, wave).is_seen


@pytest.mark.parametrize("bytes_a_request", [1000, 5000])
def test_growth_is_seen_through_noise_with_its_size(bytes_a_request: float) -> None:
    for seed in range(50):
        samples = [5e8 + bytes_a_request * at + one for at, one in zip(REQUESTS, noise(seed, 3e6), strict=True)]
        found = growth(REQUESTS, samples)
        assert found.is_seen
        assert abs(found.slope - bytes_a_request) < 2 * found.error
        assert found.at_most > bytes_a_request * 0.9


def test_what_fills_up_in_the_first_half_is_no_growth() -> None:
    samples = [min(number, 9) * 1e7 for number in range(len(REQUESTS))]
    assert growth(REQUESTS, samples) == growth(REQUESTS, [9e7] * len(REQUESTS))
    assert not growth(REQUESTS, samples).is_seen


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="needs 9"):
        growth(REQUESTS[:8], REQUESTS[:8])


def soaked() -> list[Part]:
    chance = random.Random(1)  # noqa: S311 - no secret
    return [
        Part(
            int(at),
            1 + chance.gauss(0, 0.05),
            int(5e8 + chance.gauss(0, 2e6)),
            36 << 20,
            9000 + number % 5,
            90_000 + number % 3,
            {},
        )
        for number, at in enumerate(REQUESTS)
    ]


def test_a_soak_that_fluctuates_fails_nothing_and_says_what_it_saw() -> None:
    lines, failures = judged(soaked())
    assert failures == []
    assert [line.partition(":")[0] for line in lines] == [
        "memory",
        "Python objects",
        "JavaScript objects held",
        "CPU of a request",
        "heap, MiB",
    ]
    assert all("none seen" in line for line in lines[:4])


@pytest.mark.parametrize(
    ("what", "grown"),
    [
        ("memory", lambda part: replace(part, memory_bytes=part.memory_bytes + 500 * part.requests)),
        ("Python objects", lambda part: replace(part, objects=part.objects + part.requests // 50)),
        ("CPU of a request", lambda part: replace(part, cpu_ms=part.cpu_ms * (1 + part.requests / 2e4))),
        ("heap, MiB", lambda part: replace(part, heap_bytes=part.heap_bytes + part.requests // 80_000 * 2**23)),
        ("JavaScript objects held", lambda part: replace(part, js_proxies=part.js_proxies + part.requests // 100)),
    ],
)
def test_a_soak_in_which_something_grows_says_what(what: str, grown: Callable[[Part], Part]) -> None:
    _, failures = judged([grown(part) for part in soaked()])
    assert [failure.partition(":")[0] for failure in failures] == [what]
