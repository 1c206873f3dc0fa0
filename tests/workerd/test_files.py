"""The scripts of a build whose folder `run_worker_first` does not name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.stubs import FORBIDDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workerd.worker_pool import ColdWorker


@pytest.mark.parametrize("folder", ["shop/_next/static", "cdn/_next/static", "_next/static"])
def test_they_come_from_the_assets_and_what_is_not_there_from_the_page_handler(
    folder: str, either_worker: ColdWorker, tmp_path: Path
) -> None:
    build = SmallBuild(tmp_path)
    build.page("/")
    script = tmp_path / "no-client" / folder / "chunks" / "a.js"
    script.parent.mkdir(parents=True)
    script.write_text("a")
    either_worker.assets.fill(build.copy())
    either_worker.pages.plan_for(FORBIDDEN)
    visitor = either_worker.visitor
    answer = visitor.ask(f"/{folder}/chunks/a.js")
    assert (answer.status, answer.text, answer.state) == (200, "a", None)
    assert visitor.ask(f"/{folder}/chunks/a.js", method="HEAD").status == 200
    assert either_worker.pages.requests() == []
    assert visitor.ask(f"/{folder}/chunks/b.js").status == 599
    assert visitor.ask(f"/{folder}/chunks/a.js", method="POST").status == 599
    hidden = visitor.ask(f"/{folder}/..%2f..%2f..%2f__prerender/build.json")
    assert (hidden.status, build.build_id in hidden.text) == (404, False)
