"""The project is the user's: its configuration is looked for from the current folder upwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.project import Project
from vinext_worker.sites.site_build import find_site

PYTHON_SITE = 'name = "site"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\n'
IN_FRONT = PYTHON_SITE + '[[services]]\nbinding = "PAGES"\nservice = "shop"\n'
APP = json.dumps({"name": "shop", "main": "vinext-worker-adapter/worker"})
VINEXT = json.dumps({"dependencies": {"vinext": "1.4.0"}})


def write(folder: Path, **files: str) -> Path:
    """Write files; `wrangler_toml` stands for wrangler.toml."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src" / "entry.py").write_text("")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def site_of(start: Path, given: Path | None, environment: str | None = None) -> Path:
    return find_site(WranglerConfig.read(Project.find(start).configuration, environment), given)


@pytest.mark.parametrize("name", ["wrangler.toml", "wrangler.json", "wrangler.jsonc"])
def test_the_configuration_is_found_in_the_current_folder_and_from_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = PYTHON_SITE if name.endswith("toml") else json.dumps({"main": "src/entry.py"})
    root = write(tmp_path / "a name with blanks", **{name.replace(".", "_"): text})
    below = root / "src" / "deep"
    below.mkdir()
    for folder in (root, below):
        monkeypatch.chdir(folder)
        project = Project.find()
        assert (project.configuration, project.local) == (root / name, root / ".vinext")


def test_without_a_configuration_the_message_says_what_to_do(tmp_path: Path) -> None:
    said = r"nor a folder above it has a wrangler\.toml, .* with a Python module as main; run `vinext-worker init` .* --config"
    with pytest.raises(ConfigurationError, match=said):
        Project.find(tmp_path)


def test_a_configuration_that_is_named_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "here", wrangler_toml=PYTHON_SITE)
    other = write(tmp_path / "there", wrangler_toml=PYTHON_SITE)
    monkeypatch.chdir(tmp_path / "here")
    assert Project.choose(other / "wrangler.toml", tmp_path / "here").root == other


def test_a_site_has_its_own_configuration_before_that_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(tmp_path / "here", wrangler_toml=IN_FRONT)
    monkeypatch.chdir(here)
    site = write(tmp_path / "there", wrangler_toml=PYTHON_SITE)
    assert Project.choose(None, site).root == site
    app = write(tmp_path / "elsewhere", package_json=VINEXT)
    assert Project.choose(None, app).root == here


def test_the_worker_in_front_of_an_app_is_found_below_the_app(tmp_path: Path) -> None:
    app = write(tmp_path / "app", package_json=VINEXT, wrangler_jsonc=APP)
    worker = write(app / "worker", wrangler_toml=IN_FRONT)
    write(app / "another", wrangler_toml=IN_FRONT.replace("shop", "blog"))
    for start in (app, app / "src", worker):
        assert Project.find(start).root == worker
    assert site_of(app, None) == app


def test_a_folder_of_somebody_else_below_the_app_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = write(tmp_path / "app", package_json=VINEXT)
    worker = write(app / "worker", wrangler_toml=IN_FRONT)
    write(app / "database", wrangler_toml="no TOML")
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "database")
    assert Project.find(app).root == worker


def test_the_worker_below_an_app_without_a_wrangler_configuration_is_found(tmp_path: Path) -> None:
    app = write(tmp_path / "app", package_json=VINEXT)
    worker = write(app / "worker", wrangler_toml=IN_FRONT)
    assert Project.find(app).root == worker


def test_the_worker_in_front_is_found_above_and_beside_the_app(tmp_path: Path) -> None:
    root = write(tmp_path, wrangler_toml=IN_FRONT)
    app = write(tmp_path / "examples" / "app", package_json=VINEXT, wrangler_jsonc=APP)
    assert Project.find(app).root == root
    (app / "wrangler.toml").write_text(IN_FRONT)
    assert Project.find(app).configuration == app / "wrangler.toml"


def test_a_worker_above_that_does_not_serve_the_app_is_another_project(tmp_path: Path) -> None:
    write(tmp_path, wrangler_toml=IN_FRONT.replace("shop", "blog"))
    app = write(tmp_path / "app", package_json=VINEXT, wrangler_jsonc=APP)
    with pytest.raises(ConfigurationError, match=r"configures an app \(shop\), and no Worker in front of it"):
        Project.find(app)


def test_the_site_is_the_python_site_itself_or_the_app_around(tmp_path: Path) -> None:
    site = write(tmp_path / "site", wrangler_toml=PYTHON_SITE)
    assert site_of(site, None) == site
    assert site_of(site, tmp_path) == tmp_path
    alone = write(tmp_path / "alone", wrangler_toml=IN_FRONT)
    with pytest.raises(UserError, match=r"is for a Worker in front of an app, and no vinext app is in .*; name the folder"):
        site_of(alone, None)


def test_the_site_of_a_configuration_that_is_named_is_in_its_folder(tmp_path: Path) -> None:
    site = write(tmp_path / "site", other_toml=PYTHON_SITE)
    assert find_site(WranglerConfig.read(site / "other.toml"), None) == site


def test_a_worker_in_front_of_an_app_is_one_in_an_environment_that_lacks_the_service(tmp_path: Path) -> None:
    app = write(tmp_path / "app", package_json=VINEXT, wrangler_jsonc=APP)
    worker = write(app / "worker", wrangler_toml=f"{IN_FRONT}[env.staging]\nvars = {{}}\n")
    assert site_of(worker, None, "staging") == app
