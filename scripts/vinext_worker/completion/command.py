from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands and options.

    \b
    Examples:
      vinext-worker completion bash > ~/.local/share/bash-completion/completions/vinext-worker
      vinext-worker completion zsh > ~/.zfunc/_vinext-worker
      vinext-worker completion fish > ~/.config/fish/completions/vinext-worker.fish
    """  # noqa: D301 - \b is click's
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click has one for each of these
    click.echo(made(context.find_root().command, {}, "vinext-worker", "_VINEXT_WORKER_COMPLETE").source())
