"""The KV namespace of a site that has none yet: found by its name, or created, and put into the configuration."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING, namespace_id
from vinext_worker.cloudflare.login import account_of
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import UserError
from vinext_worker.init.editor import Editor
from vinext_worker.init.plan import Plan
from vinext_worker.init.wrangler_file import WranglerFile

if TYPE_CHECKING:
    from vinext_worker.cloudflare.deployment import Deployment
    from vinext_worker.cloudflare.wrangler import Wrangler
    from vinext_worker.terminal.output import Output
    from vinext_worker.tools import Tools

_ID = re.compile(r"\b[0-9a-f]{32}\b")


def namespace_title(config: WranglerConfig) -> str:
    """Return the name that wrangler itself gives to a namespace which it creates for a Worker."""
    return f"{config.name}-{CACHE_BINDING.lower().replace('_', '-')}"


def can_ask(output: Output) -> bool:
    """Return whether somebody sees a question and can answer it."""
    return output.console.is_terminal and not output.as_json and sys.stdin.isatty()


def with_namespace(deployment: Deployment, wrangler: Wrangler, output: Output) -> Deployment:
    """Put the ID of the Worker's namespace into its configuration if the user says so; return the deployment with it.

    A namespace of its name may be there from another machine; otherwise it is created. Raises WranglerError if Cloudflare
    refuses, UserError if the user does or if the file cannot be changed.
    """
    config, tools = deployment.config, deployment.project.tools
    title = namespace_title(config)
    if not click.confirm(f"{config.path} has no KV namespace yet. Use {title}, made if there is none, and put its ID there?"):
        namespace_id(config)  # It raises, and says how to do it by hand.
    wrangler = wrangler.of_account(account_of(wrangler, config).account)
    rows = wrangler.ask("kv", "namespace", "list")
    identifier = next((str(row["id"]) for row in rows if row.get("title") == title), None) or _create(wrangler, title)
    _write(config, tools, identifier)
    output.line(f"  {title} is the namespace {identifier}", "dim")
    return replace(deployment, config=WranglerConfig.read(config.path, config.environment))


def _create(wrangler: Wrangler, title: str) -> str:
    found = _ID.search(wrangler.act("kv", "namespace", "create", title))
    if found is None:
        raise UserError(f"`wrangler kv namespace create {title}` does not say the new ID; see `npx wrangler kv namespace list`")
    return found[0]


def _write(config: WranglerConfig, tools: Tools, identifier: str) -> None:
    plan = Plan(config.folder)
    file = WranglerFile.read(plan, config.path)
    place = ("env", config.environment) if config.environment else ()
    table = file.values
    for key in place:
        table = table[key]
    row = next(number for number, row in enumerate(table["kv_namespaces"]) if row.get("binding") == CACHE_BINDING)
    file.set((*place, "kv_namespaces", row, "id"), identifier)
    file.write(plan, Editor(tools))
    plan.apply()
