from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import FakeCloudflare
from tests.fakes.deployments import CommandLine

from vinext_worker.cloudflare import retrying_client
from vinext_worker.populate import run
from vinext_worker.revalidate import command as revalidating

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are short, so that faults cost a test no time."""
    policy = retrying_client.RetryPolicy
    quick = replace(policy(), attempts=4, first_wait_seconds=0.01, max_wait_seconds=0.05, timeout_seconds=30)
    monkeypatch.setattr(retrying_client, "RetryPolicy", lambda: quick)
    monkeypatch.setattr(run, "_ROUND_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(revalidating, "_WAIT_SECONDS", 0.01)


@pytest.fixture
def cloudflare(command_line: CommandLine, impatient: None) -> Iterator[FakeCloudflare]:
    """The stand-in, which the commands then talk to."""
    with FakeCloudflare() as fake:
        command_line.set(fake.environment())
        yield fake
