"""The secret of draft mode in the code of a built Worker, as bundlers write it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import real_build

from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.draft_secret import draft_digest

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "363cac2b70822215900dfb3ef3c6298f"
OTHER = "7cb6899b600304bc2e788beb82bd124c"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()

MINIFIED = (
    f"var xe=1,U=`{SECRET}`,W=`d642`;f({{basePath:e,draftModeSecret:U,i18n:null}});g({{draftModeSecret:e.draftModeSecret}})"
)


@pytest.mark.parametrize(
    ("files", "digest"),
    [
        pytest.param({"index.js": MINIFIED}, DIGEST, id="minified"),
        pytest.param({"index.js": MINIFIED, "ssr/a.js": MINIFIED.replace("U", "Rp")}, DIGEST, id="in several files"),
        pytest.param(
            {"index.js": f'const __draftModeSecret = "{SECRET}";\nf({{\n  draftModeSecret: __draftModeSecret,\n}});'},
            DIGEST,
            id="as it was written",
        ),
        pytest.param({"index.js": f"f({{draftModeSecret:`{SECRET}`}})"}, DIGEST, id="inlined"),
        pytest.param(
            {"index.js": f"return e&&t?{{bypassId:`{SECRET}`,encryptionKey:e,signingKey:t}}:r"}, DIGEST, id="Pages Router"
        ),
        pytest.param({"index.js": f'const bypassId = "{SECRET}";'}, DIGEST, id="Pages Router, as it was written"),
        pytest.param({"a.js": MINIFIED, "b.js": MINIFIED.replace(SECRET, OTHER)}, "", id="two secrets"),
        pytest.param({"index.js": f"var U=`{SECRET}`;f(U);g({{bypassId:P(16).toString(`hex`)}})"}, "", id="another text"),
        pytest.param({"index.js": f"f({{draftModeSecret:U}});e.U=`{SECRET}`,aU=`{SECRET}`"}, "", id="another name"),
        pytest.param({"index.js": "f({draftModeSecret:U});U=``"}, "", id="empty"),
        pytest.param({"index.js.map": MINIFIED}, "", id="no code"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_code(files: dict[str, str], digest: str, tmp_path: Path) -> None:
    for name, code in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    assert draft_digest([tmp_path, tmp_path]) == digest


def test_a_copy_has_the_digest_and_nowhere_the_secret(tmp_path: Path) -> None:
    built = real_build("1.4.0", tmp_path)
    (built.manifest.parent / "index.js").write_text(MINIFIED)
    report = copy_build(built, tmp_path / "assets")
    files = [file.read_bytes() for file in (tmp_path / "assets").rglob("*") if file.is_file()]
    assert sum(DIGEST.encode() in content for content in files) == 1
    assert not any(SECRET.encode() in content for content in files)
    assert SECRET not in repr(report)
    assert DIGEST not in repr(report)
