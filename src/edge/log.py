"""One structured line an event, on the console's level for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import js

if TYPE_CHECKING:
    from cache.ports import Level


class ConsoleLog:
    """The log of the Worker (the protocol of `cache.ports`)."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        line = json.dumps({"event": event, **fields}, ensure_ascii=False, default=str)
        match level:
            case "debug":
                js.console.debug(line)
            case "info":
                js.console.info(line)
            case "warning":
                js.console.warn(line)
            case "error":
                js.console.error(line)
