from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinext_worker.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vinext_worker.init.plan import Plan
    from vinext_worker.tools import Tools

_PROGRAM = Path(__file__).with_name("edit.mjs")
_SECONDS = 60


@dataclass(frozen=True)
class Editor:
    """Edits JavaScript, TypeScript and JSON with comments by a parser, which keeps everything else as it is."""

    tools: Tools

    def edit(self, plan: Plan, path: Path, operation: str, **arguments: object) -> Mapping[str, Any] | None:
        """Apply an operation of edit.mjs to a file of the plan. Where that is not possible, note the problems and return None."""
        text = plan.read(path)
        answer = self._run({"operation": operation, "text": text, **arguments})
        for problem in answer.get("problems", ()):
            plan.problem(path, problem["message"], problem["line"])
        if "problems" in answer:
            return None
        if "text" in answer:
            plan.write(path, answer["text"])
        return answer

    def set_json(self, text: str, edits: Sequence[tuple[Sequence[str | int], object]]) -> str:
        """Return JSON, perhaps with comments, with the values at these paths; None removes."""
        rows = [{"path": list(path)} | ({} if value is None else {"value": value}) for path, value in edits]
        edited: str = self._run({"operation": "json", "text": text, "edits": rows})["text"]
        return edited

    def _run(self, request: Mapping[str, object]) -> dict[str, Any]:
        document = json.dumps({"tools": str(self.tools.installation.npm_tools / "package.json"), **request})
        node = self.tools.node
        try:
            done = subprocess.run(
                [node, _PROGRAM],
                input=document,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise ToolError(f"the editor of configuration files failed: {reason[-1] if reason else error}") from error
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
