"""Moves the packages of `src/` below the one name `vinext`, so that a site may have modules of their names.

As pip does with the libraries that it vendors, imports are rewritten: `from cache.keys import …` becomes
`from vinext.cache.keys import …`. Positions come from the syntax tree, and nothing else of a file changes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "vinext"
"""The one top-level name. The package of that name in `src/` stays where it is; the others move into it."""

_IMPORTERS = frozenset({"import_module", "find_spec", "__import__"})
"""Functions whose first argument is the name of a module."""


class RewriteError(Exception):
    """A line from which it cannot be decided which module it means."""


@dataclass(frozen=True)
class OneName:
    """`modules` are the dotted names of the modules that move."""

    modules: frozenset[str]

    @classmethod
    def of(cls, sources: Path) -> OneName:
        """The packages in a folder; modules beside them, such as `entry.py`, do not move."""
        packages = (folder for folder in sources.iterdir() if folder.name != NAME and (folder / "__init__.py").is_file())
        paths = (path.relative_to(sources).with_suffix("") for package in packages for path in package.rglob("*.py"))
        return cls(frozenset(".".join(path.parts).removesuffix(".__init__") for path in paths))

    def library(self, sources: Path) -> Mapping[str, bytes]:
        """Return the package `vinext`: the path of each file and its content. Raises RewriteError."""
        files = {}
        for name in sorted({NAME} | {module.partition(".")[0] for module in self.modules}):
            folder = "" if name == NAME else f"{name}/"
            for path in python_files(sources / name):
                files[f"{NAME}/{folder}{path.relative_to(sources / name).as_posix()}"] = self.rewritten(path)
        return files

    def rewritten(self, path: Path) -> bytes:
        """Return a module's source with its imports rewritten. Raises RewriteError."""
        return self.rewrite(path.read_bytes(), str(path))

    def rewrite(self, source: bytes, where: str) -> bytes:
        """Return a source with its imports rewritten. Raises RewriteError, which names `where` and the line."""
        module = _Module(self.modules, where, source.splitlines(keepends=True))
        # From the end, so that earlier positions stay right.
        for line, column in sorted(module.places(ast.parse(source)), reverse=True):
            text = module.lines[line - 1]
            module.lines[line - 1] = text[:column] + f"{NAME}.".encode() + text[column:]
        return b"".join(module.lines)


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


@dataclass(frozen=True)
class _Module:
    """A source that is rewritten. Its places are the number of a line and a column in bytes, as `ast` has them."""

    modules: frozenset[str]
    where: str
    lines: list[bytes]

    def places(self, tree: ast.Module) -> Iterator[tuple[int, int]]:
        """Yield where the name has to be put in."""
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        imported = {id(call.args[0]) for call in calls if _imports(call)}
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom():
                    yield from self._from(node)
                case ast.Import():
                    yield from self._import(node)
                case ast.Constant(value=str(text)):
                    yield from self._text(node, text, is_imported=id(node) in imported)

    def _from(self, node: ast.ImportFrom) -> Iterator[tuple[int, int]]:
        if node.level:
            raise self._undecided(node, "a relative import; name the package")
        if self._moves(node.module or ""):
            yield self._found(node, "from ", f"{node.module} import")

    def _import(self, node: ast.Import) -> Iterator[tuple[int, int]]:
        for alias in node.names:
            if self._moves(alias.name):
                if alias.asname is None:
                    # It binds the name of the top-level package, which what follows then uses.
                    raise self._undecided(node, f"`import {alias.name}`; write `from … import …`")
                yield alias.lineno, alias.col_offset

    def _text(self, node: ast.Constant, text: str, *, is_imported: bool) -> Iterator[tuple[int, int]]:
        name = text.partition(":")[0]
        if is_imported and self._moves(name):
            yield self._found(node, '"', f'{text}"')
        elif "." in name and (name in self.modules or ("." in (parent := name.rpartition(".")[0]) and parent in self.modules)):
            raise self._undecided(node, f"the text {text!r} names a module; import the module, or write the text in another way")

    def _moves(self, name: str) -> bool:
        return name.partition(".")[0] in self.modules

    def _found(self, node: ast.stmt | ast.expr, before: str, name: str) -> tuple[int, int]:
        """Return the place of a name; it must stand on one line, as the formatter writes it."""
        if not self.lines[node.lineno - 1][node.col_offset :].startswith(f"{before}{name}".encode()):
            raise self._undecided(node, f"expected `{before}{name}` on one line")
        return node.lineno, node.col_offset + len(before)

    def _undecided(self, node: ast.stmt | ast.expr, message: str) -> RewriteError:
        return RewriteError(f"{self.where}:{node.lineno}: {message}")


def _imports(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    return name in _IMPORTERS and bool(call.args)
