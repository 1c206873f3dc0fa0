"""What an R2 bucket does that is used as a KV namespace is: the fake and the real binding must both do it.

`RULES` is what the cache relies on: all that a namespace does, but for a namespace's own limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.r2 import R2_LIMITS

try:
    from tests.conformance import kv_namespace
except ModuleNotFoundError:  # inside workerd
    from conformance import kv_namespace  # type: ignore[import-not-found,no-redef]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.kv_namespace import KVNamespace

LARGE = 30 * 1024 * 1024


async def an_object_may_be_larger_than_a_value_in_kv(bucket: KVNamespace) -> None:
    await bucket.put("large", bytes(LARGE), metadata='{"a":1}')
    found = await bucket.get("large")
    assert found is not None
    assert (await found.body(LARGE)).size_bytes == LARGE
    await bucket.delete("large")


async def a_key_of_512_bytes_is_taken_and_none_over_1024(bucket: KVNamespace) -> None:
    for key in ("k" * 512, "日" * 170 + "xx"):
        await bucket.put(key, b"1")
        assert await bucket.get(key) is not None
    await _refuses(bucket.put("k" * 1025, b"1"))


async def metadata_up_to_our_limit_is_taken(bucket: KVNamespace) -> None:
    for text in ("x" * (R2_LIMITS.metadata_bytes - 2), "日" * (R2_LIMITS.metadata_bytes // 3 - 1)):
        await bucket.put("k", b"1", metadata=f'"{text}"')
        found = await bucket.get("k")
        assert found is not None
        assert found.metadata == f'"{text}"'
    await _refuses(bucket.put("k", b"1", metadata=f'"{"x" * 9000}"'))


async def a_time_to_live_has_no_effect(bucket: KVNamespace) -> None:
    await bucket.put("k", b"1", expiration_ttl=60)
    (listed,) = (await bucket.list("k")).keys
    assert (listed.name, listed.expiration) == ("k", None)


async def any_number_of_texts_is_read(bucket: KVNamespace) -> None:
    keys = [f"k{number}" for number in range(101)]
    await bucket.put("k7", "séven")
    assert await bucket.get_texts(keys) == {key: "séven" if key == "k7" else None for key in keys}


_SHARED = (
    kv_namespace.a_key_never_written_is_absent,
    kv_namespace.a_value_and_texts_are_read_together,
    kv_namespace.bytes_come_back_as_they_were,
    kv_namespace.a_value_comes_with_its_metadata,
    kv_namespace.a_body_of_another_size_is_corrupt,
    kv_namespace.text_is_utf8,
    kv_namespace.parts_are_joined,
    kv_namespace.json_is_parsed_and_large_fields_are_taken_out,
    kv_namespace.the_last_write_wins_and_clears_metadata,
    kv_namespace.a_deleted_key_is_absent_and_deleting_twice_is_fine,
    kv_namespace.keys_are_listed_by_prefix_in_the_order_of_their_bytes,
    kv_namespace.a_listing_has_pages,
)

RULES: tuple[Callable[[KVNamespace], Awaitable[None]], ...] = (
    *_SHARED,
    an_object_may_be_larger_than_a_value_in_kv,
    a_key_of_512_bytes_is_taken_and_none_over_1024,
    metadata_up_to_our_limit_is_taken,
    a_time_to_live_has_no_effect,
    any_number_of_texts_is_read,
)


async def _refuses(call: Awaitable[object]) -> None:
    try:
        await call
    except Exception:  # noqa: BLE001 - the binding's error is JavaScript's
        return
    raise AssertionError("taken, though it is too large")
