from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cache.keys import KeySchema, kv_last_invalidation_key, kv_tag_key, page_key

if TYPE_CHECKING:
    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

HERE = Path(__file__).parent
TAGS = ["products", "/blog/héllo wörld", "日本語", "x" * 505, "x" * 506, "x" * 507, "é" * 252, "é" * 253, "🎉" * 200]
PREFIXES = ["", "shop", "s" * 200, "s" * 489, "s" * 490, "ü" * 300]


@pytest.mark.parametrize("name", ["adapter", "resources", "exchange", "worker"])
def test_the_adapter_by_itself(project: Project, example: SiteBuild, name: str) -> None:
    finished = node(project, "--test", "--test-reporter=tap", str(HERE / f"{name}.test.mjs"), app=example.root)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout


def test_pages_of_the_pages_router_by_themselves(project: Project) -> None:
    finished = node(project, "--test", "--test-reporter=tap", str(HERE / "pages_router.test.mjs"))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout


def test_what_it_writes_has_the_keys_that_the_worker_reads(project: Project) -> None:
    cases = [(tag, prefix) for tag in TAGS for prefix in PREFIXES]
    module = (project.root / "adapters" / "vinext" / "keys.js").as_uri()
    script = f"""
        import {{ lastInvalidationKey, markerKey }} from {json.dumps(module)};
        const markers = {json.dumps(cases)}.map(([tag, prefix]) => markerKey(tag, prefix));
        console.log(JSON.stringify([...markers, ...{json.dumps(PREFIXES)}.map(lastInvalidationKey)]));
    """
    finished = node(project, "--input-type=module", "--eval", script)
    markers = [kv_tag_key(tag, prefix) for tag, prefix in cases]
    assert json.loads(finished.stdout) == [*markers, *map(kv_last_invalidation_key, PREFIXES)], finished.stderr


@pytest.mark.parametrize("path", ["/", "/a", "/blog/héllo", "/a b", "/" + "long/" * 60 + "end"])
def test_the_keys_of_variants_are_vinext_s_own(project: Project, example: SiteBuild, path: str) -> None:
    module = example.root / "node_modules" / "vinext" / "dist" / "server" / "isr-cache.js"
    script = f"""
        import {{ appIsrRouteKey, appIsrRscKey }} from {json.dumps(module.as_uri())};
        const path = {json.dumps(path)};
        const variants = [[], ["slot:modal:/"], [null, "prefetch-loading-shell"], [null, undefined, "/feed"],
          ["slot:a:/ slot:b:/", "prefetch-dynamic-shell", "/feed", "edge"]];
        const handler = appIsrRouteKey(path + (path === "/" ? "" : "/"));
        console.log(JSON.stringify([handler, ...variants.map((variant) => appIsrRscKey(path, ...variant))]));
    """
    finished = node(project, "--input-type=module", "--eval", script)
    keys = json.loads(finished.stdout)
    parts = [re.search(r":(route.*|rsc.*)$", key) for key in keys]
    assert [page_key(KeySchema.V2, None, path, part[1]) for part in parts if part is not None] == keys


def node(project: Project, *arguments: str, app: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if app is None else {**os.environ, "VINEXT_APP": str(app)}
    return subprocess.run([project.tools.node, *arguments], capture_output=True, text=True, check=False, env=environment)
