"""The S3 requests that carrying needs, each a method that takes and gives plain values.

Shapes and names are those of the S3 API Reference.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from regionshift.carriers.s3.pages import (
    Page,
    can_be_in_xml,
    delete_request,
    read_deletions,
    read_names,
    read_page,
    read_tags,
    tagging_request,
)
from regionshift.carriers.transport import Response, S3Error, S3Request, Transport

_MOST_KEYS = 1000
_WITH_RESTORES = {"x-amz-optional-object-attributes": "RestoreStatus"}


@dataclass(frozen=True)
class Bucket:
    """A bucket and the region it is in; ``account``: its owner, when that is not the environment's."""

    region: str
    name: str
    account: str = ""


@dataclass(frozen=True)
class Pinned:
    """One version of one object, with the etag it must have (empty: any)."""

    bucket: Bucket
    key: str
    version: str
    etag: str = ""

    @property
    def copy_headers(self) -> dict[str, str]:
        """What makes a copy take exactly this version."""
        source = f"/{self.bucket.name}/{quote(self.key, safe='/~')}?versionId={quote(self.version, safe='')}"
        headers = {"x-amz-copy-source": source}
        if self.etag:
            headers["x-amz-copy-source-if-match"] = self.etag
        return headers


class Calls:
    """S3 requests over one transport. Thread-safe."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(
        self,
        method: str,
        bucket: Bucket,
        key: str = "",
        query: tuple[tuple[str, str], ...] = (),
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool = True,
        source: Bucket | None = None,
    ) -> Response:
        """One request, repeated by the transport as far as that is safe. ``source``: the bucket copied from."""
        return self.transport.send(
            S3Request(
                method,
                bucket.region,
                bucket.name,
                key,
                query,
                headers or {},
                body,
                repeatable,
                owner=bucket.account,
                source_owner=source.account if source else "",
            )
        )

    def page(
        self,
        bucket: Bucket,
        prefix: str,
        after: tuple[str, str] = ("", ""),
        *,
        delimiter: str = "",
        most: int = _MOST_KEYS,
    ) -> Page:
        """One page of versions of the keys that begin with ``prefix``, from (key, version) ``after`` on."""
        query = [("encoding-type", "url"), ("max-keys", str(min(most, _MOST_KEYS))), ("prefix", prefix)]
        if delimiter:
            query.append(("delimiter", delimiter))
        if after[0]:
            query.append(("key-marker", after[0]))
        if after[1]:
            query.append(("version-id-marker", after[1]))
        # Signing wants the parameters in order of their names.
        answer = self.send("GET", bucket, query=(*sorted(query), ("versions", "")), headers=_WITH_RESTORES)
        return read_page(answer.body)

    def names(self, bucket: Bucket, prefix: str) -> Iterator[str]:
        """Keys of the current objects that begin with ``prefix``."""
        token = ""
        while True:
            query = [("encoding-type", "url"), ("list-type", "2"), ("prefix", prefix)]
            if token:
                query.append(("continuation-token", token))
            found, token = read_names(self.send("GET", bucket, query=tuple(sorted(query))).body)
            yield from found
            if not token:
                return

    def some_names(self, bucket: Bucket, prefix: str, after: str, most: int) -> list[str]:
        """One page of the keys of current objects that begin with ``prefix`` and come behind ``after``."""
        query = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(min(most, _MOST_KEYS)))]
        query.append(("prefix", prefix))
        if after:
            query.append(("start-after", after))
        return read_names(self.send("GET", bucket, query=tuple(query)).body)[0]

    def copy(self, source: Pinned, target: Bucket, key: str, headers: Mapping[str, str]) -> str:
        """CopyObject of one pinned version, up to 5 GB; gives the new version. Not repeated when the answer is lost."""
        answer = self.send(
            "PUT",
            target,
            key,
            headers={**source.copy_headers, **headers},
            repeatable=False,
            source=source.bucket,
        )
        return answer.headers.get("x-amz-version-id", "")

    def delete(self, bucket: Bucket, key: str, version: str = "") -> str:
        """Delete one version, or make a delete marker; gives the marker's id."""
        query = (("versionId", version),) if version else ()
        answer = self.send("DELETE", bucket, key, query, repeatable=bool(version))
        return answer.headers.get("x-amz-version-id", "")

    def delete_versions(self, bucket: Bucket, versions: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Delete (key, version) pairs, up to 1,000 a request; gives {key: why it failed}."""
        failed: dict[str, str] = {}
        named = [pair for pair in versions if can_be_in_xml(pair[0])]
        for start in range(0, len(named), _MOST_KEYS):
            body = delete_request(named[start : start + _MOST_KEYS])
            headers = {"x-amz-checksum-sha256": _sha256(body), "Content-Type": "application/xml"}
            answer = self.send("POST", bucket, query=(("delete", ""),), headers=headers, body=body)
            failed.update(read_deletions(answer.body)[1])
        for key, version in versions:
            if not can_be_in_xml(key):
                try:
                    self.delete(bucket, key, version)
                except S3Error as error:
                    failed[key] = error.message
        return failed

    def head(self, bucket: Bucket, key: str, version: str) -> Mapping[str, str]:
        """Headers of one version, its stored checksums among them; names in lower case."""
        query = (("versionId", version),) if version else ()
        return self.send("HEAD", bucket, key, query, headers={"x-amz-checksum-mode": "ENABLED"}).headers

    def get(
        self, bucket: Bucket, key: str, version: str = "", *, span: tuple[int, int] | None = None
    ) -> Response:
        """One version whole, or its bytes ``span`` (first, last). For what fits in memory."""
        query = (("versionId", version),) if version else ()
        headers = {"Range": f"bytes={span[0]}-{span[1]}"} if span else {"x-amz-checksum-mode": "ENABLED"}
        return self.send("GET", bucket, key, query, headers=headers)

    def acl(self, bucket: Bucket, key: str, version: str) -> bytes:
        """Who may do what with one version, as S3 gives it."""
        return self.send("GET", bucket, key, (("acl", ""), ("versionId", version))).body

    def tags(self, bucket: Bucket, key: str, version: str) -> dict[str, str]:
        """The tags of one version."""
        return read_tags(self.send("GET", bucket, key, (("tagging", ""), ("versionId", version))).body)

    def set_tags(self, bucket: Bucket, key: str, version: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of one version."""
        query = (("tagging", ""), ("versionId", version))
        body = tagging_request(tags)
        headers = {"x-amz-checksum-sha256": _sha256(body), "Content-Type": "application/xml"}
        self.send("PUT", bucket, key, query, headers=headers, body=body)

    def put(
        self, bucket: Bucket, key: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Write an object whose bytes S3 checks on arrival."""
        return self.send(
            "PUT", bucket, key, headers={**(headers or {}), "x-amz-checksum-sha256": _sha256(body)}, body=body
        )

    def configuration(self, bucket: Bucket, name: str) -> bytes | None:
        """A bucket's sub-resource (``versioning``, ``replication``, ...) as S3 gives it; None when unset."""
        try:
            return self.send("GET", bucket, query=((name, ""),)).body
        except S3Error as error:
            if error.status == 404 and error.code != "NoSuchBucket":
                return None
            raise


def _sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
