"""What would stop a deploy half-way, looked at before anything is built or written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from core.body import MAX_BODY_BYTES
from isr.settings import EdgeCache
from vinext_worker.cloudflare.bindings import binding_faults
from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING, is_placeholder, namespace_id
from vinext_worker.cloudflare.login import account_of, has_token
from vinext_worker.cloudflare.versions import Versions
from vinext_worker.cloudflare.wrangler import WranglerError
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.build_copy import expected_files
from vinext_worker.deploy.whole_packages import missing_files, missing_packages
from vinext_worker.deploy.write_permissions import write_faults
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.project import CONFIGURATION_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vinext_worker.cloudflare.deployment import Deployment
    from vinext_worker.cloudflare.login import Login
    from vinext_worker.cloudflare.wrangler import Wrangler
    from vinext_worker.sites.site_build import SiteBuild

# From here on, Python Workers run Python 3.14, which this Worker is made for.
# Source: https://developers.cloudflare.com/workers/languages/python/
FIRST_DATE = date(2026, 9, 8)
PYTHON_FLAG = "python_workers"
_PAGE_HANDLER = "VINEXT_PAGE_HANDLER"
# Source: https://developers.cloudflare.com/workers/static-assets/billing-and-limitations/
FREE_ASSETS = 20_000
PAID_ASSETS = 100_000
_SHOWN = 3
# Source: https://developers.cloudflare.com/r2/api/error-codes/
_NO_SUCH_BUCKET = 10006


def require_all(faults: Iterable[str]) -> None:
    """Raise UserError if there are faults; the message has all of them."""
    texts = list(faults)
    if texts:
        raise UserError("; ".join(texts))


def configuration_faults(deployment: Deployment, today: date | None = None, *, may_lack_namespace: bool = False) -> list[str]:
    """Return what is wrong with the Worker's own configuration. Its namespace may still have to be created, if that is said."""
    config = deployment.config
    faults: list[str] = []
    try:
        deployment.assets_directory  # noqa: B018 - it raises
        if CACHE_BINDING in config.kv_namespaces and not (may_lack_namespace and is_placeholder(config)):
            namespace_id(config)
    except ConfigurationError as error:
        faults.append(str(error))
    return faults + binding_faults(config) + edge_faults(deployment) + _date_faults(config, today or datetime.now(UTC).date())


def edge_faults(deployment: Deployment) -> list[str]:
    """Return what keeps Workers Cache from keeping pages, or lets it keep those of an earlier build (docs/workers-cache.md)."""
    config, settings = deployment.config, deployment.settings
    if settings.edge_cache is EdgeCache.OFF:
        return []
    where = f'{config.path}: VINEXT_EDGE_CACHE is "{settings.edge_cache}", but'
    faults: list[str] = []
    if not config.is_cached:
        faults.append(f"{where} no cache is in front of the Worker; write enabled = true under [cache]")
    if config.shares_cache:
        faults.append(f"{where} with cross_version_cache pages of an earlier build would stay; remove it from [cache]")
    if settings.tenants:
        faults.append(f"{where} the cache does not tell the hosts of VINEXT_TENANTS apart; remove one of the two")
    return faults


def _date_faults(config: WranglerConfig, today: date) -> list[str]:
    if config.main is None or config.main.suffix != ".py":
        return []
    faults = (
        [] if PYTHON_FLAG in config.compatibility_flags else [f'{config.path}: compatibility_flags lacks "{PYTHON_FLAG}"; add it']
    )
    try:
        given = date.fromisoformat(config.compatibility_date)
    except ValueError:
        return [*faults, f"{config.path}: compatibility_date {config.compatibility_date!r} is no date; write it as {FIRST_DATE}"]
    if given > today:
        faults.append(f"{config.path}: compatibility_date {given} is in the future, which Cloudflare refuses; write {today}")
    elif given < FIRST_DATE:
        faults.append(
            f"{config.path}: compatibility_date {given} is before {FIRST_DATE}, so Python is too old; write {FIRST_DATE}"
        )
    return faults


def service_faults(deployment: Deployment, app: str | None) -> list[str]:
    """Return what is wrong with the binding to the app's Worker; `app` is that Worker's name, None if it is not known yet."""
    config, handler = deployment.config, deployment.settings.page_handler
    if handler.kind != "service":
        return []
    service = config.services.get(handler.attribute)
    section = f"[[env.{config.environment}.services]]" if config.environment else "[[services]]"
    if service is None:
        wanted = f', service = "{app}"' if app else ""
        return [f'{config.path} has no {section} with binding = "{handler.attribute}"{wanted}; add it']
    if app is None or service == app:
        return []
    where = f"{config.path}: {section} {handler.attribute}"
    return [f'{where} is {service!r}, but the app\'s Worker is {app!r}; write service = "{app}"']


def page_handler_faults(config: WranglerConfig) -> list[str]:
    """Return what a Python site lacks in an environment, which inherits no variables: the page handler it has without one."""
    if config.environment is None or _PAGE_HANDLER in config.deployed_variables:
        return []
    named = WranglerConfig.read(config.path).deployed_variables.get(_PAGE_HANDLER)
    if named is None:
        return []
    where = f"{config.path}: env.{config.environment}.vars lacks {_PAGE_HANDLER}"
    return [f'{where}, because an environment inherits no variables; write {_PAGE_HANDLER} = "{named}" there']


def app_name(site: Path, environment: str | None) -> str | None:
    """Return the name of an app's Worker by the app's own configuration; None if it has none that tells.

    A Worker in an environment that the configuration does not have is named as if it had it, empty.
    """
    for path in (site / name for name in CONFIGURATION_NAMES):
        if not path.is_file():
            continue
        with suppress(ConfigurationError):
            return WranglerConfig.read(path, environment).name
        with suppress(ConfigurationError):
            name = WranglerConfig.read(path).name
            return f"{name}-{environment}" if environment else name
    return None


def package_faults(config: WranglerConfig) -> list[str]:
    """Return what `python_modules` lacks. wrangler would upload a Worker that cannot start, without a word."""
    if config.main is None or config.main.suffix != ".py" or not config.main.is_file():
        return []
    folder = config.folder / "python_modules"
    lacking = missing_packages(config.main.parent, folder)
    if lacking:
        return [f"{folder} lacks {_some(lacking)}, which the Worker imports; install its packages"]
    lost = missing_files(folder)
    return [f"{folder} lacks {_some(lost)}; delete the folder, and install the Worker's packages again"] if lost else []


def asset_faults(count: int, where: str) -> tuple[list[str], list[str]]:
    """Return what is wrong with the number of assets, and what is to be known about it."""
    cure = "pre-render fewer pages, or populate with --from the build and do not copy them (docs/populating.md)"
    if count > PAID_ASSETS:
        return [f"{where} {count:,} files, and Cloudflare takes {PAID_ASSETS:,}; {cure}"], []
    if count > FREE_ASSETS:
        return [], [f"{where} {count:,} files: the free plan takes {FREE_ASSETS:,}, a paid one {PAID_ASSETS:,}"]
    return [], []


def size_faults(assets: Iterable[Path]) -> list[str]:
    """Return which assets are too large."""
    return [
        f"{asset} is larger than the {MAX_BODY_BYTES // 2**20} MiB that Cloudflare takes; make it smaller, or serve it from R2"
        for asset in assets
        if asset.stat().st_size > MAX_BODY_BYTES
    ]


def require_few_files(built: SiteBuild) -> None:
    """Raise UserError if the copy of a build would have more files than any plan takes."""
    require_all(asset_faults(expected_files(built), "the build makes about")[0])


def log_in(wrangler: Wrangler, deployment: Deployment) -> Login:
    """Return the account to deploy to; raise UserError if nobody is logged in, or may not do what a deploy needs."""
    login = account_of(wrangler, deployment.config)
    config, wrangler = deployment.config, wrangler.of_account(login.account)
    with ThreadPoolExecutor(4) as pool:
        kv = pool.submit(_namespace_faults, wrangler, deployment, login)
        r2 = pool.submit(_bucket_faults, wrangler, config, login)
        workers = pool.submit(_worker_faults, wrangler, config.name)
        writes = pool.submit(write_faults, config, login) if has_token() else None
        faults = [*login.missing_permissions(), *kv.result(), *r2.result(), *workers.result()]
    # What may not even be read is not said twice.
    require_all(faults or ([] if writes is None else writes.result()))
    return login


def _namespace_faults(wrangler: Wrangler, deployment: Deployment, login: Login) -> list[str]:
    config = deployment.config
    if CACHE_BINDING not in config.kv_namespaces:
        return []
    wanted = namespace_id(config)
    try:
        found = {row["id"] for row in wrangler.ask("kv", "namespace", "list")}
    except WranglerError as error:
        return [f"Workers KV is refused ({error.reason}); the {login.kind} needs Workers KV Storage: Edit"]
    if wanted in found:
        return []
    return [
        (
            f"{config.path}: the account {login.account} has no KV namespace {wanted}; "
            f"create one with `npx wrangler kv namespace create {CACHE_BINDING}` and put its id there"
        )
    ]


def _bucket_faults(wrangler: Wrangler, config: WranglerConfig, login: Login) -> list[str]:
    bucket, place = config.r2_buckets.get(R2_BINDING), config.r2_jurisdictions.get(R2_BINDING)
    if bucket is None:
        return []
    where = ("--jurisdiction", place) if place else ()
    try:
        wrangler.ask("r2", "bucket", "info", bucket, "--json", *where)
    except WranglerError as error:
        if error.code == _NO_SUCH_BUCKET:
            create = " ".join((f"npx wrangler r2 bucket create {bucket}", *where))
            return [f"{config.path}: the account {login.account} has no R2 bucket {bucket}; create it with `{create}`"]
        return [f"R2 is refused ({error.reason}); the {login.kind} needs Workers R2 Storage: Edit, and the account R2"]
    return []


def _worker_faults(wrangler: Wrangler, name: str) -> list[str]:
    try:
        Versions(wrangler).served(name)
    except WranglerError as error:
        return [f"the Workers of the account are refused ({error.reason}); the token or login needs Workers Scripts: Edit"]
    return []


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
