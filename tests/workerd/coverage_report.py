"""Print what of the code that touches `js` and `pyodide` no test in workerd has run: `./scripts/workerd-coverage` calls this."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from coverage import Coverage

SOURCE = Path(__file__).parents[2] / "src"
_LIBRARY = "python_modules/vinext/"  # where a site's own Worker has the packages of this one


def lines_that_ran(folder: Path) -> dict[str, set[int]]:
    """Return the lines by the module's path in this project, from the files that local runtimes wrote."""
    modules = [*sorted((SOURCE / "edge").rglob("*.py")), SOURCE / "vinext" / "worker.py", SOURCE / "entry.py"]
    lines: dict[str, set[int]] = {str(module): set() for module in modules}
    for file in folder.glob("*.json"):
        for name, ran in json.loads(file.read_text()).items():
            module = name.removeprefix(_LIBRARY)
            for sources in (SOURCE, SOURCE / "vinext"):
                lines.get(str(sources / module), set()).update(ran)
    return lines


def report(folder: Path) -> float:
    """Print a table of the modules; return the percentage of lines that ran."""
    measured = Coverage(data_file=None, config_file=str(SOURCE.parent / "pyproject.toml"), omit=[], branch=False)
    measured.get_data().add_lines(lines_that_ran(folder))
    return measured.report(show_missing=True, skip_covered=False)


if __name__ == "__main__":
    report(Path(sys.argv[1]))
