"""Datasets of Workers Analytics Engine.

Source: https://developers.cloudflare.com/analytics/analytics-engine/sql-api/.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from vinext_worker.cloudflare.client import TOKEN_VARIABLE
from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from vinext_worker.cloudflare.client import Cloudflare

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class AnalyticsEngine:
    """The datasets of an account."""

    def __init__(self, cloudflare: Cloudflare, account: str) -> None:
        self._cloudflare = cloudflare
        self._account = account

    async def require(self, dataset: str) -> None:
        """Raise UserError if there is no such dataset."""
        rows = await self.rows("SHOW TABLES FORMAT JSON")
        if not any(dataset in row.values() for row in rows):
            raise UserError(
                f"the dataset {dataset} is not there yet: Cloudflare makes it with the first data point; "
                "deploy the Worker with its binding, request a page, and try again some minutes later"
            )

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query; large numbers are texts in them. Raise UserError if the token may not ask."""
        path = f"/accounts/{self._account}/analytics_engine/sql"
        response = await self._cloudflare.send("POST", path, parts=(sql.encode(),), content_type="text/plain")
        if response.status_code in _REFUSED:
            raise UserError(
                f"the token may not read Analytics Engine in the account {self._account}; "
                f"give {TOKEN_VARIABLE} the permission Account Analytics: Read"
            )
        if not response.is_success:
            said = self._cloudflare.scrub(response.text)
            raise RemoteError(f"Analytics Engine refused the query with status {response.status_code}: {said}")
        try:
            rows = response.json()["data"]
        except (ValueError, KeyError, TypeError):
            rows = None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise RemoteError("the answer of Analytics Engine has an unknown form; is there a newer version of this tool?")
        return rows
