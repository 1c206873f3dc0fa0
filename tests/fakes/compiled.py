"""A compiled package: a WebAssembly library with an empty extension module, of no other language than these bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIX = ".cpython-314-wasm32-emscripten.so"

_I32, _CONST = 0x7F, 0

# PyModuleDef with 32-bit pointers: its name comes after the five words of its base.
_DEFINITION_BYTES = 48
_NAME_AT = 20


def compiled_module(name: str) -> bytes:
    """The library of the module `name`. Its one function tells the definition where its name is, and hands it to Python."""
    data = bytes(_DEFINITION_BYTES) + name.encode() + b"\0"
    memory_base = b"\x23\x00"  # global.get 0
    name_place = memory_base + b"\x41" + _signed(_DEFINITION_BYTES) + b"\x6a"  # i32.const, i32.add
    store = memory_base + name_place + b"\x36\x02" + _number(_NAME_AT)  # i32.store
    body = b"\x00" + store + memory_base + b"\x10\x00\x0b"  # call 0, end
    types = [b"\x60\x01" + bytes([_I32]) + b"\x01" + bytes([_I32]), b"\x60\x00\x01" + bytes([_I32])]
    imports = [
        _text("env") + _text("PyModuleDef_Init") + b"\x00\x00",
        _text("env") + _text("memory") + b"\x02\x00\x00",
        _text("env") + _text("__memory_base") + bytes([3, _I32, _CONST]),
    ]
    memory = b"".join(map(_number, (len(data), 3, 0, 0)))
    return b"".join(
        (
            b"\0asm" + struct.pack("<I", 1),
            _section(0, _text("dylink.0") + b"\x01" + _number(len(memory)) + memory),
            _section(1, _list(types)),
            _section(2, _list(imports)),
            _section(3, _list([b"\x01"])),
            _section(7, _list([_text(f"PyInit_{name}") + b"\x00\x01"])),
            _section(10, _list([_number(len(body)) + body])),
            _section(11, _list([b"\x00" + memory_base + b"\x0b" + _number(len(data)) + data])),
        )
    )


def _section(number: int, contents: bytes) -> bytes:
    return bytes([number]) + _number(len(contents)) + contents


def _list(items: Sequence[bytes]) -> bytes:
    return _number(len(items)) + b"".join(items)


def _text(text: str) -> bytes:
    return _number(len(text)) + text.encode()


def _number(number: int) -> bytes:
    """LEB128."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _signed(number: int) -> bytes:
    assert 0 <= number < 64
    return bytes([number])
