"""The output of commands: for a person at a terminal, for a log, or for a program."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN_ROWS = 20

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document, for programs.")


@dataclass(frozen=True)
class Output:
    """Print results to standard output. Show progress on standard error if that is a terminal."""

    as_json: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    progress_console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @property
    def shows_progress(self) -> bool:
        """Whether a person watches standard error."""
        return self.progress_console.is_terminal and not self.as_json

    @property
    def steps_console(self) -> Console:
        """The console for what other programs do meanwhile: standard error where a program reads standard output."""
        return self.progress_console if self.as_json else self.console

    def progress(self, unit: str) -> Progress:
        """Return a progress bar with rate and remaining time; it shows nothing if no person watches."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>6.0f} " + unit + "/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.progress_console,
            disable=not self.shows_progress,
            transient=True,
        )

    def line(self, text: str, style: str = "") -> None:
        """Print a line for a person."""
        if not self.as_json:
            self.console.print(Text(text, style=style))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
        """Print a table for a person. If standard output is not a terminal, print rows as lines, with tabs between the cells."""
        if self.as_json:
            return
        if not self.console.is_terminal:
            for row in rows:
                if not self.console.quiet:
                    # The console would turn the tabs into spaces.
                    self.console.file.write("\t".join(cell.plain.replace("\n", "; ") for cell in row) + "\n")
            return
        table = Table(*columns)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def document(self, document: object) -> None:
        """Print the JSON document for a program."""
        if self.as_json:
            is_utf8 = sys.stdout.encoding.lower() == "utf-8"
            click.echo(json.dumps(document, ensure_ascii=not is_utf8, indent=2))

    def reasons(self, title: str, rows: list[tuple[str, str]], count: int, style: str = "") -> None:
        """Print how many pages have a reason, and the first of them with their reasons."""
        if not count:
            return
        self.line(f"{title}: {count}", style)
        for name, reason in rows[:_SHOWN_ROWS]:
            self.line(f"  {name or '(a row without a path)'}: {reason}")
        if count > _SHOWN_ROWS:
            self.line(f"  … and {count - min(_SHOWN_ROWS, len(rows))} more; --json lists the first {len(rows)}")
