"""A bucket of R2, through its S3 interface."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from email.header import decode_header, make_header
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from cache.kv_namespace import KVWhole
from cache.r2 import METADATA_NAME
from core.body import BytesBody
from vinext_worker.cloudflare.client import TOKEN_VARIABLE
from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from vinext_worker.cloudflare.client import Cloudflare
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

T = TypeVar("T")

R2_URL_VARIABLE = "CLOUDFLARE_R2_BASE_URL"

_AT_ONCE = 16
_ATTEMPTS = 8
_REFUSED = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429


# Its description of S3 is large, and read once. What this machine has set up for AWS is not for R2.
_UNSET = (None, None, None, None)
_SESSION = Session(session_vars={"profile": _UNSET, "config_file": _UNSET, "credentials_file": _UNSET})


class TooSoonError(Exception):
    """The bucket takes no more writes of a key just now."""


def bucket_name(config: WranglerConfig) -> str:
    """Return the name of the bucket that keeps pages; raise ConfigurationError if the configuration has none."""
    name = config.r2_buckets.get(R2_BINDING)
    if name is None:
        where = f"{config.path}{f' (environment {config.environment})' if config.environment else ''}"
        raise ConfigurationError(f"{where} has no R2 bucket bound as {R2_BINDING}; add [[r2_buckets]] with that binding")
    return name


async def open_bucket(cloudflare: Cloudflare, account: str, config: WranglerConfig) -> RemoteBucket:
    """Return the bucket that the configuration binds, opened with the client's token; raises RemoteError.

    The token is also the key of the S3 interface (https://developers.cloudflare.com/r2/api/tokens/).
    """
    name = bucket_name(config)
    jurisdiction = config.r2_jurisdictions.get(R2_BINDING)
    host = f"{account}.{jurisdiction}" if jurisdiction else account
    url = os.environ.get(R2_URL_VARIABLE) or f"https://{host}.r2.cloudflarestorage.com"
    key_id = await _token_id(cloudflare, account)
    secret = hashlib.sha256(os.environ[TOKEN_VARIABLE].strip().encode()).hexdigest()
    return RemoteBucket(name, account, url, key_id, secret)


async def _token_id(cloudflare: Cloudflare, account: str) -> str:
    """Return the ID of the token, which a user has made or an account has."""
    response = await cloudflare.send("GET", "/user/tokens/verify")
    if not response.is_success:
        response = await cloudflare.send("GET", f"/accounts/{quote(account, safe='')}/tokens/verify")
    return str(cloudflare.document(response, "looking up the token's ID, which R2 asks for")["result"]["id"])


class RemoteBucket:
    """A bucket whose objects are as the Worker's own binding writes them: what KV has as metadata is custom metadata.

    Failures are retried; RemoteError is raised for those that stay.
    """

    def __init__(self, name: str, account: str, url: str, key_id: str, secret: str) -> None:
        config = Config(
            region_name="auto",
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            # R2 knows fewer checksums than S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=_AT_ONCE,
        )
        self._client = _SESSION.create_client(
            "s3", endpoint_url=url, config=config, aws_access_key_id=key_id, aws_secret_access_key=secret
        )
        self._threads = ThreadPoolExecutor(_AT_ONCE, "r2")
        self._bucket = name
        self._account = account
        self.name = f"bucket {name} of account {account}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    async def put(self, key: str, value: bytes, metadata: str | None) -> None:
        """Write an object; raises TooSoonError if its key was written just now."""
        # A header takes ASCII only, and JSON can be written in it.
        text = None if metadata is None else json.dumps(json.loads(metadata), separators=(",", ":"))
        custom = {} if text is None else {"Metadata": {METADATA_NAME: text}}
        await self._ask("put_object", f"writing to {self.name}", Key=key, Body=value, **custom)

    async def get(self, key: str) -> KVWhole | None:
        """Return an object with its metadata, None if there is none."""
        return await self._run(self._get, key)

    async def names(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key with a prefix, in order."""
        parameters = {"Prefix": prefix}
        while True:
            answer = await self._ask("list_objects_v2", f"listing {self.name}", **parameters)
            for row in answer.get("Contents", ()):
                yield row["Key"]
            if not answer.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    async def delete_bulk(self, keys: Sequence[str]) -> None:
        """Delete keys, whether they exist or not. A request for each: R2 does not charge them, and they need no checksum."""
        await asyncio.gather(*(self._ask("delete_object", f"deleting from {self.name}", Key=key) for key in keys))

    async def _ask(self, operation: str, what: str, **parameters: object) -> dict[str, Any]:
        return await self._run(self._answer, operation, what, parameters)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *arguments))

    def _get(self, key: str) -> KVWhole | None:
        what = f"reading from {self.name}"
        try:
            answer = self._answer("get_object", what, {"Key": key})
            value = answer["Body"].read()
        except _NoObjectError:
            return None
        except BotoCoreError as error:
            raise self._failure(what, error) from error
        text = answer["Metadata"].get(METADATA_NAME)
        return KVWhole(None if text is None else str(make_header(decode_header(text))), BytesBody(value))

    def _answer(self, operation: str, what: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(Bucket=self._bucket, **parameters)
        except ClientError as error:
            raise self._refusal(what, error) from error
        except BotoCoreError as error:
            raise self._failure(what, error) from error
        return answer

    def _failure(self, what: str, error: BotoCoreError) -> RemoteError:
        return RemoteError(f"{what}: R2 cannot be reached ({error}); check the network, then run the command again to continue")

    def _refusal(self, what: str, error: ClientError) -> Exception:
        """Return the error for an answer that is not a success."""
        status, said = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response.get("Error", {})
        code = said.get("Code")
        if code == "NoSuchKey":
            return _NoObjectError()
        if code == "NoSuchBucket":
            return RemoteError(no_such_bucket(self._bucket, self._account))
        if status in _REFUSED:
            return RemoteError(
                f"{what}: R2 refuses the token ({code}); give that of {TOKEN_VARIABLE} Workers R2 Storage: Edit for this account"
            )
        if status == _TOO_MANY_REQUESTS:
            return TooSoonError(f"R2 takes no more writes just now ({code})")
        return RemoteError(f"{what}: R2 answered with status {status}: {said.get('Message')} ({code}); run the command again")


class _NoObjectError(Exception):
    """The bucket has no such object."""


def no_such_bucket(bucket: str, account: str) -> str:
    """Return what to do about a bucket that is not there."""
    return f"the account {account} has no R2 bucket {bucket}; create it with `npx wrangler r2 bucket create {bucket}`"
