"""Who is logged in at Cloudflare: by a token, or by `wrangler login`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.client import ACCOUNT_VARIABLE, TOKEN_VARIABLE
from vinext_worker.cloudflare.wrangler import WranglerError
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from vinext_worker.cloudflare.wrangler import Wrangler
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

_NEEDED = {"workers:write": "Workers Scripts", "workers_kv:write": "Workers KV Storage"}
_OAUTH = "OAuth Token"


@dataclass(frozen=True)
class Login:
    """The account to work on. `kind` is wrangler's word for how it is logged in; `permissions` is empty for a token."""

    account: str
    kind: str
    permissions: frozenset[str] = frozenset()

    def missing_permissions(self) -> list[str]:
        """Return what the login may not do and a deploy needs. What a token may do is seen only by trying."""
        if self.kind != _OAUTH:
            return []
        lacking = [scope for scope in _NEEDED if scope not in self.permissions]
        return [f"wrangler's login lacks {' and '.join(lacking)}; run `npx wrangler login` again"] if lacking else []


def has_token() -> bool:
    """Return whether a token is in the environment, which requests of our own can use."""
    return bool(os.environ.get(TOKEN_VARIABLE, "").strip())


def account_of(wrangler: Wrangler, config: WranglerConfig) -> Login:
    """Return the configuration's account, else CLOUDFLARE_ACCOUNT_ID, else the only one of the login; raise UserError."""
    try:
        who = wrangler.ask("whoami", "--json")
    except WranglerError as error:
        if "resolve" in error.reason or "fetch failed" in error.reason:
            what = error.reason.partition(" This is typically caused by")[0].rstrip(".")
            raise UserError(f"Cloudflare cannot be reached ({what}); try again when there is a network") from error
        raise UserError(_not_logged_in(error.reason)) from error
    accounts = [str(account["id"]) for account in who.get("accounts") or ()]
    named = config.account_id or os.environ.get(ACCOUNT_VARIABLE, "").strip()
    kind = str(who.get("authType") or "token")
    if named and named not in accounts:
        raise UserError(
            f"the account {named} is none of this {kind}'s ({', '.join(accounts) or 'it has none'}); name one of them"
        )
    if not named and len(accounts) != 1:
        raise UserError(
            f"this {kind} has {len(accounts)} accounts; set {ACCOUNT_VARIABLE}, or account_id in {config.path}, to one of: "
            + ", ".join(accounts)
        )
    return Login(named or accounts[0], kind, frozenset(who.get("tokenPermissions") or ()))


def _not_logged_in(reason: str) -> str:
    """Return what to do where wrangler gives a reason for having no user; that may be its JSON, which says no more."""
    why = "" if reason.startswith("{") else f" ({reason})"
    if has_token():
        return (
            f"Cloudflare does not accept the token of {TOKEN_VARIABLE} in the environment{why}; "
            "make a new one at https://dash.cloudflare.com/profile/api-tokens, or unset it and run `npx wrangler login`"
        )
    return (
        f"nobody is logged in at Cloudflare{why}; run `npx wrangler login`, or set {TOKEN_VARIABLE} in the environment "
        "to a token that may edit Workers Scripts and Workers KV Storage (.dev.vars is for the Worker's own variables)"
    )
