"""`vinext-worker init`: what it finds, what it changes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonc
import pytest
from tests.fakes.projects import DJANGO, FASTAPI, FLASK, PYTHON_WORKER, STARLETTE, VINEXT_APP, VITE, write_project

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.init import command
from vinext_worker.init.artifacts import Artifacts
from vinext_worker.local_runtime.dates import newest_date
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.deployments import CommandLine, Said

NEWEST = newest_date(Tools(Path(__file__).parent).workerd_version)
LIBRARY, ADAPTER = "vinext_worker-0.1.0-py3-none-any.whl", "vinext-worker-adapter-0.1.0.tgz"


@pytest.fixture(autouse=True)
def artifacts(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are quick to make; tests/packages builds the real ones."""
    folder = tmp_path_factory.mktemp("artifacts")
    for name in (LIBRARY, ADAPTER):
        (folder / name).write_bytes(b"a package\0")
    monkeypatch.setattr(command, "_artifacts", lambda _folder: Artifacts("0.1.0", folder / LIBRARY, folder / ADAPTER))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def init(command_line: CommandLine, folder: Path, *arguments: str) -> Said:
    return command_line.run("init", folder, "--yes", "--no-install", *arguments)


def configuration(folder: Path, name: str) -> dict[str, Any]:
    text = (folder / name).read_text()
    values: dict[str, Any] = tomllib.loads(text) if name.endswith(".toml") else jsonc.loads(text)
    return values


PROJECTS: Mapping[str, Mapping[str, str]] = {
    "vinext": VINEXT_APP,
    "python worker": PYTHON_WORKER,
    "starlette": STARLETTE,
    "flask": FLASK,
    "django": DJANGO,
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS.keys())
def test_the_second_time_changes_nothing(command_line: CommandLine, tmp_path: Path, files: Mapping[str, str]) -> None:
    folder = write_project(tmp_path / "a site", files)
    first = init(command_line, folder)
    assert first.status == 0, first.err
    after = contents(folder)
    second = init(command_line, folder)
    assert (second.status, contents(folder)) == (0, after)
    assert "nothing to change" in second.out


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS.keys())
def test_a_dry_run_shows_a_diff_that_git_applies_and_changes_nothing(
    command_line: CommandLine, tmp_path: Path, files: Mapping[str, str]
) -> None:
    folder = write_project(tmp_path / "site", files)
    before = contents(folder)
    said = command_line.run("init", folder, "--dry-run")
    assert (said.status, contents(folder)) == (0, before)
    assert "nothing was changed" in said.out
    patch = said.out[said.out.index("--- ") :].partition("\nnote: ")[0].splitlines(keepends=True)
    text = "".join(_without_binary(patch)) + "\n"
    subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=text, text=True, check=True)
    applied = contents(folder)
    assert applied != before
    write_project(tmp_path / "other" / "site", files)
    init(command_line, tmp_path / "other" / "site")
    expected = contents(tmp_path / "other" / "site")
    assert applied == {name: content for name, content in expected.items() if "vendor/" not in name}


def _without_binary(lines: list[str]) -> list[str]:
    binary = {number for number, line in enumerate(lines) if line.startswith("(binary")}
    return [line for number, line in enumerate(lines) if not {number, number + 1, number + 2} & binary]


def test_a_vinext_app_gets_the_adapter_and_a_worker_in_front(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", VINEXT_APP)
    said = init(command_line, folder)
    assert said.status == 0, said.err
    vite = (folder / "vite.config.ts").read_text()
    added = [
        'import { vinextWorkerCache } from "vinext-worker-adapter";',
        "      cache: { cdn: vinextWorkerCache() },",
        '      prerender: { routes: "*" },',
    ]
    assert [line for line in vite.splitlines() if line not in added] == VITE.splitlines()
    assert all(line in vite.splitlines() for line in added)
    app = WranglerConfig.read(folder / "wrangler.jsonc")
    front = WranglerConfig.read(folder / "vinext-worker" / "wrangler.toml")
    assert (front.services, front.name) == ({"PAGES": app.name}, "my-next-app-cache")
    assert (front.main, (folder / "vinext-worker" / "src" / "entry.py").is_file()) == (
        folder / "vinext-worker" / "src" / "entry.py",
        True,
    )
    assert front.kv_namespaces.keys() == {"VINEXT_CACHE"}
    assert front.assets is not None
    assert front.assets.worker_first == ("/*",)
    package = json.loads((folder / "package.json").read_text())
    assert package["devDependencies"]["vinext-worker-adapter"] == f"file:vinext-worker/vendor/{ADAPTER}"
    assert (folder / "vinext-worker" / "vendor" / ADAPTER).is_file()
    assert package["scripts"]["dev:vinext-worker"] == "vinext-worker dev"
    assert package["scripts"]["build"] == "next build"


def test_the_default_configuration_of_vinext_init_moves_to_wrangler(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", VINEXT_APP)
    said = init(command_line, folder)
    assert "cloudflare.config.ts is for the beta" in said.out
    assert not (folder / "cloudflare.config.ts").exists()
    assert configuration(folder, "wrangler.jsonc") == {
        "$schema": "node_modules/wrangler/config-schema.json",
        "name": "my-next-app",
        "main": "vinext-worker-adapter/worker",
        "compatibility_date": NEWEST,
        "compatibility_flags": ["nodejs_compat"],
        "assets": {
            "directory": "dist/client",
            "binding": "ASSETS",
            "html_handling": "none",
            "not_found_handling": "none",
            "run_worker_first": ["/*", "!/_next/static/*", "!/*/_next/static/*"],
        },
        "images": {"binding": "IMAGES"},
        "workers_dev": False,
        "preview_urls": False,
    }
    package = json.loads((folder / "package.json").read_text())
    assert package["devDependencies"]["@cloudflare/vite-plugin"] == "^1.64.0"
    assert "cf" not in package["devDependencies"]
    assert package["scripts"]["deploy:vinext"] == "vinext-cloudflare deploy --config dist/server/wrangler.json"


def test_an_existing_wrangler_configuration_keeps_its_comments_and_settings(command_line: CommandLine, tmp_path: Path) -> None:
    own = """{
  // our Worker
  "name": "shop",
  "main": "vinext/server/fetch-handler", /* vinext's */
  "compatibility_date": "2026-07-01",
  "compatibility_flags": ["nodejs_compat"],
  "workers_dev": true,
  "assets": { "directory": "dist/client", "binding": "FILES" },
  "d1_databases": [{ "binding": "DB", "database_id": "x" }], // data
}
"""
    files = {name: text for name, text in VINEXT_APP.items() if name != "cloudflare.config.ts"}
    folder = write_project(tmp_path / "site", {**files, "wrangler.jsonc": own})
    assert init(command_line, folder).status == 0
    changed = own.replace("vinext/server/fetch-handler", "vinext-worker-adapter/worker")
    changed = changed.replace(", // data\n", ', // data\n  "preview_urls": false,\n')
    assert (folder / "wrangler.jsonc").read_text() == changed
    assert configuration(folder, "vinext-worker/wrangler.toml")["services"] == [{"binding": "PAGES", "service": "shop"}]


def test_routes_of_the_app_are_named(command_line: CommandLine, tmp_path: Path) -> None:
    files = {name: text for name, text in VINEXT_APP.items() if name != "cloudflare.config.ts"}
    routed = {"wrangler.toml": '# ours\nname = "shop"\nroutes = ["shop.example/*"]\n'}
    folder = write_project(tmp_path / "site", {**files, **routed})
    said = init(command_line, folder)
    assert "move them to vinext-worker/wrangler.toml" in said.out
    text = (folder / "wrangler.toml").read_text()
    assert text.startswith('# ours\nname = "shop"\nroutes = ["shop.example/*"]\nmain = "vinext-worker-adapter/worker"\n')


def test_an_entry_of_the_apps_own_is_wrapped(command_line: CommandLine, tmp_path: Path) -> None:
    entry = """import app from "vinext/server/fetch-handler";

export default {
  fetch: (request) => app.fetch(request), // own
};
"""
    typed = {
        "cloudflare.config.ts": VINEXT_APP["cloudflare.config.ts"].replace("vinext/server/fetch-handler", "./worker/index.ts")
    }
    folder = write_project(tmp_path / "site", {**VINEXT_APP, **typed, "worker/index.ts": entry})
    assert init(command_line, folder).status == 0
    wrapped = (folder / "worker" / "index.ts").read_text()
    assert 'import { withVinextWorker } from "vinext-worker-adapter/worker";' in wrapped
    assert "export default withVinextWorker({\n" in wrapped
    assert "// own\n});\n" in wrapped
    assert configuration(folder, "wrangler.jsonc")["main"] == "./worker/index.ts"


# Configurations that stay as they are but for what is added, by what has to be in them afterwards.
EDITED = {
    "a function": (
        "export default defineConfig(({ mode }) => ({ plugins: [vinext(), mode && other()] }));",
        "cdn: vinextWorkerCache()",
    ),
    "a variable": ("const plugins = [vinext({ prerender: false })]; // ours\nexport default { plugins };", "// ours"),
    "single quotes": ("import a from 'a'\nexport default { plugins: [vinext()] }", "from 'vinext-worker-adapter'\n"),
    "a cache for data": ("export default { plugins: [vinext({ cache: { data: kv() } })] };", "data: kv()"),
    "types": ("export default { plugins: [vinext(), x as Plugin] } satisfies UserConfig;", "satisfies UserConfig"),
    "another name": (
        "import { vinextWorkerCache as own } from 'vinext-worker-adapter';\nexport default [vinext()];",
        "cdn: own()",
    ),
}

# Configurations that cannot be edited, with the line and the advice.
REFUSED = {
    "a spread of options": (
        "const o = {};\nexport default [vinext({ ...o })];",
        3,
        "add by hand: cache: { cdn: vinextWorkerCache() }",
    ),
    "options from elsewhere": (
        "export default [vinext(options)];",
        2,
        "add to them by hand: cache: { cdn: vinextWorkerCache() }",
    ),
    "two calls": ("export default cond ? [vinext()] :\n  [vinext({ x: 1 })];", 3, "is called 2 times"),
    "no call": ("export default [];", 1, "is called 0 times"),
    "another cache": (
        "export default [vinext({\n  cache: store(),\n})];",
        3,
        "write instead: cache: { cdn: vinextWorkerCache() }",
    ),
    "another cdn": ("export default [vinext({ cache: {\n cdn: edge() } })];", 3, "write instead: cdn: vinextWorkerCache()"),
    "no list of plugins": ("const p = vinext();\nexport default [p];", 2, "add behind vinext(): cloudflare({ viteEnvironment: "),
    "an error": ("export default [vinext(];", 2, "does not parse"),
}


@pytest.mark.parametrize(("source", "expected"), EDITED.values(), ids=EDITED.keys())
def test_a_vite_configuration_of_another_form_is_edited(
    command_line: CommandLine, tmp_path: Path, source: str, expected: str
) -> None:
    quoted = "import vinext from 'vinext'\n" if "'a'" in source else 'import vinext from "vinext";\n'
    folder = write_project(tmp_path / "site", {**VINEXT_APP, "vite.config.ts": f"{quoted}{source}\n"})
    said = init(command_line, folder)
    assert said.status == 0, said.err
    vite = (folder / "vite.config.ts").read_text()
    assert expected in vite
    assert 'prerender: { routes: "*" }' in " ".join(vite.replace('routes: "*",', 'routes: "*"').split())
    assert "viteEnvironment" in vite
    assert vite.endswith("\n")


@pytest.mark.parametrize(("source", "line", "advice"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_edited_is_named_and_nothing_is_changed(
    command_line: CommandLine, tmp_path: Path, source: str, line: int, advice: str
) -> None:
    folder = write_project(tmp_path / "site", {**VINEXT_APP, "vite.config.ts": f'import vinext from "vinext";\n{source}\n'})
    before = contents(folder)
    said = init(command_line, folder)
    assert (said.status, contents(folder)) == (1, before)
    assert f"vite.config.ts:{line}: " in said.err
    assert advice in said.err


def test_a_pages_router_is_built_into_the_folders_that_vinext_prerenders_from(command_line: CommandLine, tmp_path: Path) -> None:
    files = {name: text for name, text in VINEXT_APP.items() if not name.startswith("app/")}
    plain = VITE.replace(
        '{\n      viteEnvironment: {\n        name: "rsc",\n        childEnvironments: ["ssr"],\n      },\n    }', ""
    )
    folder = write_project(tmp_path / "site", {**files, "vite.config.ts": plain, "pages/index.tsx": ""})
    assert init(command_line, folder).status == 0
    vite = (folder / "vite.config.ts").read_text()
    assert 'ssr: { build: { outDir: "dist/server" } }' in vite
    assert 'viteEnvironment: { name: "ssr" }' in vite


def test_a_typed_configuration_with_more_in_it_is_named_by_its_line(command_line: CommandLine, tmp_path: Path) -> None:
    typed = VINEXT_APP["cloudflare.config.ts"].replace("IMAGES: bindings.images()", "ROOM: bindings.durableObject({ a: 1 })")
    folder = write_project(tmp_path / "site", {**VINEXT_APP, "cloudflare.config.ts": typed})
    before = contents(folder)
    said = init(command_line, folder)
    assert (said.status, contents(folder)) == (1, before)
    assert "cloudflare.config.ts:16: env: ROOM: bindings.durableObject({ a: 1 }) cannot be moved" in said.err
    assert "write a wrangler.jsonc with the same settings" in said.err


def test_a_python_worker_stays_as_it_is_behind_the_cache(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", PYTHON_WORKER)
    said = init(command_line, folder)
    assert said.status == 0, said.err
    assert (folder / "src" / "entry.py").read_text() == PYTHON_WORKER["src/entry.py"]
    config = WranglerConfig.read(folder / "wrangler.jsonc")
    assert config.main == folder / "src" / "worker.py"
    assert "// the day it was made" in (folder / "wrangler.jsonc").read_text()
    assert 'PAGES = ["/"]' in (folder / "src" / "worker.py").read_text()
    assert "the same for every visitor: /" in said.out
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == ["vinext-worker==0.1.0"]
    assert project["tool"]["uv"]["sources"]["vinext-worker"] == {"path": f"vendor/{LIBRARY}"}
    assert "# none yet" in (folder / "pyproject.toml").read_text()


def test_a_worker_with_a_toml_configuration_keeps_its_comments(command_line: CommandLine, tmp_path: Path) -> None:
    own = """# our Worker
name = "my-worker"
main = "src/entry.py"  # the entry
compatibility_date = "2025-11-01"
compatibility_flags = ["python_workers"]
kv_namespaces = [{ binding = "DATA", id = "x" }]

[vars]
# which shop
SHOP = "one"
"""
    files = {name: text for name, text in PYTHON_WORKER.items() if name != "wrangler.jsonc"}
    folder = write_project(tmp_path / "site", {**files, "wrangler.toml": own})
    assert init(command_line, folder).status == 0
    text = (folder / "wrangler.toml").read_text()
    assert text.startswith('# our Worker\nname = "my-worker"\nmain = "src/worker.py"  # the entry\n')
    assert "# which shop\n" in text
    config = WranglerConfig.read(folder / "wrangler.toml")
    assert config.kv_namespaces.keys() == {"DATA", "VINEXT_CACHE"}
    assert config.compatibility_date == "2026-10-01"


def test_dev_names_a_date_that_is_too_new(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", PYTHON_WORKER)
    init(command_line, folder)
    configuration_file = folder / "wrangler.jsonc"
    configuration_file.write_text(configuration_file.read_text().replace(NEWEST, "2099-01-01"))
    said = command_line.run("dev", "--site", folder, "--port", "0")
    assert said.status == 1
    assert said.err == (
        f"vinext-worker: {configuration_file}: the local runtime knows compatibility dates up to {NEWEST}; "
        f'write compatibility_date = "{NEWEST}" instead of 2099-01-01\n'
    )


def test_the_other_classes_and_handlers_of_a_python_worker_stay_reachable(command_line: CommandLine, tmp_path: Path) -> None:
    entry = """
from workers import DurableObject, WorkerEntrypoint


class Room(DurableObject):
    pass


class Default(WorkerEntrypoint):
    async def fetch(self, request): ...

    async def scheduled(self, controller, env, ctx): ...
"""
    folder = write_project(tmp_path / "site", {**PYTHON_WORKER, "src/entry.py": entry})
    assert init(command_line, folder).status == 0
    written = (folder / "src" / "worker.py").read_text()
    assert "from entry import Room, Default as Worker\n" in written
    assert '__all__ = ["Default", "Room"]' in written
    assert "class Default(Cached, Worker):" in written
    compile(written, "worker.py", "exec")


@pytest.mark.parametrize("environment", [False, True])
def test_a_durable_object_from_another_module_stays_reachable(
    command_line: CommandLine, tmp_path: Path, *, environment: bool
) -> None:
    entry = """
from counter import Counter, Other
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request): ...
"""
    bindings = {"durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]}}
    elsewhere = {"workflows": [{"name": "w", "binding": "W", "class_name": "Other", "script_name": "another"}]}
    values = jsonc.loads(PYTHON_WORKER["wrangler.jsonc"])
    values |= {"env": {"staging": bindings}} if environment else bindings
    files = {**PYTHON_WORKER, "src/entry.py": entry, "src/counter.py": "", "wrangler.jsonc": json.dumps(values | elsewhere)}
    folder = write_project(tmp_path / "site", files)
    assert init(command_line, folder).status == 0
    written = (folder / "src" / "worker.py").read_text()
    assert "from entry import Counter, Default as Worker\n" in written
    assert '__all__ = ["Counter", "Default"]' in written


def test_a_module_that_cannot_be_imported_by_name_is_named(command_line: CommandLine, tmp_path: Path) -> None:
    files = {name: text.replace("src/entry.py", "src/my-entry.py") for name, text in PYTHON_WORKER.items()}
    files["src/my-entry.py"] = files.pop("src/entry.py")
    folder = write_project(tmp_path / "site", files)
    before = contents(folder)
    said = init(command_line, folder)
    assert (said.status, contents(folder)) == (1, before)
    assert "src/my-entry.py:1: the new entry has to import this module, and its name is none in Python; rename it" in said.err


def test_without_an_installation_the_next_step_is_one(command_line: CommandLine, tmp_path: Path) -> None:
    for files, commands in ((VINEXT_APP, "npm install && vinext-worker dev"), (PYTHON_WORKER, "vinext-worker dev")):
        folder = write_project(tmp_path / str(len(commands)), files)
        said = init(command_line, folder)
        assert said.out.endswith(f"Now run: cd {folder} && {commands}\n")


def test_a_byte_order_mark_is_named(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", PYTHON_WORKER)
    (folder / "wrangler.jsonc").write_text(PYTHON_WORKER["wrangler.jsonc"], "utf-8-sig")
    said = init(command_line, folder)
    assert (said.status, len(said.errors)) == (1, 1)
    assert "wrangler.jsonc begins with a byte order mark; save it as UTF-8 without one" in said.err


def test_a_list_of_packages_in_another_encoding_is_named(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", FASTAPI)
    (folder / "requirements.txt").write_text("fastapi==0.1\n", "utf-16")
    said = init(command_line, folder)
    assert (said.status, len(said.errors)) == (1, 1)
    assert "requirements.txt cannot be read" in said.err


def test_a_list_of_packages_may_have_a_byte_order_mark(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", {"src/main.py": FASTAPI["main.py"]})
    (folder / "requirements.txt").write_text("fastapi==0.1\n", "utf-8-sig")
    assert init(command_line, folder).status == 0
    assert '"fastapi==0.1",' in (folder / "pyproject.toml").read_text()


def test_a_worker_of_the_old_form_is_named(command_line: CommandLine, tmp_path: Path) -> None:
    old = "from workers import Response\n\nasync def on_fetch(request, env):\n    return Response('x')\n"
    folder = write_project(tmp_path / "site", {**PYTHON_WORKER, "src/entry.py": old})
    said = init(command_line, folder)
    assert said.status == 1
    assert "src/entry.py:3: there is no class Default here" in said.err


def test_static_files_elsewhere_are_named(command_line: CommandLine, tmp_path: Path) -> None:
    own = PYTHON_WORKER["wrangler.jsonc"].replace(
        '"observability": {', '"assets": { "directory": "./site" },\n\t"observability": {'
    )
    folder = write_project(tmp_path / "site", {**PYTHON_WORKER, "wrangler.jsonc": own})
    said = init(command_line, folder)
    assert said.status == 1
    assert "wrangler.jsonc:7: assets.directory is 'site'; move these files to public/" in said.err


def test_static_files_in_public_are_served_without_the_worker_as_before(command_line: CommandLine, tmp_path: Path) -> None:
    own = PYTHON_WORKER["wrangler.jsonc"].replace(
        '"observability": {', '"assets": { "directory": "./public" },\n\t"observability": {'
    )
    static = {"public/index.html": "<h1>x</h1>", "public/images/a.svg": "<svg/>"}
    folder = write_project(tmp_path / "site", {**PYTHON_WORKER, "wrangler.jsonc": own, **static})
    said = init(command_line, folder)
    assert "public/index.html is served as /index.html" in said.out
    assets = WranglerConfig.read(folder / "wrangler.jsonc").assets
    assert assets is not None
    assert assets.directory == folder / ".vinext" / "assets"
    assert assets.run_worker_first == ("/__prerender/*",)


def test_an_asgi_app_becomes_a_worker(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", STARLETTE)
    said = init(command_line, folder, "--pages", "/ /about")
    assert said.status == 0, said.err
    entry = (folder / "src" / "entry.py").read_text()
    assert 'PAGES = ["/", "/about"]' in entry
    assert "use_asgi(site, static_paths=lambda: PAGES)" in entry
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["starlette==1.10.0", "anyio==4.16.0", "vinext-worker==0.1.0"]
    assert "uvicorn is left out" in said.out
    assert WranglerConfig.read(folder / "wrangler.toml").main == folder / "src" / "entry.py"


def test_an_app_that_says_itself_what_is_cached_is_left_to_it(command_line: CommandLine, tmp_path: Path) -> None:
    app = f"from vinext import revalidate\n{STARLETTE['src/main.py']}\n\ndef static_paths():\n    return []\n"
    folder = write_project(tmp_path / "site", {**STARLETTE, "src/main.py": app})
    init(command_line, folder)
    entry = (folder / "src" / "entry.py").read_text()
    assert "from main import app, static_paths\n" in entry
    assert "PAGES" not in entry


@pytest.mark.parametrize(
    ("files", "imported"), [(FLASK, "from web.app import app"), (DJANGO, "from shop.wsgi import application")]
)
def test_a_wsgi_app_becomes_a_worker(command_line: CommandLine, tmp_path: Path, files: Mapping[str, str], imported: str) -> None:
    folder = write_project(tmp_path / "site", files)
    assert init(command_line, folder).status == 0
    entry = (folder / "src" / "entry.py").read_text()
    assert f"{imported}\n" in entry
    assert "use_wsgi(site, static_paths=lambda: PAGES)" in entry
    compile(entry, "entry.py", "exec")


def test_code_that_cannot_be_uploaded_is_named_with_the_command_that_moves_it(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", FASTAPI)
    before = contents(folder)
    said = init(command_line, folder)
    assert (said.status, contents(folder)) == (1, before)
    assert "main.py:1: " in said.err
    assert "mkdir src && mv main.py src/" in said.err


def test_of_several_apps_one_has_to_be_named(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", {**STARLETTE, "src/second.py": STARLETTE["src/main.py"]})
    said = init(command_line, folder)
    assert said.status == 1
    assert "src/main.py:app, src/second.py:app; name the one to serve: --app" in said.err
    assert init(command_line, folder, "--app", "second:app").status == 0
    assert "from second import app\n" in (folder / "src" / "entry.py").read_text()


def test_a_next_app_is_told_what_to_run_first(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", {"package.json": '{"dependencies": {"next": "16.0.0"}}'})
    said = init(command_line, folder)
    assert said.status == 1
    assert "run `npx vinext@1.4.0 init --platform=cloudflare" in said.err


def test_an_older_vinext_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    old = VINEXT_APP["package.json"].replace('"vinext": "^1.4.0"', '"vinext": "^0.0.38"')
    said = init(command_line, write_project(tmp_path / "site", {**VINEXT_APP, "package.json": old}))
    assert said.status == 1
    assert "has vinext 0.0.38, and the adapter is for 1.4 and newer" in said.err


def test_a_monorepo_is_told_what_is_where(command_line: CommandLine, tmp_path: Path) -> None:
    root = write_project(tmp_path, {"package.json": "{}", "pnpm-workspace.yaml": "packages: ['apps/*']\n"})
    write_project(root / "apps" / "web", VINEXT_APP)
    write_project(root / "apps" / "api", STARLETTE)
    said = init(command_line, root)
    assert said.status == 1
    assert f"vinext-worker init {root}/apps/api    # a Starlette app" in said.err
    assert f"vinext-worker init {root}/apps/web    # a vinext app" in said.err
    assert init(command_line, root / "apps" / "web").status == 0
    # From the Worker's folder, it is the same project.
    assert "nothing to change" in init(command_line, root / "apps" / "web" / "vinext-worker").out


def test_a_folder_of_somebody_else_is_not_looked_into(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path / "api", STARLETTE)
    write_project(tmp_path / "database", {"package.json": "no JSON"})
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "database")
    said = init(command_line, tmp_path)
    assert f"vinext-worker init {tmp_path}/api    # a Starlette app" in said.err


def test_two_projects_in_one_folder_need_a_choice(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", {**VINEXT_APP, **STARLETTE})
    said = init(command_line, folder)
    assert said.status == 1
    assert "--kind vinext or --kind starlette" in said.err
    assert init(command_line, folder, "--kind", "vinext").status == 0


def test_a_new_site_is_made_where_it_is_asked_for(command_line: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "my site"
    refused = init(command_line, folder)
    assert refused.status == 1
    assert "--template python" in refused.err
    said = init(command_line, folder, "--template", "python")
    assert said.status == 0, said.err
    assert WranglerConfig.read(folder / "wrangler.toml").name == "my-site"
    for name in ("app", "entry"):
        compile((folder / "src" / f"{name}.py").read_text(), name, "exec")
    # A template is not written over a site.
    assert init(command_line, folder, "--template", "python").status == 1
    assert "nothing to change" in init(command_line, folder).out


def test_an_empty_folder_is_no_site(command_line: CommandLine, tmp_path: Path) -> None:
    said = init(command_line, tmp_path)
    assert said.status == 1
    assert "no vinext app, no Python Worker and no FastAPI" in said.err


def test_uncommitted_changes_are_named(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", STARLETTE)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    assert "git has 2 uncommitted changes here" in init(command_line, folder).out


def test_packages_that_git_would_leave_out_are_kept(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", {**VINEXT_APP, ".gitignore": "*.tgz\nvendor/\n"})
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    init(command_line, folder)
    name = f"vinext-worker/vendor/{ADAPTER}"
    assert subprocess.run(["git", "-C", folder, "check-ignore", "--quiet", name], check=False).returncode == 1
    after = contents(folder)
    init(command_line, folder)
    assert contents(folder) == after


@pytest.mark.parametrize("files", [VINEXT_APP, STARLETTE], ids=["a vinext app", "a Python site"])
def test_local_secrets_of_every_environment_stay_out_of_git(
    command_line: CommandLine, tmp_path: Path, files: Mapping[str, str]
) -> None:
    folder = write_project(tmp_path / "site", files)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    init(command_line, folder)
    command = ["git", "-C", str(folder), "check-ignore", ".dev.vars", ".dev.vars.staging", ".dev.vars.example"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ".dev.vars\n.dev.vars.staging\n"


def test_a_file_that_cannot_be_written_undoes_the_others(command_line: CommandLine, tmp_path: Path) -> None:
    # A file where a folder has to be: also for root, who may write everywhere.
    folder = write_project(tmp_path / "site", {**VINEXT_APP, "vinext-worker": "not a folder"})
    before = contents(folder)
    said = init(command_line, folder)
    assert (said.status, contents(folder)) == (1, before)
    assert "cannot be written" in said.err
    assert "nothing was changed" in said.err


def test_without_a_person_to_ask_nothing_is_changed(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "site", STARLETTE)
    before = contents(folder)
    said = command_line.run("init", folder, "--no-install")
    assert (said.status, contents(folder)) == (1, before)
    assert "--yes" in said.err


def test_another_version_takes_the_place_of_the_one_before(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_project(tmp_path / "site", VINEXT_APP)
    init(command_line, folder)
    newer = [tmp_path / name.replace("0.1.0", "0.2.0") for name in (LIBRARY, ADAPTER)]
    for path in newer:
        path.write_bytes(b"newer\0")
    monkeypatch.setattr(command, "_artifacts", lambda _folder: Artifacts("0.2.0", newer[0], newer[1]))
    assert init(command_line, folder).status == 0
    vendor = folder / "vinext-worker" / "vendor"
    assert sorted(path.name for path in vendor.iterdir()) == sorted(path.name for path in newer)
    assert "vinext-worker-adapter-0.2.0.tgz" in (folder / "package.json").read_text()
    project = tomllib.loads((folder / "vinext-worker" / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == ["vinext-worker==0.2.0"]
