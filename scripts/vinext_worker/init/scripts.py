"""The scripts in a project's package.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinext_worker.init.found import read_package

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.init.plan import Plan
    from vinext_worker.init.setting_up import Setting

_SCRIPTS = {"dev:vinext-worker": "vinext-worker dev", "deploy:vinext-worker": "vinext-worker deploy"}


def add_scripts(plan: Plan, folder: Path, setting: Setting) -> None:
    """Add the scripts that are not there."""
    path = folder / "package.json"
    present = read_package(folder).get("scripts", {})
    edits = [(("scripts", name), command) for name, command in _SCRIPTS.items() if name not in present]
    plan.write(path, setting.editor.set_json(plan.read(path) or "", edits))
