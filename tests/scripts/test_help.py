"""What `--help` says: every command and option in whole sentences, and nothing that is named elsewhere is missing."""

from __future__ import annotations

import ast
import re
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vinext_worker.main import cli

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(cli.commands.items())
OPTIONS = [
    pytest.param(option, id=f"{name} {option.opts[0]}")
    for name, command in COMMANDS
    for option in command.params
    if isinstance(option, click.Option)
]
OURS = {opt for _, command in COMMANDS for option in command.params for opt in (*option.opts, *option.secondary_opts)} | {
    "--help",
    "--version",
}
# Options of other programs (uv, npm, wrangler, git, Node.js), which the commands call or advise.
OTHERS = frozenset({
    "--assets", "--constraint", "--extra-index-url", "--hash", "--ignore-scripts", "--include", "--index-strategy",
    "--jurisdiction", "--legacy-wrangler-cloudflare-init",
    "--message", "--name", "--namespace-id", "--no", "--no-audit", "--no-build", "--no-fund", "--no-header", "--no-index",
    "--no-package-lock", "--no-sources-package", "--outdir", "--persist-to", "--platform", "--porcelain", "--prerender-all",
    "--preview-features", "--python", "--quiet", "--remote", "--requirement", "--target",
})  # fmt: skip
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_command_s_help_is_whole_sentences(name: str, command: click.Command) -> None:
    text = cleandoc(command.help or "").partition("\b")[0].strip()
    assert text, name
    for paragraph in text.split("\n\n"):
        assert paragraph[0].isupper(), paragraph
        assert paragraph.endswith("."), paragraph


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_s_help_is_a_sentence_that_names_the_default(option: click.Option) -> None:
    text, _, default = (option.help or "").partition("  [default: ")
    assert re.fullmatch(r"[A-Z].*[^.]\.", text), text
    assert default == "" or default.endswith("]")
    has_default = option.default not in {None, False} and not option.multiple and not str(option.default).startswith("Sentinel")
    assert not has_default or option.show_default or default, (
        f"{option.opts[0]} does not say that its default is {option.default}"
    )


def test_the_list_of_commands_cuts_no_sentence_off() -> None:
    said = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert all(re.search(rf"^  {name} +[A-Z].*[^.]\.$", said, re.MULTILINE) for name, _ in COMMANDS), said


def test_the_page_on_the_command_line_lists_every_command_as_help_does() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    rows = re.findall(r"^\| `vinext-worker ([a-z]+)` \| (.+) \|$", page, re.MULTILINE)
    assert dict(rows) == {name: command.get_short_help_str(200) for name, command in COMMANDS}


def test_messages_name_options_that_exist() -> None:
    for path in sorted((ROOT / "scripts" / "vinext_worker").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                unknown = set(_OPTION.findall(node.value)) - OURS - OTHERS
                assert not unknown, f"{path.relative_to(ROOT)}:{node.lineno}: {', '.join(sorted(unknown))}"


def test_the_documentation_shows_commands_and_options_that_exist() -> None:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))):
        for line in path.read_text().splitlines():
            for name, rest in re.findall(r"vinext-worker ([a-z]+)((?: [^`#|\n]*)?)", line):
                if name not in cli.commands or not rest.strip():
                    continue
                known = {opt for option in cli.commands[name].params for opt in (*option.opts, *option.secondary_opts)} | {
                    "--help"
                }
                unknown = set(_OPTION.findall(rest.partition(" -- ")[0])) - known
                assert not unknown, f"{path.relative_to(ROOT)}: vinext-worker {name} has no {', '.join(sorted(unknown))}"
