from __future__ import annotations

import ast

import pytest

from build_packages.one_name import OneName, RewriteError
from build_packages.wheels import SOURCES

NAMES = OneName(frozenset({"cache", "cache.keys", "core", "core.log", "pages", "pages.images", "pages.images.endpoint"}))

REWRITTEN = {
    "a name of a module": ("from cache.keys import KeySchema\n", "from vinext.cache.keys import KeySchema\n"),
    "a module of a package": ("from cache import keys\n", "from vinext.cache import keys\n"),
    "over lines": ("from core.log import (\n    Log,\n)\n", "from vinext.core.log import (\n    Log,\n)\n"),
    "under another name": ("import cache.keys as keys\n", "import vinext.cache.keys as keys\n"),
    "several at once": ("import os, core as c\n", "import os, vinext.core as c\n"),
    "in a function": ("def f():\n    from core import log\n", "def f():\n    from vinext.core import log\n"),
    "twice on a line": (
        "from core import log; from cache import keys\n",
        "from vinext.core import log; from vinext.cache import keys\n",
    ),
    "behind letters of several bytes": ("x = 'äöü'; from core import log\n", "x = 'äöü'; from vinext.core import log\n"),
    "by name": ('import_module("pages.images")\n', 'import_module("vinext.pages.images")\n'),
    "by name, with an attribute": ('importlib.import_module("core")\n', 'importlib.import_module("vinext.core")\n'),
    "with Windows's line ends": ("from core import log\r\nx = 1\r\n", "from vinext.core import log\r\nx = 1\r\n"),
}

KEPT = {
    "the package that has the name already": "from vinext.worker import Default\n",
    "other packages": "import json\nfrom caches.keys import x\nfrom corelib import y\n",
    "a docstring": '"""from cache.keys import KeySchema"""\n',
    "a comment": "x = 1  # from cache.keys import KeySchema\n",
    "a log event": 'log.event("error", "cache.read_failed")\n',
    "a word": 'folder = "pages"\n',
    "a module of the site's, by a variable": "import_module(name)\n",
}

REFUSED = {
    "a name that the import binds": ("x = 1\nimport cache.keys\n", "2: `import cache.keys`"),
    "a top-level name that the import binds": ("import cache\n", "1: `import cache`"),
    "a relative import": ("from . import keys\n", "1: a relative import"),
    "a text that names a module": ('\nx = "cache.keys"\n', "2: the text 'cache.keys'"),
    "a text that names something in a module": ('x = "core.log:Log"\n', "1: the text 'core.log:Log'"),
    "a text with a dotted name in a module": ('x = "core.log.Log"\n', "1: the text 'core.log.Log'"),
    "an import over a continued line": ("from \\\n    cache import keys\n", "1: expected `from cache import`"),
}


@pytest.mark.parametrize(("source", "expected"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_imports_are_rewritten(source: str, expected: str) -> None:
    assert NAMES.rewrite(source.encode(), "a.py").decode() == expected


@pytest.mark.parametrize("source", KEPT.values(), ids=KEPT.keys())
def test_the_rest_is_kept(source: str) -> None:
    assert NAMES.rewrite(source.encode(), "a.py").decode() == source


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_decided_is_refused_with_file_and_line(source: str, message: str) -> None:
    with pytest.raises(RewriteError, match=r"^a\.py:") as raised:
        NAMES.rewrite(source.encode(), "a.py")
    assert message in str(raised.value)


def test_every_module_of_the_library_imports_within_its_one_name() -> None:
    files = OneName.of(SOURCES).library(SOURCES)
    tops = {path.name for path in SOURCES.iterdir()} - {"vinext"}
    assert {name.partition("/")[0] for name in files} == {"vinext"}
    assert "vinext/cache/keys.py" in files
    assert "vinext/worker.py" in files
    for name, source in files.items():
        for node in ast.walk(ast.parse(source)):
            imported = [node.module] if isinstance(node, ast.ImportFrom) else []
            imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {str(module).partition(".")[0] for module in imported} & tops, name
