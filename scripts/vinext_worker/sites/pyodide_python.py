"""Pyodide as an interpreter for uv, which asks it for the wheels and the markers that hold in a Worker."""

from __future__ import annotations

import shlex
from pathlib import Path

_PROGRAM = Path(__file__).with_suffix(".mjs")


def pyodide_python(node: Path, pyodide: Path, folder: Path) -> Path:
    """Write a program into a folder that runs npm's Pyodide as `python`, and return it.

    It is left alone if it is there already: uv remembers what an interpreter has told by its path and modification time.
    """
    words = shlex.join(map(str, (node, _PROGRAM, pyodide)))
    text = f'#!/bin/sh\nexec {words} "$0" "$@"\n'
    program = folder / "python"
    if not program.is_file() or program.read_text() != text:
        folder.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    return program
