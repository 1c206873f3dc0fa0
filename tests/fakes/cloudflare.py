"""A stand-in for Cloudflare's REST and GraphQL interfaces, on loopback.

Checks what the real one checks (token, account, namespace, sizes, counts), keeps what it is given, and fails as it is told to.
Sources: https://developers.cloudflare.com/api/resources/kv/ and https://developers.cloudflare.com/kv/platform/limits/.
"""

from __future__ import annotations

import base64
import binascii
import json
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.analytics_sql import AnalyticsSQL, QueryError
from tests.fakes.s3_api import BucketAPI
from tests.fakes.scripts_api import NotThereError, ScriptsAPI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

TOKEN = "test-token-0123456789-abcdefghijklmnopqrst"
LOGIN = "login-token-0123456789-abcdefghijklmnopqrs"
ACCOUNT = "a" * 32
NAMESPACE = "b" * 32
ZONE = "c" * 32
TOKEN_ID = "d" * 32

_MAX_BODY_BYTES = 100 * 1000 * 1000
_MAX_PAIRS = 10_000
_MAX_KEY_BYTES = 512
_MAX_METADATA_BYTES = 1024
_MAX_VALUE_BYTES = 25 * 1024 * 1024
_PAIR_FIELDS = {"key", "value", "expiration", "expiration_ttl", "metadata", "base64"}


@dataclass(frozen=True)
class Fault:
    """How a request fails. `cut` is "before" or "after" the write; `unsuccessful` picks keys that are not written."""

    status: int | None = None
    retry_after: str | None = None
    cut: str | None = None
    hang_seconds: float = 0
    unsuccessful: Callable[[list[str]], Iterable[str]] | None = None


@dataclass
class Stored:
    value: bytes
    metadata: Any = None
    expiration_ttl: int | None = None


@dataclass
class Traffic:
    path: str
    requests: int
    content_type: str = "html"
    status: int = 200
    method: str = "GET"


class _RefusalError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


@dataclass
class FakeCloudflare:
    """Runs in a thread while it is entered."""

    accounts: list[str] = field(default_factory=lambda: [ACCOUNT])
    permissions: set[str] = field(default_factory=lambda: {"kv", "r2", "workers", "analytics"})
    """What the token may do."""
    namespaces: list[str] = field(default_factory=lambda: [NAMESPACE])
    titles: dict[str, str] = field(default_factory=dict)
    """Of the namespaces that have one of their own."""
    workers: ScriptsAPI = field(default_factory=ScriptsAPI)
    r2: BucketAPI = field(default_factory=lambda: BucketAPI(TOKEN_ID, TOKEN))
    zones: dict[str, str] = field(default_factory=lambda: {"example.com": ZONE})
    traffic: list[Traffic] = field(default_factory=list)
    may_see_traffic: bool = True
    sql: AnalyticsSQL = field(default_factory=AnalyticsSQL)
    keeps_values: bool = True
    refuses_values: bool = False
    """Whether the token may list namespaces and not write to them."""
    page_size: int = 1000
    delay_seconds: float = 0
    before_answer: Callable[[int], None] = lambda _number: None
    """Called with the number of each bulk write, after it was kept and before it is answered."""

    stored: dict[str, Stored] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    bulk_sizes: list[tuple[int, int]] = field(default_factory=list)
    """Pairs and bytes of each bulk write."""
    requests: list[tuple[str, str, float]] = field(default_factory=list)
    """Method, path with query, and when."""
    faults: list[Fault | None] = field(default_factory=list)
    """For the next requests to KV, one each; None: no fault."""
    max_at_once: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self._at_once = 0
        self._nobody_is_connected = threading.Condition()
        self._connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/client/v4"

    @property
    def r2_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        return {"CLOUDFLARE_API_TOKEN": TOKEN, "CLOUDFLARE_API_BASE_URL": self.url, "CLOUDFLARE_R2_BASE_URL": self.r2_url}

    def login(self, home: Path) -> dict[str, str]:
        """Return the environment of someone who has used `wrangler login`."""
        config = home / ".wrangler" / "config"
        config.mkdir(parents=True)
        expiry = "2099-01-01T00:00:00.000Z"
        scopes = '["account:read", "user:read", "workers:write", "workers_kv:write", "offline_access"]'
        text = f'oauth_token = "{LOGIN}"\nrefresh_token = "r"\nexpiration_time = "{expiry}"\nscopes = {scopes}\n'
        (config / "default.toml").write_text(text)
        return {"CLOUDFLARE_API_BASE_URL": self.url, "XDG_CONFIG_HOME": str(home)}

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"cloudflare": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.on_connections = self._count
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_until_left(self) -> None:
        """Wait until all that clients have sent is dealt with, where these have gone."""
        # Connections are accepted in turn: what came before this one has been counted when it is answered.
        with socket.create_connection(("127.0.0.1", self._server.server_address[1]), 30) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(4096):
                pass
        with self._nobody_is_connected:
            assert self._nobody_is_connected.wait_for(lambda: self._connections == 0, 30)

    def _count(self, more: int) -> None:
        with self._nobody_is_connected:
            self._connections += more
            self._nobody_is_connected.notify_all()

    def answer(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0917 - the parts of a request, and a case for each path
        self, method: str, target: str, authorization: str | None, kind: str, body: bytes, fault: Fault | None
    ) -> tuple[int, Any]:
        # Assets are uploaded with a token of their own.
        if authorization not in {f"Bearer {TOKEN}", f"Bearer {LOGIN}"} and "/workers/assets/upload" not in target:
            # As careless as a server can be.
            raise _RefusalError(401, 10000, f"Authentication error for {authorization}")
        if len(body) > _MAX_BODY_BYTES:
            raise _RefusalError(413, 10011, "request too large")
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        segments = [unquote(part) for part in parts.path.removeprefix("/client/v4/").split("/")]
        match method, segments:
            case "GET", ["accounts"]:
                rows = [{"id": account, "name": "test"} for account in self.accounts[: int(query.get("per_page", "20"))]]
                return 200, _success(rows)
            case "GET", ["memberships"]:
                members = [{"id": f"m-{account}", "account": {"id": account, "name": "test"}} for account in self.accounts]
                return 200, _success(members)
            case "GET", ["user"]:
                return 200, _success({"id": "u", "email": "dev@example.com"})
            case "GET", ["user", "tokens", "verify"]:
                return 200, _success({"id": TOKEN_ID, "status": "active"})
            case _, ["accounts", account, "workers", *rest]:
                self._require(account, "workers")
                try:
                    return 200, _success(self.workers.answer(method, rest, query, kind, body))
                except NotThereError as error:
                    raise _RefusalError(error.status, error.code, error.message) from error
            case "GET", ["accounts", account, "storage", "kv", "namespaces"]:
                self._require(account, "kv")
                size, page = int(query.get("per_page", "20")), int(query.get("page", "1"))
                rows = [{"id": namespace, "title": self.titles.get(namespace, "cache")} for namespace in self.namespaces]
                return 200, _success(rows[size * (page - 1) : size * page])
            case "POST", ["accounts", account, "storage", "kv", "namespaces"]:
                self._require(account, "kv")
                return 200, self._create_namespace(json.loads(body)["title"])
            case "GET", ["accounts", account, "r2", "buckets", name]:
                self._require(account, "r2")
                if name not in self.r2.buckets:
                    raise _RefusalError(404, 10006, "The specified bucket does not exist.")
                return 200, _success({"name": name, "creation_date": "2026-11-01T00:00:00.000Z"})
            case "GET", ["zones"]:
                name = query.get("name", "")
                return 200, _success([{"id": self.zones[name], "name": name}] if name in self.zones else [])
            case "POST", ["accounts", account, "analytics_engine", "sql"]:
                self._require(account, "analytics")
                try:
                    return 200, self.sql.answer(body.decode())
                except QueryError as error:
                    return 422, str(error).encode()
            case "POST", ["graphql"]:
                return 200, self._analytics(json.loads(body))
            case _, ["accounts", account, "storage", "kv", "namespaces", namespace, *rest]:
                self._require(account, "kv")
                if namespace not in self.namespaces:
                    raise _RefusalError(404, 10013, "namespace not found")
                return self._kv(method, rest, query, body, fault)
        raise _RefusalError(404, 7003, f"Could not route to {parts.path}")

    def _create_namespace(self, title: str) -> dict[str, Any]:
        if title in self.titles.values():
            raise _RefusalError(400, 10014, "create namespace: 'a namespace with this account ID and title already exists'")
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, title).hex
        self.namespaces.append(identifier)
        self.titles[identifier] = title
        return _success({"id": identifier, "title": title, "supports_url_encoding": True})

    def _require(self, account: str, permission: str) -> None:
        if account not in self.accounts or permission not in self.permissions:
            raise _RefusalError(403, 10000, "Authentication error")

    def _kv(  # noqa: C901 - a case for each path
        self, method: str, rest: list[str], query: dict[str, str], body: bytes, fault: Fault | None
    ) -> tuple[int, Any]:
        match method, rest:
            case ("PUT", ["bulk"]) | ("DELETE", ["values", _]) if self.refuses_values:
                raise _RefusalError(403, 10000, "Authentication error")
            case "PUT", ["bulk"]:
                return 200, self._put_bulk(body, fault)
            case "POST", ["bulk", "delete"]:
                keys = json.loads(body)
                if not 0 < len(keys) <= _MAX_PAIRS:
                    raise _RefusalError(400, 10029, "too many keys")
                for key in keys:
                    self.stored.pop(key, None)
                return 200, _success({"successful_key_count": len(keys), "unsuccessful_keys": []})
            case "DELETE", ["values", key]:
                self.stored.pop(key, None)
                return 200, _success(None)
            case "GET", ["keys"]:
                return 200, self._list(query)
            case "GET", ["values", key]:
                if key not in self.stored:
                    raise _RefusalError(404, 10009, "get: 'key not found'")
                return 200, self.stored[key].value
            case "GET", ["metadata", key]:
                if key not in self.stored:
                    raise _RefusalError(404, 10009, "get: 'key not found'")
                return 200, _success(self.stored[key].metadata)
        raise _RefusalError(405, 10405, "Method not allowed")

    def _put_bulk(self, body: bytes, fault: Fault | None) -> dict[str, Any]:
        try:
            pairs = json.loads(body)
        except ValueError as error:
            raise _RefusalError(400, 10012, f"could not parse the body: {error}") from error
        if not isinstance(pairs, list) or not pairs:
            raise _RefusalError(400, 10012, "the body must be an array of pairs")
        if len(pairs) > _MAX_PAIRS:
            raise _RefusalError(400, 10030, f"more than {_MAX_PAIRS} keys")
        checked = [_checked(pair) for pair in pairs]
        failed: set[str] = set()
        if fault is not None and fault.unsuccessful is not None:
            failed = set(fault.unsuccessful([key for key, _ in checked]))
        with self.lock:
            for key, stored in checked:
                if key in failed:
                    continue
                self.writes[key] += 1
                if self.keeps_values:
                    self.stored[key] = stored
            self.bulk_sizes.append((len(pairs), len(body)))
            number = len(self.bulk_sizes)
        self.before_answer(number)
        return _success({"successful_key_count": len(pairs) - len(failed), "unsuccessful_keys": sorted(failed)})

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        limit = min(int(query.get("limit", "1000")), self.page_size)
        after = base64.b64decode(query.get("cursor", "")).decode()
        names = sorted(name for name in self.stored if name.startswith(query.get("prefix", "")) and name > after)
        page = names[:limit]
        cursor = base64.b64encode(page[-1].encode()).decode() if len(names) > len(page) else ""
        rows = [{"name": name, "metadata": self.stored[name].metadata} for name in page]
        return _success(rows) | {"result_info": {"count": len(page), "cursor": cursor}}

    def _analytics(self, document: dict[str, Any]) -> dict[str, Any]:
        variables = document.get("variables") or {}
        text = document["query"]
        if (
            "httpRequestsAdaptiveGroups" not in text
            or variables.get("zone") not in self.zones.values()
            or not self.may_see_traffic
        ):
            return {"data": None, "errors": [{"message": "zone not found or not authorized"}]}
        limit = int(variables.get("limit", 10_000))
        rows = sorted(self.traffic, key=lambda row: -row.requests)[:limit]
        groups = [{"count": row.requests, "dimensions": {"clientRequestPath": row.path}} for row in rows]
        return {"data": {"viewer": {"zones": [{"httpRequestsAdaptiveGroups": groups}]}}, "errors": None}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    on_connections: Callable[[int], None]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.on_connections(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.on_connections(-1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may be killed at any time
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    cloudflare: FakeCloudflare
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body together: apart they wait for each other's acknowledgement

    def _serve(self) -> None:
        fake = self.cloudflare
        body = self._body()
        with fake.lock:
            fake.requests.append((self.command, self.path, time.monotonic()))
            fake._at_once += 1
            fake.max_at_once = max(fake.max_at_once, fake._at_once)
            is_kv = "/storage/kv/" in self.path or "graphql" in self.path or "/zones" in self.path
            fault = fake.faults.pop(0) if is_kv and fake.faults else None
        try:
            self._answer(fake, body, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with fake.lock:
                fake._at_once -= 1

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, fake: FakeCloudflare, body: bytes, fault: Fault | None) -> None:
        time.sleep(fake.delay_seconds)
        if fault is not None:
            if fault.hang_seconds:
                time.sleep(fault.hang_seconds)
            if fault.cut == "before":
                self._cut()
                return
            if fault.status is not None:
                self._send(fault.status, _failure(fault.status, 10001, "made to fail"), fault.retry_after)
                return
        if not self.path.startswith("/client/"):
            self._send_raw(
                *fake.r2.answer(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            return
        try:
            status, document = fake.answer(
                self.command, self.path, self.headers.get("Authorization"), self.headers.get("Content-Type", ""), body, fault
            )
        except _RefusalError as refusal:
            status, document = refusal.status, _failure(refusal.status, refusal.code, refusal.message)
        if fault is not None and fault.cut == "after":
            self._cut()
            return
        self._send(status, document, None)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _send(self, status: int, document: Any, retry_after: str | None) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        again = {} if retry_after is None else {"Retry-After": retry_after}
        self._send_raw(status, {"Content-Type": "application/json", **again}, data)

    def _send_raw(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_arguments: object) -> None:
        pass


def _checked(pair: Any) -> tuple[str, Stored]:
    if not isinstance(pair, dict) or not set(pair) <= _PAIR_FIELDS:
        raise _RefusalError(400, 10012, f"a pair with unknown fields: {sorted(pair)}")
    key, value = pair.get("key"), pair.get("value")
    if not isinstance(key, str) or key in {"", ".", ".."} or not isinstance(value, str):
        raise _RefusalError(400, 10014, "key or value is missing")
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise _RefusalError(414, 10014, f"a key of {len(key.encode())} bytes")
    try:
        data = base64.b64decode(value, validate=True) if pair.get("base64") else value.encode()
    except binascii.Error as error:
        raise _RefusalError(400, 10012, "not base64") from error
    if len(data) > _MAX_VALUE_BYTES:
        raise _RefusalError(413, 10011, f"a value of {len(data)} bytes")
    metadata = pair.get("metadata")
    if (
        metadata is not None
        and len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode()) > _MAX_METADATA_BYTES
    ):
        raise _RefusalError(413, 10011, "metadata too large")
    ttl = pair.get("expiration_ttl")
    if ttl is not None and (not isinstance(ttl, int) or ttl < 60):
        raise _RefusalError(400, 10033, f"invalid expiration_ttl of {ttl}")
    return key, Stored(data, metadata, ttl)


def _success(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


def _failure(_status: int, code: int, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def main() -> None:
    """Run as a process of its own, keeping no values: for the benchmark. Prints the address, then the counts at the end."""
    with FakeCloudflare(keeps_values=False) as fake:
        print(fake.url, flush=True)  # noqa: T201
        sys.stdin.read()
        print(json.dumps({"writes": sum(fake.writes.values()), "keys": len(fake.writes), "bulk": fake.bulk_sizes}))  # noqa: T201


if __name__ == "__main__":
    main()
