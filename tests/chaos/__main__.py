"""`python -m tests.chaos`: requests under faults, as many as you like, and what became of them."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.chaos.runtime import run
from tests.chaos.world import SETUPS, World

_SHOWN = 5
_REQUESTS = "under faults, shared by the setups (default 1,000,000); then, in calm, up to a few thousand more in each"


def _say(*parts: str) -> None:
    sys.stdout.write(" ".join(parts) + "\n")


def main() -> int:
    names = "; ".join(setup.name for setup in SETUPS)
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help=_REQUESTS)
    parser.add_argument("--seed", type=int, default=1, help="of the plan of requests and faults (default 1)")
    parser.add_argument("--only", help=f"a part of a setup's name: {names}")
    arguments = parser.parse_args()
    setups = [setup for setup in SETUPS if not arguments.only or arguments.only in setup.name]
    if not setups:
        parser.error(f"no setup has {arguments.only!r} in its name; there are: {names}")
    is_wrong = False
    for setup in setups:
        started = time.monotonic()
        world = World(setup, arguments.seed)
        run(world.play(arguments.requests // len(setups)))
        _say(f"{setup.name}: {time.monotonic() - started:.0f} s")
        _say("  ", json.dumps(dict(sorted(world.judge.counts.items()))))
        _say("   faults", json.dumps({" ".join(what): count for what, count in sorted(world.faults.struck.items())}))
        _say("   log", json.dumps(dict(sorted(world.log.counts.items()))))
        for what, details in world.judge.wrong.items():
            is_wrong = True
            _say(f"   {what}: {len(details)}")
            for detail in details[:_SHOWN]:
                _say("     ", detail)
    _say("something was wrong, see above" if is_wrong else "nothing was wrong")
    return 1 if is_wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
