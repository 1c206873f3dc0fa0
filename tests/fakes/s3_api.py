"""R2's S3 interface, as far as buckets with pages need it; part of `tests.fakes.cloudflare`.

Checks each request's signature by the rules of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
The limits are R2's: https://developers.cloudflare.com/r2/platform/limits/.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_KEY_BYTES = 1024
_MAX_METADATA_BYTES = 8192
_METADATA = "x-amz-meta-"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class StoredObject:
    value: bytes
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class BucketAPI:
    """`buckets` is what is kept, by the bucket's name; `refusals` are the codes with which the next requests fail, one each.

    Names of headers are in lower case.
    """

    key_id: str
    token: str
    buckets: dict[str, dict[str, StoredObject]] = field(default_factory=dict)
    page_size: int = 1000
    keeps_values: bool = True
    refusals: list[tuple[int, str]] = field(default_factory=list)

    def answer(  # noqa: PLR0911 - a case for each operation
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        parts = urlsplit(target)
        if not self._is_signed(method, parts.path, parts.query, headers, body):
            return _refusal(403, "SignatureDoesNotMatch")
        if self.refusals:
            return _refusal(*self.refusals.pop(0))
        name, _, key = unquote(parts.path[1:]).partition("/")
        bucket = self.buckets.get(name)
        if bucket is None:
            return _refusal(404, "NoSuchBucket")
        if not key:
            return self._list(bucket, dict(parse_qsl(parts.query)))
        match method:
            case "PUT":
                return self._put(bucket, key, headers, body)
            case "GET" if key in bucket:
                stored = bucket[key]
                return 200, {_METADATA + name: value for name, value in stored.metadata.items()}, stored.value
            case "GET":
                return _refusal(404, "NoSuchKey")
            case "DELETE":
                bucket.pop(key, None)
                return 204, {}, b""
        return _refusal(501, "NotImplemented")

    def _put(self, bucket: dict[str, StoredObject], key: str, headers: Mapping[str, str], body: bytes) -> Answer:
        metadata = {name.removeprefix(_METADATA): value for name, value in headers.items() if name.startswith(_METADATA)}
        if len(key.encode()) > _MAX_KEY_BYTES:
            return _refusal(400, "KeyTooLongError")
        if sum(map(len, (*metadata, *metadata.values()))) > _MAX_METADATA_BYTES:
            return _refusal(400, "MetadataTooLarge")
        if self.keeps_values:
            bucket[key] = StoredObject(body, metadata)
        return 200, {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}, b""

    def _list(self, bucket: dict[str, StoredObject], query: dict[str, str]) -> Answer:
        after = query.get("continuation-token", "")
        names = sorted(name for name in bucket if name.startswith(query.get("prefix", "")) and name > after)
        page = names[: self.page_size]
        is_cut = len(page) < len(names)
        rows = "".join(f"<Contents><Key>{escape(quote(name))}</Key></Contents>" for name in page)
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_cut else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<EncodingType>url</EncodingType><IsTruncated>{str(is_cut).lower()}</IsTruncated>{more}{rows}</ListBucketResult>"
        )
        assert query.get("encoding-type") == "url", "keys that XML cannot hold would be lost"
        return 200, {"Content-Type": "application/xml"}, text.encode()

    def _is_signed(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> bool:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        fields = dict(item.strip().split("=", 1) for item in rest.split(",")) if scheme == "AWS4-HMAC-SHA256" else {}
        key_id, _, scope = fields.get("Credential", "").partition("/")
        if key_id != self.key_id or hashlib.sha256(body).hexdigest() != headers.get("x-amz-content-sha256"):
            return False
        signed = fields["SignedHeaders"].split(";")
        lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed)
        pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join(
            (
                method,
                path,
                "&".join(f"{name}={value}" for name, value in pairs),
                lines,
                fields["SignedHeaders"],
                headers["x-amz-content-sha256"],
            )
        )
        text = "\n".join(
            ("AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
        ).encode()
        key = b"AWS4" + hashlib.sha256(self.token.encode()).hexdigest().encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(hmac.digest(key, text, "sha256").hex(), fields["Signature"])


def _refusal(status: int, code: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>made to fail</Message></Error>'
    return status, {"Content-Type": "application/xml"}, text.encode()
