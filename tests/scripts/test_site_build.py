from __future__ import annotations

import io
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from vinext_worker.errors import UserError
from vinext_worker.sites.site_build import SiteBuild, build_vinext_site
from vinext_worker.sites.vinext_project import VinextProject

if TYPE_CHECKING:
    from pathlib import Path

GOOD_BUILD = """
mkdir -p dist/server dist/client
echo '{"assets": {"directory": "../client"}}' > dist/server/wrangler.json
echo '{}' > dist/server/vinext-prerender.json
"""
CACHE_FOLDERS = [
    "node_modules/a.js",
    "dist/client/a.js",
    ".git/index",
    ".wrangler/state/a",
    "app/.cache/a",
    "next-env.d.ts",
    "vinext-worker/wrangler.toml",
]
SOURCES = ["app/page.tsx", "public/a.png", ".env.local", "vite.config.ts", "../linked/index.js"]


@dataclass
class Site:
    """A folder that looks like a vinext app, and an npm on PATH that does what the test says instead of its work."""

    root: Path
    node: Path
    output: io.StringIO = field(default_factory=io.StringIO)

    def write(self, name: str, content: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def package(self, **fields: object) -> None:
        dependencies = {"vinext": "1.4.0", "linked": "file:../linked", "archive": "file:archive.tgz"}
        self.write("package.json", json.dumps({"dependencies": dependencies, "scripts": {"build": "vite build"}} | fields))

    def npm(self, *, version: str = "1.4.0", install: str = "", build: str = GOOD_BUILD) -> None:
        npm = self.write(
            "../bin/npm",
            f"""#!/bin/sh
            set -e
            echo "$*" >> ../npm-calls
            echo "$NODE_ENV|$PATH" >> ../npm-environments
            case $1 in
            ci|install)
                {install or ":"}
                mkdir -p node_modules/vinext
                echo '{{"version": "{version}"}}' > node_modules/vinext/package.json
                echo '{{}}' > node_modules/.package-lock.json ;;
            *)
                {build} ;;
            esac
            """,
        )
        npm.chmod(0o755)

    def calls(self) -> list[str]:
        """Return how npm was called since the last time this was asked."""
        path = self.root / "../npm-calls"
        calls = [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return calls

    def prepare(self) -> SiteBuild:
        return build_vinext_site(self.root, self, Console(file=self.output, width=200))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path / "site", tmp_path / "node-22" / "bin" / "node")
    site.package()
    for name in ("package-lock.json", *SOURCES, *CACHE_FOLDERS):
        site.write(name)
        os.utime(site.root / name, (1, 1))
    os.utime(site.root / "package.json", (1, 1))
    site.npm()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return site


def test_a_site_is_installed_and_built(site: Site) -> None:
    built = site.prepare()
    assert site.calls() == ["ci", "run"]
    root = site.root
    assert built == SiteBuild(
        root=root,
        vinext_version="1.4.0",
        server_config=root / "dist/server/wrangler.json",
        client_directory=root / "dist/client",
        manifest=root / "dist/server/vinext-prerender.json",
        artifacts_directory=root / "dist/server/prerendered-routes",
    )


def test_a_workspaces_packages_belong_to_the_sources(site: Site) -> None:
    workspace = site.root.parent
    dependencies = {"vinext": "1.4.0", "@acme/ui": "workspace:*", "installed": "1.0.0"}
    site.package(dependencies=dependencies)
    (site.root / "package-lock.json").unlink()
    shutil.rmtree(site.root / ".git")
    site.write("../pnpm-lock.yaml", "1")
    site.write("../packages/ui/package.json", json.dumps({"dependencies": {"@acme/icons": "*"}}))
    site.write("../packages/ui/index.tsx", "1")
    site.write("../packages/icons/index.tsx", "1")
    site.write("../packages/unused/index.tsx", "1")
    site.write("node_modules/vinext/package.json", '{"version": "1.4.0"}')
    installed = site.write("../node_modules/.pnpm/installed@1.0.0/node_modules/installed/index.js", "1")
    for link, target in (
        (site.root / "node_modules/@acme/ui", "packages/ui"),
        (workspace / "packages/ui/node_modules/@acme/icons", "packages/icons"),
        (site.root / "node_modules/installed", str(installed.parent.relative_to(workspace))),
    ):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(workspace / target)
    site.prepare()
    for name, is_source in (
        ("packages/ui/index.tsx", True),
        ("packages/icons/index.tsx", True),
        ("pnpm-lock.yaml", True),
        ("packages/unused/index.tsx", False),
        (str(installed.relative_to(workspace)), False),
    ):
        site.calls()
        (workspace / name).write_text("2")
        site.prepare()
        assert site.calls() == (["run"] if is_source else []), name


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        pytest.param("seq 1 100; echo the reason", "the reason", id="the last lines"),
        pytest.param("seq 1 100; echo npm error out of sync; seq 200 300", "npm error out of sync", id="before npm's help"),
        pytest.param(
            "seq 1 99; echo the reason; echo npm error Lifecycle script failed", "the reason", id="before npm's own words"
        ),
    ],
)
def test_the_reason_of_a_failure_is_among_the_lines_that_are_shown(site: Site, output: str, shown: str) -> None:
    site.npm(build=f"{output}; exit 1")
    with pytest.raises(UserError, match="see the output of"):
        site.prepare()
    assert shown in site.output.getvalue()


def test_nothing_is_done_where_nothing_changed(site: Site) -> None:
    first = site.prepare()
    site.calls()
    assert site.prepare() == first
    assert site.calls() == []


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("change", ["changed", "removed"])
def test_a_changed_source_means_another_build(site: Site, name: str, change: str) -> None:
    site.prepare()
    site.calls()
    if change == "changed":
        site.write(name, "other")
    else:
        (site.root / name).unlink()
    site.prepare()
    assert site.calls() == ["run"]


@pytest.mark.parametrize("name", CACHE_FOLDERS)
def test_what_is_no_source_means_no_other_build(site: Site, name: str) -> None:
    site.prepare()
    site.calls()
    site.write(name, "other")
    site.prepare()
    assert site.calls() == []


def test_a_folder_that_only_somebody_else_may_read_is_no_source(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: not str(path).endswith("/database"))
    site.write("database/file")
    site.prepare()
    site.calls()
    site.write("database/file", "other")
    site.prepare()
    assert site.calls() == []


def test_what_a_build_writes_among_the_sources_means_no_other_build(site: Site) -> None:
    site.npm(build=f"{GOOD_BUILD}\necho made > app/made.ts; touch app/page.tsx")
    site.prepare()
    site.calls()
    site.prepare()
    assert site.calls() == []
    site.write("app/made.ts", "other")
    site.prepare()
    assert site.calls() == ["run"]


def test_what_is_changed_while_a_build_runs_means_another_one(site: Site) -> None:
    site.npm(build=f"{GOOD_BUILD}\necho $$ > app/page.tsx")
    site.prepare()
    site.calls()
    site.prepare()
    assert site.calls() == ["run"]


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_a_changed_lock_means_another_installation(site: Site, name: str) -> None:
    site.prepare()
    site.calls()
    later = (site.root / "node_modules/.package-lock.json").stat().st_mtime + 1
    site.write(name, f"{(site.root / name).read_text()}\n")
    os.utime(site.root / name, (later, later))
    site.prepare()
    assert site.calls() == ["ci", "run"]


def test_a_site_without_a_lock_file_gets_none(site: Site) -> None:
    (site.root / "package-lock.json").unlink()
    site.prepare()
    assert site.calls() == ["install", "run"]
    assert not (site.root / "package-lock.json").exists()
    site.prepare()
    assert site.calls() == []


def test_packages_of_a_workspace_further_up_are_found(site: Site) -> None:
    (site.root / "package-lock.json").unlink()
    site.write("../node_modules/vinext/package.json", '{"version": "1.4.2"}')
    assert site.prepare().vinext_version == "1.4.2"
    assert site.calls() == ["run"]


def test_the_build_gets_our_node_and_no_foreign_mode(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "test")
    site.prepare()
    for line in (site.root / "../npm-environments").read_text().splitlines():
        mode, path = line.split("|")
        assert mode == ""
        assert path.split(os.pathsep)[0] == str(site.node.parent)


def test_two_at_once_build_once(site: Site) -> None:
    site.npm(build="sleep 0.2\n" + GOOD_BUILD)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda console: build_vinext_site(site.root, site, console), [quiet(), quiet()])
    assert first == second
    assert site.calls() == ["ci", "run"]


def test_the_worker_may_lie_elsewhere(site: Site) -> None:
    elsewhere = """
    mkdir -p dist/server dist/shop dist/files .wrangler/deploy
    echo '{"configPath": "../../dist/shop/wrangler.json"}' > .wrangler/deploy/config.json
    echo '{"assets": {"directory": "../files"}}' > dist/shop/wrangler.json
    echo '{}' > dist/server/vinext-prerender.json
    """
    site.npm(build=elsewhere)
    built = site.prepare()
    assert built.server_config == site.root / "dist/shop/wrangler.json"
    assert built.client_directory == site.root / "dist/files"


BUILD_COMMANDS = [
    ("1.4.0", {"build": "vite build"}, ("run", "build")),
    ("1.4.0", {"build": "node check.js && vinext build"}, ("run", "build")),
    ("1.4.0", {"build": "next build", "build:vinext": "vinext build"}, ("run", "build:vinext")),
    ("1.4.0", {"build": "next build"}, ("exec", "--no", "--", "vite", "build")),
    ("1.4.0", {}, ("exec", "--no", "--", "vite", "build")),
    ("0.0.38", {"build": "vinext build"}, ("run", "build", "--", "--prerender-all")),
    ("0.0.38", {"build": "vinext build --prerender-all"}, ("run", "build")),
    ("0.0.38", {}, ("exec", "--no", "--", "vinext", "build", "--prerender-all")),
]


@pytest.mark.parametrize(("version", "scripts", "command"), BUILD_COMMANDS)
def test_the_build_command(site: Site, version: str, scripts: dict[str, str], command: tuple[str, ...]) -> None:
    site.package(scripts=scripts)
    site.write("node_modules/vinext/package.json", json.dumps({"version": version}))
    assert VinextProject.read(site.root).build_command() == command


NO_PROJECTS = [
    ("nothing there", None, "it has no package.json"),
    ("no vinext", "{}", "its package.json does not name vinext"),
    ("no JSON", "{", "cannot be read as a package.json"),
    ("another JSON", "[]", "cannot be read as a package.json"),
    ("wrong dependencies", '{"dependencies": 1}', "cannot be read as a package.json"),
    ("not text", "\x00", "cannot be read as a package.json"),
]


@pytest.mark.parametrize(("package", "message"), [case[1:] for case in NO_PROJECTS], ids=[case[0] for case in NO_PROJECTS])
def test_a_folder_that_is_no_vinext_project_is_refused(site: Site, package: str | None, message: str) -> None:
    if package is None:
        (site.root / "package.json").unlink()
    else:
        site.write("package.json", package)
    error = refusal(site)
    assert message in error
    assert str(site.root) in error
    assert site.calls() == []


@pytest.mark.parametrize("name", ["missing", "package.json"])
def test_a_path_that_is_no_folder_is_refused(site: Site, name: str) -> None:
    with pytest.raises(UserError, match=r"is no vinext app: it has no package\.json"):
        build_vinext_site(site.root / name, site, quiet())


def test_no_npm(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "npm was not found on PATH; install Node.js with npm" in refusal(site)


def test_npm_fails(site: Site) -> None:
    site.npm(install="echo first; echo '[red]E404[/red] no such package' >&2; exit 1")
    assert "installing the npm packages failed" in refusal(site)
    assert site.output.getvalue().splitlines()[-2:] == ["first", "[red]E404[/red] no such package"]


def test_only_the_last_lines_of_a_failure_are_shown(site: Site) -> None:
    site.npm(install="seq 1000; exit 1")
    refusal(site)
    assert site.output.getvalue().splitlines() == [str(number) for number in range(961, 1001)]


def test_npm_installs_no_vinext(site: Site) -> None:
    site.npm(install="exit 0")
    assert "npm installed no vinext" in refusal(site)


def test_another_package_manager_is_not_replaced(site: Site) -> None:
    (site.root / "package-lock.json").rename(site.root / "pnpm-lock.yaml")
    assert "uses pnpm; run `pnpm install` there first" in refusal(site)
    site.write("../.pnp.cjs")
    (site.root / "pnpm-lock.yaml").rename(site.root / "yarn.lock")
    assert "write `nodeLinker: node-modules` into .yarnrc.yml" in refusal(site)
    assert site.calls() == []


@pytest.mark.parametrize(
    ("asked", "installed", "message"),
    [
        pytest.param("file:vendor/vinext-worker-adapter-0.0.1.tgz", "0.0.1", "is older .* run `vinext-worker init`", id="older"),
        pytest.param("file:vendor/vinext-worker-adapter-0.1.0.tgz", "0.0.1", "is older .* run `npm install`", id="not installed"),
        pytest.param("file:vendor/vinext-worker-adapter-9.0.0.tgz", "9.0.0", "is newer than this command", id="newer"),
    ],
)
def test_an_adapter_of_another_release_is_one_line(site: Site, asked: str, installed: str, message: str) -> None:
    site.package(devDependencies={"vinext-worker-adapter": asked})
    os.utime(site.root / "package.json", (1, 1))
    site.prepare()
    site.write("node_modules/vinext-worker-adapter/package.json", json.dumps({"version": installed}))
    assert re.search(message, refusal(site))


def test_a_failed_build_is_made_again(site: Site) -> None:
    site.npm(build=GOOD_BUILD + "\necho 'app/page.tsx: unexpected token'; exit 1")
    assert "building the site failed" in refusal(site)
    assert "unexpected token" in site.output.getvalue()
    site.npm()
    site.calls()
    site.prepare()
    assert site.calls() == ["run"]


def test_a_build_that_failed_over_a_good_one_is_made_again(site: Site) -> None:
    site.prepare()
    source = site.root / "app/page.tsx"
    site.npm(build="exit 1")
    site.write("app/page.tsx", "broken")
    refusal(site)
    site.write("app/page.tsx")
    os.utime(source, (1, 1))
    site.npm()
    site.calls()
    site.prepare()
    assert site.calls() == ["run"]


def test_a_build_without_an_output(site: Site) -> None:
    site.npm(build="rm -r dist")
    assert "left no folder dist" in refusal(site)


@pytest.mark.parametrize(
    ("version", "cure"), [("1.4.0", 'vinext({ prerender: { routes: "*" } })'), ("0.0.38", "--prerender-all")]
)
def test_a_build_without_pre_rendered_pages(site: Site, version: str, cure: str) -> None:
    site.npm(version=version, build=GOOD_BUILD + "rm dist/server/vinext-prerender.json")
    error = refusal(site)
    assert "dist/server/vinext-prerender.json, so no page was pre-rendered" in error
    assert cure in error


def test_a_build_without_a_worker(site: Site) -> None:
    site.npm(build=GOOD_BUILD + "rm dist/server/wrangler.json")
    assert "has no Worker (no dist/server/wrangler.json); add cloudflare() from @cloudflare/vite-plugin" in refusal(site)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_build_with_a_broken_configuration(site: Site, content: str) -> None:
    site.npm(build=GOOD_BUILD + f"echo '{content}' > dist/server/wrangler.json")
    assert "dist/server/wrangler.json" in refusal(site)


def refusal(site: Site) -> str:
    with pytest.raises(UserError) as raised:
        site.prepare()
    message = str(raised.value)
    assert "\n" not in message
    return message


def quiet() -> Console:
    return Console(file=io.StringIO())
