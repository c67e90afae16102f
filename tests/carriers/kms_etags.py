"""Etags as AWS makes them under SSE-KMS: another for every version, and no MD5 (S3 API Reference, "Object").

The embedded AWS gives the MD5 of the contents whatever the encryption. Here its answers are changed on their
way to the transport, those for a migration's records excepted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

from regionshift.carriers.records import OWNED
from regionshift.carriers.transport import Response, S3Request

Once = Callable[[S3Request], Response]
_LISTED = re.compile(rb"(?s)<Version>.*?</Version>")
_ID = re.compile(rb"<VersionId>(.*?)</VersionId>")
_ETAG = re.compile(rb"<ETag>.*?</ETag>")


def under_kms(once: Once, *, checksums: bool = True) -> Once:
    """``once`` with such etags; ``checksums``: whether objects have stored ones, as all newer ones have."""

    def changed(request: S3Request) -> Response:
        if request.key.startswith(OWNED):
            return once(request)
        # The source has the etag of its listing on AWS; here only our own invention would be compared.
        headers = {name: text for name, text in request.headers.items() if "copy-source-if" not in name}
        response = once(replace(request, headers=headers))
        if not request.key and ("versions", "") in request.query:
            return replace(response, body=_LISTED.sub(_relabelled, response.body))
        if request.method in ("GET", "HEAD") and "x-amz-version-id" in response.headers:
            return replace(response, headers=_as_kms(response.headers, checksums))
        return response

    return changed


def _relabelled(listed: re.Match[bytes]) -> bytes:
    found = _ID.search(listed[0])
    assert found
    return _ETAG.sub(b"<ETag>&quot;" + _etag(found[1]).encode() + b"&quot;</ETag>", listed[0])


def _as_kms(headers: dict[str, str] | object, checksums: bool) -> dict[str, str]:
    assert isinstance(headers, dict)
    kept = {name: text for name, text in headers.items() if checksums or "checksum" not in name}
    return kept | {
        "etag": f'"{_etag(headers["x-amz-version-id"].encode())}"',
        "x-amz-server-side-encryption": "aws:kms",
    }


def _etag(version: bytes) -> str:
    return hashlib.md5(version, usedforsecurity=False).hexdigest()
