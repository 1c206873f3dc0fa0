from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.adapters.test_adapter import PREFIXES, TAGS, node

from cache.keys import kv_last_stale_key, kv_stale_key

if TYPE_CHECKING:
    from vinext_worker.project import Project


def test_stale_invalidations_and_stale_data_in_the_adapter(project: Project) -> None:
    finished = node(project, "--test", "--test-reporter=tap", str(Path(__file__).with_name("stale.test.mjs")))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout


def test_the_markers_of_stale_invalidations_have_the_keys_that_the_worker_reads(project: Project) -> None:
    cases = [(tag, prefix) for tag in TAGS for prefix in PREFIXES]
    module = (project.root / "adapters" / "vinext" / "keys.js").as_uri()
    script = f"""
        import {{ lastStaleKey, staleMarkerKey }} from {json.dumps(module)};
        const markers = {json.dumps(cases)}.map(([tag, prefix]) => staleMarkerKey(tag, prefix));
        console.log(JSON.stringify([...markers, ...{json.dumps(PREFIXES)}.map(lastStaleKey)]));
    """
    finished = node(project, "--input-type=module", "--eval", script)
    markers = [kv_stale_key(tag, prefix) for tag, prefix in cases]
    assert json.loads(finished.stdout) == [*markers, *map(kv_last_stale_key, PREFIXES)], finished.stderr
