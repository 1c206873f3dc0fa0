"""The paths that visitors request, as Cloudflare counts them.

Source: https://developers.cloudflare.com/analytics/graphql-api/, node `httpRequestsAdaptiveGroups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from vinext_worker.cloudflare.client import Cloudflare

MAX_PATHS = 10_000
"""The maximum number of rows of a query's result."""

_QUERY = """
query Paths($zone: string!, $host: string!, $from: Time!, $to: Time!, $limit: uint64!) {
  viewer {
    zones(filter: { zoneTag: $zone }) {
      httpRequestsAdaptiveGroups(
        limit: $limit
        orderBy: [count_DESC]
        filter: {
          datetime_geq: $from
          datetime_lt: $to
          requestSource: "eyeball"
          clientRequestHTTPHost: $host
          clientRequestHTTPMethodName: "GET"
        }
      ) {
        count
        dimensions { clientRequestPath }
      }
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class PathCount:
    """A path, and how often it was requested."""

    path: str
    requests: int


def zone_candidates(host: str) -> list[str]:
    """Return the possible names of a host's zone: the host, then without its first label, and so on, down to two labels."""
    labels = host.lower().strip(".").split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


async def find_zone(cloudflare: Cloudflare, host: str) -> str:
    """Return the id of the zone that a host belongs to; raise UserError if the token can see none."""
    candidates = zone_candidates(host)
    for name in candidates:
        answer = await cloudflare.ask("GET", "/zones", "looking up the zone", parameters={"name": name})
        rows = answer.get("result") or ()
        if rows:
            return str(rows[0]["id"])
    raise UserError(
        f"the token sees no zone for {host} (tried {', '.join(candidates)}); "
        "give it Zone: Read and Analytics: Read for that zone, or name another host with --host"
    )


async def paths_asked_for(
    cloudflare: Cloudflare, zone: str, host: str, hours: int, now: datetime | None = None
) -> list[PathCount]:
    """Return the paths of the last hours, the most requested first, at most `MAX_PATHS`."""
    end = now or datetime.now(UTC)
    variables = {
        "zone": zone,
        "host": host,
        "from": (end - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "to": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "limit": MAX_PATHS,
    }
    what = f"reading the traffic of {host}"
    answer = await cloudflare.ask("POST", "/graphql", what, body={"query": _QUERY, "variables": variables})
    errors = answer.get("errors")
    if errors:
        raise cloudflare.refusal(200, answer, what)
    try:
        zones = answer["data"]["viewer"]["zones"]
        groups = zones[0]["httpRequestsAdaptiveGroups"] if zones else []
        return [PathCount(str(row["dimensions"]["clientRequestPath"]), int(row["count"])) for row in groups]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RemoteError(
            f"{what}: Cloudflare's answer has an unknown form ({error!r}); is there a newer version of this tool?"
        ) from error
