"""The packages of a Python site, in its folder `python_modules`: the dependencies in its pyproject.toml, this library among them.

Without a pyproject.toml a requirements.txt lists them, as with other hosts; this library need not be among those.

uv resolves and installs them for Pyodide, as it does for Cloudflare's pywrangler. The folder is uploaded as it is, and the local
runtime runs from it, so both run the same code.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
import tomllib
from typing import TYPE_CHECKING, Any

from rich.text import Text
from uv import find_uv_bin

from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.sites.files import locked, remove_others
from vinext_worker.sites.pyodide_python import pyodide_python
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.releases import release_in, require_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig
    from vinext_worker.tools import Tools

LIBRARY = "vinext-worker"
"""The package of the Worker, as a site's dependencies name it."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Another list in a requirements.txt.
_INCLUDED = re.compile(r"^[ \t]*(?:-r|--requirement|-c|--constraint)[ \t=]*([^\s#]+)", re.MULTILINE)
_LEFT_OUT = frozenset({".lock", "__pycache__", "bin", "tests"})
# By these pywrangler knows that it has filled the folder. It does so again once pyproject.toml or pylock.toml is newer.
_PYWRANGLERS = frozenset({".synced", "pyvenv.cfg"})
# Bytecode of another place, and the sources of translations (a fourth of Django), which no code reads.
_UNUSED_SUFFIXES = frozenset({".pyc", ".po"})
_METADATA_SUFFIXES = (".dist-info", ".data")
_SHOWN_LINES = 20
_NOT_REACHED = "error sending request"
# uv's own number takes twice as long to tell that there is no network.
_UV_ENVIRONMENT = {"UV_HTTP_RETRIES": "2"}
# Some packages are there for Pyodide alone. Without need it is not asked: pywrangler fails where it cannot be reached.
_PYODIDE_INDEX = "https://index.pyodide.org/314.0.7"


def install_python_packages(project: PythonProject, tools: Tools, console: Console) -> None:
    """Fill the site's `python_modules`; quick if nothing has changed. Processes that do so for the same site wait for each other.

    Raises UserError if the packages cannot be installed, if this library is not among them, and if one of them hides a module of
    the site. In these cases `python_modules` is left as it was.
    """
    with locked(project.root):
        packages = _installed(project, tools, console)
        names = (_top_level_name(path.name) for path in packages.iterdir())
        project.require_own_names(frozenset(name for name in names if name is not None))
        wanted = {relative.as_posix(): path for relative, path in _files(packages)}
        for name, source in wanted.items():
            _mirror(source, project.packages / name)
        remove_others(project.packages, (wanted.keys() | _PYWRANGLERS).__contains__)


def install_front_packages(config: WranglerConfig, tools: Tools, console: Console) -> None:
    """Fill the `python_modules` of a Worker in front of an app, if a pyproject.toml beside its configuration lists its packages.

    In this repository the library is not a dependency but the project itself, and `scripts/setup` has filled the folder.
    """
    project = PythonProject(config.folder, config)
    if (config.folder / "pyproject.toml").is_file() and LIBRARY in _dependencies(project):
        install_python_packages(project, tools, console)


def requirement_name(requirement: str) -> str:
    """Return the normalized name of the package that a requirement asks for, "" if it names none."""
    name = _REQUIREMENT.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


def _dependencies(project: PythonProject) -> list[str]:
    return [requirement_name(one) for one in _requirements(project)]


def _requirements(project: PythonProject) -> list[str]:
    """Return what the site asks for. The options of a requirements.txt are among it, which uv reads."""
    if project.has_plain_list:
        return text_of(project.requirements).splitlines()
    return list(map(str, _read(project).get("project", {}).get("dependencies", [])))


def text_of(file: Path) -> str:
    """Return the text of a list, such as requirements.txt; raise ConfigurationError if it is none in UTF-8."""
    try:
        return file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); it has to be a text in UTF-8") from error


def _lists(project: PythonProject) -> list[Path]:
    """Return the file that lists the site's packages, and those that a requirements.txt includes."""
    files = [project.requirements]
    for file in files:
        if file.suffix != ".toml" and file.is_file():
            included = ((file.parent / name).resolve() for name in _INCLUDED.findall(text_of(file)))
            files += [other for other in dict.fromkeys(included) if other not in files]
    return files


def inputs_digest(project: PythonProject, tools: Tools) -> str:
    """Return a digest over everything that decides which packages are installed."""
    python = pyodide_python(tools.node, tools.node_modules / "pyodide", tools.cache / "python")
    inputs = (*_lists(project), project.lock, tools.installation.library(), python, *_own_wheels(project))
    return hashlib.sha256(b"\0".join(path.read_bytes() if path.is_file() else b"" for path in inputs)).hexdigest()


def _installed(project: PythonProject, tools: Tools, console: Console) -> Path:
    """Return a folder with the packages, which lies apart from `python_modules` because uv makes it anew for each change."""
    folder, stamp = project.local / "packages", project.local / "packages.stamp"
    library = tools.installation.library()
    python = pyodide_python(tools.node, tools.node_modules / "pyodide", tools.cache / "python")
    _require_our_release(project, tools.installation.checkout)
    digest = inputs_digest(project, tools)
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == digest:
        return folder
    project.local.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    start = time.monotonic()
    with console.status(f"installing the Python packages of {project.root} …"):
        ours = library if _takes_ours(project, tools.installation.checkout) else None
        lock = _resolve(project, ours, python, console)
        shutil.rmtree(folder, ignore_errors=True)
        command = ["install", "--quiet", "--target", str(folder), "--preview-features", "pylock", "-r", str(lock)]
        _require(_uv(project, python, *command), project, console)
    if not (folder / "vinext" / "worker.py").is_file():
        raise UserError(f"{project.requirements}: the dependencies lack {LIBRARY}, without which there is no Worker; add it")
    stamp.write_text(digest)
    console.print(Text(f"installing the Python packages: {project.root}, {time.monotonic() - start:.0f} s"))
    if project.has_plain_list:
        advice = "which pywrangler does not read; `vinext-worker init` makes a pyproject.toml of it"
        console.print(Text(f"the packages are those of {project.requirements}, {advice}"))
    return folder


def _resolve(project: PythonProject, ours: Path | None, python: Path, console: Console) -> Path:
    """Write down which release of each dependency is installed. Those that the site's pylock.toml has stay.

    The site's own file is left to pywrangler and uv.
    """
    lock, own_library = project.local / "pylock.toml", project.local / "library.txt"
    is_pinned = project.lock.is_file()
    if is_pinned:
        shutil.copyfile(project.lock, lock)
    else:
        lock.unlink(missing_ok=True)
    arguments = ["compile", "--quiet", "--no-header", "-o", str(lock), str(project.requirements)]
    if ours is not None:
        # Whoever registered that name elsewhere must not get into the Worker.
        own_library.write_text(f"{LIBRARY} @ {ours.as_uri()}\n")
        is_left_out = project.has_plain_list and LIBRARY not in _dependencies(project)
        arguments += ["--no-sources-package", LIBRARY, *([] if is_left_out else ["-c"]), str(own_library)]
    wheels, index = ["--no-build"], ["--extra-index-url", _PYODIDE_INDEX, "--index-strategy", "unsafe-best-match"]
    if is_pinned and _PYODIDE_INDEX.rpartition("/")[0].encode() in lock.read_bytes():
        _require(_uv(project, python, *arguments, *wheels, *index), project, console)
        return lock
    done = _uv(project, python, *arguments, *wheels)
    if done.returncode != 0 and _NOT_REACHED not in done.stderr:
        # A package whose native code is an accelerator runs without it: Pyodide builds it, without a compiler.
        others = (_uv(project, python, *arguments, *more) for more in ([*wheels, *index], []))
        done = next((other for other in others if other.returncode == 0), done)
    _require(done, project, console)
    return lock


def _require_our_release(project: PythonProject, checkout: Path | None) -> None:
    """Raise ConfigurationError if the site asks for the library of a release that these commands are not for."""
    requirement = next((one for one in _requirements(project) if requirement_name(one) == LIBRARY), "")
    source, takes_ours = _source(project), _takes_ours(project, checkout)
    named = requirement if takes_ours or not isinstance(source, dict) else str(source.get("path", ""))
    cure = f"run `vinext-worker init` in {project.root} again"
    require_release(LIBRARY, release_in(named), project.requirements, cure, exactly=takes_ours)


def _takes_ours(project: PythonProject, checkout: Path | None) -> bool:
    """Whether the site takes the library of these commands: it names no source, or the checkout that they run from."""
    match _source(project):
        case None:
            return True
        case {"path": str(path)}:
            return (project.root / path).resolve() == checkout
    return False


def _source(project: PythonProject) -> object:
    """Return what the site says of where the library comes from, None if it says nothing."""
    source: object = _read(project).get("tool", {}).get("uv", {}).get("sources", {}).get(LIBRARY)
    return source


def _own_wheels(project: PythonProject) -> list[Path]:
    """Return the wheels that the site says its packages come from, such as the library that `vinext-worker init` puts there."""
    sources = _read(project).get("tool", {}).get("uv", {}).get("sources", {}).values()
    paths = (source.get("path", "") for source in sources if isinstance(source, dict))
    return [project.root / path for path in paths if str(path).endswith(".whl")]


def _read(project: PythonProject) -> dict[str, Any]:
    if project.has_plain_list:
        return {}
    try:
        return tomllib.loads(project.requirements.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{project.requirements} cannot be read ({error})") from error


def _uv(project: PythonProject, python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [find_uv_bin(), "pip", arguments[0], "--python", str(python), *arguments[1:]]
    environment = {**_UV_ENVIRONMENT, **os.environ}
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)


def _require(done: subprocess.CompletedProcess[str], project: PythonProject, console: Console) -> None:
    if done.returncode != 0:
        console.print(Text("\n".join(done.stderr.rstrip().splitlines()[-_SHOWN_LINES:])))
        raise UserError(
            f"the dependencies in {project.requirements} cannot be installed for a Python Worker (see above); fix that, "
            "then run this again"
        )


def _top_level_name(item: str) -> str | None:
    """Return the name that a file or folder of `python_modules` takes, `cache` for `cache.py`; None for one that takes none."""
    if item in _LEFT_OUT or item.endswith(_METADATA_SUFFIXES):
        return None
    return item.partition(".")[0] or None


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and path.suffix not in _UNUSED_SUFFIXES and not _LEFT_OUT.intersection(relative.parts):
            yield relative, path


def _mirror(source: Path, target: Path) -> None:
    status = source.stat()
    if target.is_file():
        present = target.stat()
        if (present.st_size, present.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
