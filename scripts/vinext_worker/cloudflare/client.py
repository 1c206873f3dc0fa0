from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from vinext_worker.cloudflare.retrying_client import RetryingClient
from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx2 as httpx

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - a name, not a token
ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
BASE_URL_VARIABLE = "CLOUDFLARE_API_BASE_URL"
_BASE_URL = "https://api.cloudflare.com/client/v4"
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Cloudflare:
    """A client of Cloudflare's interface at api.cloudflare.com, with a token."""

    def __init__(self, client: RetryingClient) -> None:
        self._client = client

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Cloudflare:
        """Return a client with the token in CLOUDFLARE_API_TOKEN; raise UserError without a token."""
        variables = os.environ if environment is None else environment
        token = variables.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise UserError(
                f"{TOKEN_VARIABLE} is not set in the environment (.dev.vars is not read for it); "
                "create a token at https://dash.cloudflare.com/profile/api-tokens and set it"
            )
        url = variables.get(BASE_URL_VARIABLE) or _BASE_URL
        return cls(RetryingClient(url, token, server="Cloudflare", token_name=TOKEN_VARIABLE))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    async def ask(
        self, method: str, path: str, what: str, *, parameters: Mapping[str, str] | None = None, body: object = None
    ) -> dict[str, Any]:
        """Send JSON and return the document of a successful answer; raise RemoteError, whose message begins with `what`."""
        parts = () if body is None else (json.dumps(body, ensure_ascii=False).encode(),)
        return self.document(await self.send(method, path, parameters=parameters, parts=parts), what)

    async def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        parts: Sequence[bytes] = (),
        content_type: str = "application/json",
    ) -> httpx.Response:
        """Send a body in parts and return the raw answer; raise RemoteError if there is none."""
        return await self._client.request(method, path, parameters=parameters, parts=parts, content_type=content_type)

    def scrub(self, text: str) -> str:
        """Return the text for a message: without the token, and not too long."""
        return self._client.scrub(text)

    def document(self, response: httpx.Response, what: str) -> dict[str, Any]:
        """Return the document of an answer; raise RemoteError if it is a refusal."""
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise RemoteError(f"{what}: Cloudflare answered {response.status_code} without JSON; look at cloudflarestatus.com")
        if response.is_success and document.get("success", True) is not False:
            return document
        raise self.refusal(response.status_code, document, what)

    def refusal(self, status: int, document: Mapping[str, Any], what: str) -> RemoteError:
        """Return the error for a refusal, in Cloudflare's words, with what to do."""
        errors = document.get("errors")
        said = "; ".join(
            f"{error.get('message')} (code {error.get('code')})" for error in errors or () if isinstance(error, dict)
        )
        advice = "look up the code in Cloudflare's documentation"
        if status in _REFUSED:
            advice = f"check {TOKEN_VARIABLE}, its permissions and the account"
        elif status == HTTPStatus.NOT_FOUND:
            advice = "check the account and the ids in the wrangler configuration"
        return RemoteError(
            f"{what}: Cloudflare refused with status {status}: {self._client.scrub(said or 'no reason')}; {advice}"
        )


async def find_account(cloudflare: Cloudflare, config: WranglerConfig, environment: Mapping[str, str] | None = None) -> str:
    """Return the account: the configuration's `account_id`, else CLOUDFLARE_ACCOUNT_ID, else the only one the token can see."""
    variables = os.environ if environment is None else environment
    named = config.account_id or variables.get(ACCOUNT_VARIABLE, "").strip()
    if named:
        return named
    answer = await cloudflare.ask("GET", "/accounts", "looking up the account", parameters={"per_page": "2"})
    accounts = [account["id"] for account in answer.get("result") or ()]
    if len(accounts) == 1:
        return str(accounts[0])
    visible = "several accounts" if accounts else "no account"
    raise UserError(f"the token can see {visible}; set {ACCOUNT_VARIABLE}, or account_id in {config.path}")
