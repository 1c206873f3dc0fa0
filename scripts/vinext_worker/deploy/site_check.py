"""Checking what has just been deployed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from seed.build import Build
    from vinext_worker.check.expectation import CheckResult
    from vinext_worker.terminal.output import Output

T = TypeVar("T")

# Source: https://developers.cloudflare.com/workers/versions-and-deployments/version-overrides/ ("a couple of seconds").
_PAUSES_SECONDS = (2.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True)
class SiteCheck:
    """The check of a site at a URL, against the build in a folder. `sample` is how many pages are requested."""

    url: str
    folder: Path
    build_id: str
    sample: int
    output: Output

    def run(self, headers: Mapping[str, str], begun: int) -> str:
        """Check the versions that the headers name; return the result in a few words, or raise UserError if it is red.

        Visitors have begun to get so many of them. The last result is shown, whatever it is.
        """
        from vinext_worker.check.command import check_site, show_check  # noqa: PLC0415 - brings an HTTP client with it
        from vinext_worker.check.page_handler import require_page_handler  # noqa: PLC0415 - see above
        from vinext_worker.check.report import summary_of  # noqa: PLC0415 - see above
        from vinext_worker.check.run import CheckOptions  # noqa: PLC0415 - see above

        last: list[tuple[CheckResult, Build]] = []

        def check() -> str:
            last.clear()
            if not require_page_handler(self.url, headers, self.build_id, is_live=begun > 0):
                self.output.line("  the check has not reached the new page handler yet", "dim")
            result, build = check_site(self.url, self.folder, self.output, CheckOptions(headers=headers), self.sample)
            last.append((result, build))
            if not result.is_right:
                raise UserError(f"{self.url}: {summary_of(result)}; see `vinext-worker check {self.url}`")
            return f"{self.url}: {summary_of(result)}"

        try:
            return once_known(check)
        finally:
            for result, build in last:
                show_check(result, build, self.output)


def once_known(check: Callable[[], T]) -> T:
    """Check after the time that a deployment takes to be known everywhere, and believe no red result before some more of it.

    `check` raises UserError if what is deployed is wrong, or if what was there before answers still.
    """
    *first, last = _PAUSES_SECONDS
    for pause in first:
        time.sleep(pause)
        with suppress(UserError):
            return check()
    time.sleep(last)
    return check()
