"""Listings of the embedded S3 name keys URL-encoded when they are asked to, as S3 does.

The emulator encodes in ListObjects only. A key with a control character then makes an answer that is no XML, so that
nothing in the bucket can be listed (Amazon S3 API Reference, ListObjectVersions and ListMultipartUploads,
``encoding-type``). ``tests/component/operations/test_emptying.py`` empties such a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

_ENCODED = frozenset({"Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker"})
_asked: ContextVar[bool] = ContextVar("asked for URL-encoded keys", default=False)
Listing = Callable[[str, Mapping[str, Any]], Any]


def close() -> None:
    """Put the repair into the running ministack."""
    from ministack.services import s3  # type: ignore[import-untyped]

    s3._list_object_versions = noting_encoding(s3._list_object_versions, s3._qp)
    s3._list_multipart_uploads = noting_encoding(s3._list_multipart_uploads, s3._qp)
    s3._xml_body = encoding_keys(s3._xml_body)


def noting_encoding(original: Listing, parameter: Callable[..., str]) -> Listing:
    """``original``, whose answer is written with encoded keys when the request asks for that."""

    def listing(bucket: str, query: Mapping[str, Any]) -> Any:
        before = _asked.set(parameter(query, "encoding-type", "") == "url")
        try:
            return original(bucket, query)
        finally:
            _asked.reset(before)

    return listing


def encoding_keys(original: Callable[[Element], Any]) -> Callable[[Element], Any]:
    """``original``, which writes an answer; keys and what is made of keys are encoded first when that was asked."""

    def write(root: Element) -> Any:
        if _asked.get():
            for element in root.iter():
                if element.tag in _ENCODED and element.text:
                    element.text = quote(element.text, safe="/")
            SubElement(root, "EncodingType").text = "url"
        return original(root)

    return write
