"""What a Workers KV namespace does, as plain functions: the fake and the real binding must both do it.

`RULES` is what the cache relies on, limits and errors included. Time is not turned: a value that has expired is not
among the rules, as KV keeps one for at least a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.body import BytesBody
from core.errors import CorruptValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.kv_namespace import KVListedKey, KVNamespace
    from core.body import Buffer

MOST = 25 * 1024 * 1024


async def a_key_never_written_is_absent(namespace: KVNamespace) -> None:
    for streamed in (False, True):
        assert await namespace.get("nothing", streamed=streamed) is None
    assert await namespace.get_texts(["nothing"]) == {"nothing": None}


async def a_value_and_texts_are_read_together(namespace: KVNamespace) -> None:
    assert await namespace.get_beside("k", ["t", "u"]) == (None, {"t": None, "u": None})
    await namespace.put("k", b"value", metadata='{"a":1}')
    await namespace.put("t", "téxt")
    for streamed in (False, True):
        found, texts = await namespace.get_beside("k", ["t", "u"], streamed=streamed)
        assert found is not None
        assert (found.metadata, (await found.whole()).to_bytes()) == ('{"a":1}', b"value")
        assert texts == {"t": "téxt", "u": None}


async def bytes_come_back_as_they_were(namespace: KVNamespace) -> None:
    for data in (b"", bytes(range(256)), b"\x00", "日🎉".encode()):
        await namespace.put("k", data)
        found = await _read(namespace, "k")
        assert found.to_bytes() == data
        assert found.size_bytes == len(data)


async def a_value_comes_with_its_metadata(namespace: KVNamespace) -> None:
    """As it was written, null and surrogates included."""
    metadata = '{"b":null,"a":[1.5,true,{"x":"é\\ud800\\""}],"tags":[]}'
    await namespace.put("k", b"abc", metadata=metadata)
    await namespace.put("none", b"")
    for streamed in (False, True):
        found = await namespace.get("k", streamed=streamed)
        assert found is not None
        assert found.metadata == metadata
        assert (await found.body(3)).to_bytes() == b"abc"
        found = await namespace.get("k", streamed=streamed)
        assert found is not None
        assert (await found.whole()).to_bytes() == b"abc"
        without = await namespace.get("none", streamed=streamed)
        assert without is not None
        assert without.metadata is None
        assert (await without.whole()).to_bytes() == b""


async def a_body_of_another_size_is_corrupt(namespace: KVNamespace) -> None:
    await namespace.put("k", b"abc")
    for streamed in (False, True):
        for size in (2, 3, 4):
            found = await namespace.get("k", streamed=streamed)
            assert found is not None
            try:
                body = await found.body(size)
            except CorruptValueError:
                assert size != 3
                continue
            assert (size, body.to_bytes()) == (3, b"abc"), f"taken as one of {size} bytes"


async def text_is_utf8(namespace: KVNamespace) -> None:
    await namespace.put("k", "é\x00\u2028🎉")
    found = await _read(namespace, "k")
    assert found.to_bytes() == "é\x00\u2028🎉".encode()
    assert await namespace.get_texts(["k"]) == {"k": "é\x00\u2028🎉"}


async def parts_are_joined(namespace: KVNamespace) -> None:
    await namespace.put("k", (b"ab", BytesBody(b"cd"), b"", BytesBody(b"ef")))
    found = await _read(namespace, "k")
    assert (found.head(3), found.tail(4).to_bytes(), found.head(99)) == (b"abc", b"ef", b"abcdef")


async def json_is_parsed_and_large_fields_are_taken_out(namespace: KVNamespace) -> None:
    await namespace.put("k", '{"value":{"kind":"K","a":"\u00e9\\ud800","b":"QUI=","c":null,"d":5},"tags":["x"],"n":1.5}')
    found = await _read(namespace, "k")
    rest, bodies = found.json({"K": {"a": "text", "b": "base64", "d": "text", "e": "text"}})
    assert rest == '{"value":{"kind":"K","c":null,"d":5},"tags":["x"],"n":1.5}'
    assert {name: body.to_bytes() for name, body in bodies.items()} == {"a": "é\ufffd".encode(), "b": b"AB"}


async def the_last_write_wins_and_clears_metadata(namespace: KVNamespace) -> None:
    await namespace.put("k", b"1", metadata='{"tags":["a"]}', expiration_ttl=60)
    await namespace.put("k", b"2")
    (listed,) = await _listed(namespace, "k")
    assert (listed.name, listed.metadata, listed.expiration) == ("k", None, None)


async def a_deleted_key_is_absent_and_deleting_twice_is_fine(namespace: KVNamespace) -> None:
    await namespace.put("k", b"1")
    await namespace.delete("k")
    await namespace.delete("k")
    assert await namespace.get("k") is None
    assert await _listed(namespace, "") == []


async def a_hundred_keys_are_read_at_once_and_not_one_more(namespace: KVNamespace) -> None:
    keys = [f"k{number}" for number in range(101)]
    await namespace.put("k7", "seven")
    found = await namespace.get_texts(keys[:100])
    assert found == {key: "seven" if key == "k7" else None for key in keys[:100]}
    await _refuses("400", namespace.get_texts(keys))


async def keys_are_listed_by_prefix_in_the_order_of_their_bytes(namespace: KVNamespace) -> None:
    for key in ("b:é", "b:z", "a:1", "b:🎉", "b:", "b:\uffee", "c:1"):
        await namespace.put(key, key, metadata=f'{{"tags":["{key}"]}}')
    listed = await _listed(namespace, "b:")
    assert [key.name for key in listed] == ["b:", "b:z", "b:é", "b:\uffee", "b:🎉"]
    assert [key.metadata for key in listed] == [{"tags": [key.name]} for key in listed]


async def a_listing_has_pages(namespace: KVNamespace) -> None:
    for number in range(1005):
        await namespace.put(f"k{number:04}", b"")
    assert [key.name for key in await _listed(namespace, "k")] == [f"k{number:04}" for number in range(1005)]
    assert (await namespace.list("k")).cursor is not None
    few = await namespace.list("k", None, 3)
    more = await namespace.list("k", few.cursor, 3)
    assert [key.name for key in (*few.keys, *more.keys)] == [f"k{number:04}" for number in range(6)]
    assert (await namespace.list("k100")).cursor is None


async def keys_hold_512_bytes(namespace: KVNamespace) -> None:
    for key in ("k" * 512, "日" * 170 + "xx"):
        await namespace.put(key, b"1")
        assert await namespace.get(key) is not None
    for key in ("k" * 513, "日" * 171):
        await _refuses("414", namespace.put(key, b"1"))
        await _refuses("414", namespace.get(key))
        await _refuses("414", namespace.delete(key))


async def the_empty_key_and_dots_are_refused(namespace: KVNamespace) -> None:
    for key in ("", ".", ".."):
        await _refuses("", namespace.put(key, b"1"))
        await _refuses("", namespace.get(key))


async def metadata_holds_1024_bytes(namespace: KVNamespace) -> None:
    room = 1024 - len('""')
    for text in ("x" * room, "日" * (room // 3)):
        await namespace.put("k", b"1", metadata=f'"{text}"')
    for text in ("x" * (room + 1), "日" * (room // 3 + 1)):
        await _refuses("413", namespace.put("k", b"1", metadata=f'"{text}"'))


async def a_time_to_live_is_at_least_a_minute(namespace: KVNamespace) -> None:
    await namespace.put("k", b"1", expiration_ttl=60)
    (listed,) = await _listed(namespace, "k")
    assert listed.expiration is not None
    for seconds in (59, 0, -1):
        await _refuses("400", namespace.put("k", b"1", expiration_ttl=seconds))


async def a_value_holds_25_mib(namespace: KVNamespace) -> None:
    await namespace.put("k", bytes(MOST))
    found = await _read(namespace, "k")
    assert found.size_bytes == MOST
    await _refuses("413", namespace.put("k", bytes(MOST + 1)))


RULES: tuple[Callable[[KVNamespace], Awaitable[None]], ...] = (
    a_key_never_written_is_absent,
    a_value_and_texts_are_read_together,
    bytes_come_back_as_they_were,
    a_value_comes_with_its_metadata,
    a_body_of_another_size_is_corrupt,
    text_is_utf8,
    parts_are_joined,
    json_is_parsed_and_large_fields_are_taken_out,
    the_last_write_wins_and_clears_metadata,
    a_deleted_key_is_absent_and_deleting_twice_is_fine,
    a_hundred_keys_are_read_at_once_and_not_one_more,
    keys_are_listed_by_prefix_in_the_order_of_their_bytes,
    a_listing_has_pages,
    keys_hold_512_bytes,
    the_empty_key_and_dots_are_refused,
    metadata_holds_1024_bytes,
    a_time_to_live_is_at_least_a_minute,
    a_value_holds_25_mib,
)


async def _read(namespace: KVNamespace, key: str) -> Buffer:
    """The same value, read either way."""
    found, streamed = await namespace.get(key), await namespace.get(key, streamed=True)
    assert found is not None
    assert streamed is not None
    whole = await found.whole()
    assert (await streamed.whole()).to_bytes() == whole.to_bytes()
    return whole


async def _listed(namespace: KVNamespace, prefix: str) -> list[KVListedKey]:
    keys: list[KVListedKey] = []
    cursor: str | None = None
    while True:
        page = await namespace.list(prefix, cursor)
        keys.extend(page.keys)
        cursor = page.cursor
        if cursor is None:
            return keys


async def _refuses(status: str, call: Awaitable[object]) -> None:
    try:
        await call
    except Exception as error:  # noqa: BLE001 - the binding's error is JavaScript's
        assert status in str(error), error  # noqa: PT017 - the suite runs where there is no pytest
        return
    raise AssertionError(f"taken, though {status} was due")
