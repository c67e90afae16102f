"""Patches of the emulator's S3: bucket owners, listings, copies, uploads in parts, answers.

AWS's behaviour (Amazon S3 API Reference and S3 User Guide; AWS's recorded answers are in localstack's
``tests/aws/services/s3/*.snapshot.json``):

Buckets
- A request with an expected bucket owner is refused when the bucket belongs to another account. The same holds for the
  source of a copy ("Verifying bucket ownership with bucket owner condition").

Listings
- Keys are URL-encoded on request, in ListObjectVersions and ListMultipartUploads too. Otherwise a key with a control
  character gives an invalid XML.
- A page may end early ("The response might contain fewer keys but will never contain more"). Here each page except the
  last has one entry fewer, so a caller that counts entries instead of following the marker misses some.
- Versions and common prefixes have one order. A prefix at the end of a page is its NextKeyMarker, without a version,
  and is not repeated. A version marker needs a key marker.

Copies
- A copy's etag is the MD5 of its contents, and its checksum is of the whole object, however its source was uploaded.
- A copy is ``STANDARD`` unless the request has a class. Conditions on the destination apply.
- A copy of an object to itself without a change is refused, and so is a copy of a delete marker ("CopyObject").
- The version ``null`` is copied by its id, with its tags ("Working with objects in a versioning-enabled bucket").

Uploads in parts
- All parts except the last have at least 5 MiB, and are named in order ("Multipart upload limits").
- The tags of CreateMultipartUpload become the object's, for replication too.
- Checksums are of the parts (``COMPOSITE``) or of the whole object (``FULL_OBJECT``), by the upload's type and
  algorithm. Copied parts have checksums. A ``COMPOSITE`` upload is completed with the checksum of each part ("Checking
  object integrity for data uploads").

Objects
- An object that was written without a checksum has a CRC64NVME. It is computed here on first request, and only up to 8
  MiB: the emulator takes 0.1 s for each MiB, and other requests would have to wait.
- With KMS encryption an etag is not an MD5, and differs for each version ("Object").
- An overwritten object loses its tags, unless it is kept as a version.
- Tags of a version can be read and set while a delete marker is current. For a delete marker itself the answer is 405.
- A named version can be read by range.
- In a bucket with suspended versioning, a write returns the version ``null``.

``tests/component/test_s3_gaps.py`` and ``test_ownership_gaps.py`` fail when the emulator no longer needs a patch.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote
from xml.etree.ElementTree import Element, SubElement, fromstring

from regionshift.carriers.transport import COPY_SOURCE, EXPECTED, EXPECTED_OF_SOURCE
from regionshift.local.kms_gaps import ALGORITHM, is_kms

Record = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Answer]
Owner = Callable[[str], str | None]
"""Returns the account that owns a bucket; None when it does not exist."""

SMALLEST_PART = 5 * 1024**2
_MOST_TAGS = 10
_STORAGE_CLASS = "x-amz-storage-class"
_CHECKSUM_TYPE = "x-amz-checksum-type"
_FULL, _OF_PARTS = "FULL_OBJECT", "COMPOSITE"
_TYPES = {"CRC64NVME": (_FULL,), "CRC32": (_OF_PARTS, _FULL), "CRC32C": (_OF_PARTS, _FULL)}
_DEFAULT_CHECKSUM = "CRC64NVME"
_MOST_FOR_CHECKSUM = 8 * 1024**2
_ETAG = re.compile(rb"(?<=<ETag>).*?(?=</ETag>)")
# Headers that make a copy of an object to itself a change, besides the directive REPLACE.
_CHANGES = (_STORAGE_CLASS, ALGORITHM, "x-amz-website-redirect-location")
_CHANGES_NOTHING = (
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's"
    " metadata, storage class, website redirect location or encryption attributes."
)
_NOT_ALLOWED = "The specified method is not allowed against this resource."


class UploadEnding(NamedTuple):
    """An upload that is being completed: its tags, and the algorithm of its full-object checksum."""

    tags: dict[str, str] | None
    algorithm: str


_ending: ContextVar[UploadEnding | None] = ContextVar("the upload that is being ended", default=None)


def close() -> None:
    """Patch the running ministack, before the patches of replication."""
    from ministack.services import s3  # type: ignore[import-untyped]

    objects = EmulatedObjects(s3)
    s3._apply_bucket_scope = with_owners(s3._apply_bucket_scope, s3._bucket_owner_account, s3._error)
    s3._list_object_versions = EmulatedVersions(s3).page
    for name in ("_list_objects_v1", "_list_objects_v2"):
        setattr(s3, name, ending_early(getattr(s3, name), s3._qp))
    s3._list_multipart_uploads = ending_early(
        noting_encoding(s3._list_multipart_uploads, s3._qp), s3._qp, "max-uploads"
    )
    s3._xml_body = encoding_keys(s3._xml_body)
    s3._record_object_version = objects.record
    s3._object_response_headers = objects.with_checksum(s3._object_response_headers)
    s3._get_object = objects.in_ranges(s3._get_object)
    s3._put_object = objects.telling(s3._put_object)
    s3._copy_object = objects.telling(objects.copying(s3._copy_object))
    s3._upload_part_copy = objects.copying_part(s3._upload_part_copy)
    s3._create_multipart_upload = objects.beginning(s3._create_multipart_upload)
    s3._complete_multipart_upload = objects.ending(objects.telling(s3._complete_multipart_upload))
    for name, method in (
        ("_get_object_tagging", "GET"),
        ("_put_object_tagging", "PUT"),
        ("_delete_object_tagging", "DELETE"),
    ):
        setattr(s3, name, objects.of_any_version(getattr(s3, name), method))


def with_owners(
    original: Callable[..., Any], owner_of: Owner, refuse: Callable[..., Any]
) -> Callable[..., Any]:
    """Wrap the check of a request's bucket: refuse a bucket of another account than expected."""

    def scope(method: str, bucket: str, key: str, headers: Mapping[str, str], *rest: Any, **more: Any) -> Any:
        if is_strangers(bucket, headers, owner_of):
            return refuse("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}" if key else f"/{bucket}")
        return original(method, bucket, key, headers, *rest, **more)

    return scope


def is_strangers(bucket: str, headers: Mapping[str, str], owner_of: Owner) -> bool:
    """Whether a bucket of the request belongs to another account than its headers expect."""
    source = unquote(headers.get(COPY_SOURCE, "").partition("?")[0]).lstrip("/").partition("/")[0]
    expected = ((bucket, headers.get(EXPECTED)), (source, headers.get(EXPECTED_OF_SOURCE)))
    return any(
        account is not None and owner_of(name) not in (None, account) for name, account in expected if name
    )


def tags_of_upload() -> dict[str, str] | None:
    """Return the tags of the upload that is being completed; None when there is none, or it has no tags."""
    ending = _ending.get()
    return ending.tags if ending else None


def _no_md5() -> str:
    """Return an etag that is not an MD5, and can be recognised as such: an MD5 takes 0.2 s for 128 MB."""
    half = secrets.token_hex(8)
    return half + hashlib.blake2b(half.encode(), digest_size=8).hexdigest()


def _is_no_md5(etag: str) -> bool:
    """Whether it is the etag of an upload in parts, or of an object with KMS encryption."""
    text = etag.strip('"')
    return "-" in text or hashlib.blake2b(text[:16].encode(), digest_size=8).hexdigest() == text[16:]


class EmulatedObjects:
    """Writes, copies, uploads and reads of objects, with the emulator's module ``s3``."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._record: Callable[..., str | None] = s3._record_object_version
        self._known: dict[tuple[str, bytes], str] = {}

    def record(self, bucket: str, key: str, prior: Record | None, obj: Record, data: bytes) -> str | None:
        """Record a write to ``key``, with AWS's etag and checksum."""
        ending, in_parts = _ending.get(), "parts" in obj
        if is_kms(obj):
            parts = f"-{len(obj['parts'])}" if in_parts else ""
            obj["etag"] = f'"{_no_md5()}{parts}"'
        elif not in_parts and _is_no_md5(obj["etag"]):  # a copy has the etag of its source
            obj["etag"] = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        if ending and ending.algorithm:
            obj["checksums"] = {ending.algorithm: self._checksum(ending.algorithm, data)}
        elif not in_parts:
            obj["checksums"] = {
                name: self._checksum(name, data) if "-" in value else value
                for name, value in obj.get("checksums", {}).items()
            }
        if self._s3._bucket_versioning.get(bucket) != "Enabled":
            self._s3._object_tags.pop((bucket, key, None), None)
        return self._record(bucket, key, prior, obj, data)

    def with_checksum(self, original: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
        """Wrap an object's headers: there is always a checksum when it is requested."""

        def headers(
            obj: Record, bucket_name: str = "", key: str = "", include_checksums: bool = False
        ) -> dict[str, str]:
            has_none = include_checksums and bucket_name and not obj.get("checksums")
            if has_none and obj["size"] <= _MOST_FOR_CHECKSUM:
                kept = {"version_id": obj.get("version_id") or "null", "data": obj.get("body")}
                body = self._s3._version_body(self._s3._buckets[bucket_name], bucket_name, key, kept) or b""
                obj = {**obj, "checksums": {_DEFAULT_CHECKSUM: self._checksum(_DEFAULT_CHECKSUM, body)}}
            found = original(obj, bucket_name, key, include_checksums)
            if _CHECKSUM_TYPE in found:
                found[_CHECKSUM_TYPE] = type_of(obj["checksums"])
            return found

        return headers

    def in_ranges(self, original: Handler) -> Handler:
        """Wrap GetObject: a named version can be read by range."""

        def get(bucket: str, key: str, headers: Mapping[str, str], query: Any = None) -> Answer:
            status, found, body = original(bucket, key, headers, query)
            asked = headers.get("range", "")
            if status != 200 or not asked:
                return status, found, body
            span = self._s3._parse_range(asked, len(body))
            if span is None:
                outside = self._s3._xml_body(self._s3._range_error_xml(bucket, key))
                return (
                    416,
                    {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"},
                    outside,
                )
            first, last = span
            part = body[first : last + 1]
            kept = {name: value for name, value in found.items() if "checksum" not in name}
            place = {"Content-Length": str(len(part)), "Content-Range": f"bytes {first}-{last}/{len(body)}"}
            return 206, kept | place, part

        return get

    def telling(self, original: Handler) -> Handler:
        """Wrap a write: the answer has the object's etag, checksum and version."""

        def write(bucket: str, key: str, *more: Any) -> Answer:
            status, headers, body = original(bucket, key, *more)
            obj = self._s3._buckets.get(bucket, {}).get("objects", {}).get(key)
            if status != 200 or obj is None:
                return status, headers, body
            if "ETag" in headers:
                headers["ETag"] = obj["etag"]
            body = _ETAG.sub(obj["etag"].replace('"', "&quot;").encode(), body)
            if body and obj["checksums"] and b"<ChecksumType>" not in body:
                told = {f"Checksum{name}": value for name, value in obj["checksums"].items()}
                body = with_elements(body, {**told, "ChecksumType": type_of(obj["checksums"])})
            if self._s3._bucket_versioning.get(bucket) == "Suspended":
                headers["x-amz-version-id"] = "null"
            return status, headers, body

        return write

    def copying(self, original: Handler) -> Handler:
        """Wrap CopyObject: apply AWS's refusals."""

        def copy(bucket: str, key: str, headers: Mapping[str, str]) -> Answer:
            target = self._s3._buckets.get(bucket)
            problem = self._refused(bucket, key, headers)
            if problem is None and target is not None:
                problem = self._s3._check_put_preconditions(headers, target["objects"].get(key))
            if problem is not None:
                return problem
            with self._null_version(headers) as meant:
                return original(bucket, key, {_STORAGE_CLASS: "STANDARD", **meant})

        return copy

    def copying_part(self, original: Handler) -> Handler:
        """Wrap UploadPartCopy: the part has the checksum of its upload's algorithm."""

        def copy(bucket: str, key: str, query: Any, headers: Mapping[str, str]) -> Answer:
            with self._null_version(headers) as meant:
                status, found, body = original(bucket, key, query, meant)
            if status != 200:
                return status, found, body
            upload = self._s3._multipart_uploads[self._s3._qp(query, "uploadId")]
            part = upload["parts"][int(self._s3._qp(query, "partNumber"))]
            name = upload.get("checksum_algorithm")
            if name:
                part["checksums"] = {name: self._checksum(name, part["body"])}
                body = with_elements(body, {f"Checksum{name}": part["checksums"][name]})
            return status, found, body

        return copy

    def beginning(self, original: Handler) -> Handler:
        """Wrap CreateMultipartUpload: keep the tags and the checksum type."""

        def begin(bucket: str, key: str, headers: Mapping[str, str]) -> Answer:
            name = headers.get("x-amz-checksum-algorithm", "").upper()
            kind = headers.get(_CHECKSUM_TYPE, "").upper()
            possible = _TYPES.get(name, (_OF_PARTS,))
            tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
            if kind and not name:
                return self._invalid(
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                )
            if kind and kind not in possible:
                return self._invalid(
                    f"The {kind} checksum type cannot be used with the {name.lower()} checksum algorithm."
                )
            if len(tags) > _MOST_TAGS:
                return self._error("BadRequest", f"Object tags cannot be greater than {_MOST_TAGS}")
            status, found, body = original(bucket, key, headers)
            made = re.search(rb"<UploadId>(.*?)</UploadId>", body)
            if status == 200 and made:
                upload = self._s3._multipart_uploads[made[1].decode()]
                upload |= {"tags": tags or None, "checksum_type": kind or possible[0]}
                if name:
                    found[_CHECKSUM_TYPE] = upload["checksum_type"]
            return status, found, body

        return begin

    def ending(self, original: Handler) -> Handler:
        """Wrap CompleteMultipartUpload: refuse small parts, wrong order and missing checksums."""

        def end(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Answer:
            name = self._s3._qp(query, "uploadId")
            upload = self._s3._multipart_uploads.get(name)
            if upload is None or (upload["bucket"], upload["key"]) != (bucket, key):
                return original(bucket, key, body, query, headers)
            problem = self._incomplete(upload, body)
            if problem is not None:
                return problem
            algorithm = upload.get("checksum_algorithm")
            whole = algorithm if upload.get("checksum_type") == _FULL else None
            if whole:
                upload["checksum_algorithm"] = None  # the emulator would compute it from the parts
            before = _ending.set(UploadEnding(upload.get("tags"), whole or ""))
            try:
                answer = original(bucket, key, body, query, headers)
            finally:
                _ending.reset(before)
                upload["checksum_algorithm"] = algorithm
            if answer[0] == 200:
                self._s3._completed_multipart_uploads[name]["response"] = answer
                if upload.get("tags"):
                    holder = self._s3._buckets[bucket]
                    version = holder["objects"][key].get("version_id")
                    self._s3._object_tags[(bucket, key, version)] = upload["tags"]
                    self._s3._persist_version_state(bucket, key, holder)
            return answer

        return end

    def of_any_version(self, original: Handler, method: str) -> Handler:
        """Wrap an operation on tags: allow versions behind a delete marker."""

        def handle(bucket: str, key: str, *more: Any) -> Answer:
            holder, version = self._s3._buckets.get(bucket), self._s3._qp(more[-1] or {}, "versionId", "")
            history = self._s3._object_versions.get((bucket, key)) or []
            if holder is None or key in holder["objects"]:
                hidden = False
                named = next((each for each in history if each["version_id"] == version), None)
            else:
                hidden = bool(version)
                named = next(
                    (each for each in reversed(history) if version in ("", each["version_id"])), None
                )
            if named is not None and named.get("is_delete_marker"):
                return self._of_marker(named, method)
            if not hidden or named is None:
                return original(bucket, key, *more)
            shown = {**holder, "objects": ChainMap({key: named}, holder["objects"])}
            code: Any = original.__code__
            seeing: Any = FunctionType(code, {**vars(self._s3), "_ensure_bucket": lambda _: shown})
            found: Answer = seeing(bucket, key, *more)
            return found

        return handle

    def _of_marker(self, marker: Record, method: str) -> Answer:
        told = {"Method": method, "ResourceType": "DeleteMarker"}
        headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker["version_id"], "Allow": "DELETE"}
        return self._error("MethodNotAllowed", _NOT_ALLOWED, 405, told, headers)

    def _refused(self, bucket: str, key: str, headers: Mapping[str, str]) -> Answer | None:
        source, name, version = source_of(headers)
        history = self._s3._object_versions.get((source, name)) or []
        if any(each["version_id"] == version and each.get("is_delete_marker") for each in history):
            return self._invalid(
                "The source of a copy request may not specifically refer to a delete marker by version id."
            )
        replaces = headers.get("x-amz-metadata-directive", "").upper() == "REPLACE"
        changes = replaces or any(each in headers for each in _CHANGES)
        # As recorded on AWS: the bucket's own encryption counts as a change.
        if (source, name, version) != (bucket, key, "") or changes or self._s3._bucket_encryption.get(bucket):
            return None
        return self._invalid(_CHANGES_NOTHING) if self._holds(bucket, key) else None

    def _holds(self, bucket: str, key: str) -> bool:
        return key in self._s3._buckets.get(bucket, {}).get("objects", {})

    @contextmanager
    def _null_version(self, headers: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
        """Yield the headers of a copy in the emulator's form. It does not know the version id ``null``."""
        bucket, key, version = source_of(headers)
        history = self._s3._object_versions.get((bucket, key)) or []
        if version != "null":
            yield headers
        elif not any(each["version_id"] == version for each in history):
            current = self._s3._buckets.get(bucket, {}).get("objects", {}).get(key)
            plain = current is not None and not current.get("version_id")
            yield {**headers, COPY_SOURCE: headers[COPY_SOURCE].partition("?")[0]} if plain else headers
        else:
            tags = self._s3._object_tags
            if kept := tags.get((bucket, key, None)):
                tags[(bucket, key, version)] = kept
            try:
                yield headers
            finally:
                tags.pop((bucket, key, version), None)

    def _incomplete(self, upload: Record, body: bytes) -> Answer | None:
        """Return the refusal of a completion, or None. The emulator itself handles invalid XML and missing parts."""
        try:
            named = [
                {_plain(child.tag): child.text or "" for child in part} for part in _parts(fromstring(body))
            ]
        except SyntaxError:
            return None
        numbers = [int(part.get("PartNumber", "0")) for part in named]
        if not numbers:
            return self._invalid("You must specify at least one part")
        if numbers != sorted(set(numbers)):
            return self._error(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part number.",
            )
        if any(number not in upload["parts"] for number in numbers):
            return None
        algorithm = upload.get("checksum_algorithm")
        if algorithm and upload.get("checksum_type") == _OF_PARTS:
            for part in named:
                if not part.get(f"Checksum{algorithm}"):
                    return self._invalid(
                        f"The upload was created using a {algorithm.lower()} checksum. The complete request must"
                        f" include the checksum for each part. It was missing for part {part['PartNumber']} in the"
                        " request."
                    )
        for number in numbers[:-1]:
            part = upload["parts"][number]
            if part["size"] < SMALLEST_PART:
                told = {
                    "ETag": part["etag"].strip('"'),
                    "MinSizeAllowed": str(SMALLEST_PART),
                    "PartNumber": str(number),
                    "ProposedSize": str(part["size"]),
                }
                said = "Your proposed upload is smaller than the minimum allowed size"
                return self._error("EntityTooSmall", said, extra=told)
        return None

    def _checksum(self, name: str, data: bytes) -> str:
        """Return a checksum. It is computed once for the same contents, because it can take 0.1 s for each MiB."""
        which = (name, hashlib.sha256(data).digest())
        if which not in self._known:
            self._known[which] = self._s3._compute_s3_checksum(name, data)
        return self._known[which]

    def _invalid(self, message: str) -> Answer:
        return self._error("InvalidRequest", message)

    def _error(
        self,
        code: str,
        message: str,
        status: int = 400,
        extra: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer: Answer = self._s3._error(code, message, status, extra=extra, headers=headers)
        return answer


def type_of(checksums: Mapping[str, str]) -> str:
    """Return the type of checksums. Those of parts end in the number of parts."""
    return _OF_PARTS if any("-" in value for value in checksums.values()) else _FULL


def source_of(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return bucket, key and version of a copy's source; the version is empty when none is named."""
    path, _, query = headers.get(COPY_SOURCE, "").partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    return bucket, key, dict(parse_qsl(query)).get("versionId", "")


def with_elements(body: bytes, told: Mapping[str, str]) -> bytes:
    """Return an answer with more elements at the end of its root."""
    head, end = body.rsplit(b"</", 1)
    more = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return head + more.encode() + b"</" + end


def _parts(root: Element) -> list[Element]:
    return [each for each in root.iter() if _plain(each.tag) == "Part"]


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


class EmulatedVersions:
    """ListObjectVersions of the emulator's module ``s3``."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def page(self, bucket: str, query: Mapping[str, Any]) -> Answer:
        """Return one page."""
        names = ("prefix", "delimiter", "key-marker", "version-id-marker", "encoding-type")
        prefix, delimiter, after, version, encoding = (self._s3._qp(query, name, "") for name in names)
        most = int(self._s3._qp(query, "max-keys", "1000"))
        holder = self._s3._buckets.get(bucket)
        if holder is None:
            return self._s3._no_such_bucket(bucket)  # type: ignore[no-any-return]
        if version and not after:
            refusal: Answer = self._s3._error(
                "InvalidArgument", "A version-id marker cannot be specified without a key marker.", 400
            )
            return refusal
        shown: list[tuple[str, Record | None]] = []
        truncated = False
        for entry in self._entries(bucket, holder["objects"], prefix, delimiter, (after, version)):
            if truncated := len(shown) >= most:
                break
            shown.append(entry)
        if truncated and len(shown) > 1:
            shown.pop()
        root = Element("ListVersionsResult", xmlns=self._s3.S3_NS)
        told = {"Name": bucket, "Prefix": prefix, "KeyMarker": after, "VersionIdMarker": version}
        told |= {"MaxKeys": str(most), "IsTruncated": str(truncated).lower()}
        if delimiter:
            told["Delimiter"] = delimiter
        if truncated and shown:
            key, last = shown[-1]
            told["NextKeyMarker"] = key
            if last is not None:
                told["NextVersionIdMarker"] = last["version_id"] or "null"
        _add(root, told)
        owner = self._s3._canonical_owner_id()
        for key, found in shown:
            if found is None:
                SubElement(SubElement(root, "CommonPrefixes"), "Prefix").text = key
            else:
                self._add_version(root, key, found, owner)
        before = _asked.set(encoding == "url")
        try:
            return 200, {"Content-Type": "application/xml"}, self._s3._xml_body(root)
        finally:
            _asked.reset(before)

    def _entries(
        self, bucket: str, objects: Mapping[str, Record], prefix: str, delimiter: str, after: tuple[str, str]
    ) -> Iterator[tuple[str, Record | None]]:
        """Yield (key, version) newest first for each key, and (common prefix, None), in order, after ``after``."""
        marker, version = after
        known = [*objects, *(key for where, key in self._s3._object_versions if where == bucket)]
        keys = {key for key in known if key > marker and key.startswith(prefix)}
        if version and marker.startswith(prefix) and marker in known:
            keys.add(marker)
        group = ""
        for key in sorted(keys):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                if (folder := prefix + head + delimiter) != group and not marker.startswith(folder):
                    yield folder, None
                group = folder
                continue
            history = [*reversed(self._s3._object_versions.get((bucket, key)) or [])]
            if not history:
                history = [{**objects[key], "is_latest": True}]
            if key == marker:
                ids = [each["version_id"] for each in history]
                history = history[ids.index(version) + 1 :] if version in ids else []
            for each in history:
                yield key, each

    def _add_version(self, root: Element, key: str, found: Record, owner: str) -> None:
        marker = found.get("is_delete_marker")
        element = SubElement(root, "DeleteMarker" if marker else "Version")
        told = {"Key": key, "VersionId": found.get("version_id") or "null"}
        told["IsLatest"] = "true" if found["is_latest"] else "false"
        told["LastModified"] = found["last_modified"]
        if not marker:
            told["ETag"] = found["etag"]
            told["Size"] = str(found["size"])
            told["StorageClass"] = found.get("storage_class") or "STANDARD"
        _add(element, told)
        SubElement(SubElement(element, "Owner"), "ID").text = owner


def _add(element: Element, told: Mapping[str, str]) -> None:
    for name, text in told.items():
        SubElement(element, name).text = text


_ENCODED = frozenset({"Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker"})
_asked: ContextVar[bool] = ContextVar("asked for URL-encoded keys", default=False)
Listing = Callable[[str, Mapping[str, Any]], Any]


def ending_early(original: Listing, parameter: Callable[..., str], most: str = "max-keys") -> Listing:
    """Wrap a list: all pages except the last have one entry fewer."""

    def listing(bucket: str, query: Mapping[str, Any]) -> Any:
        wanted = int(parameter(query, most, "1000"))
        if wanted < 2:
            return original(bucket, query)
        status, headers, body = original(bucket, {**query, most: [str(wanted - 1)]})
        element = "".join(word.capitalize() for word in most.split("-"))
        told = f"<{element}>{wanted}</{element}>".encode()
        return status, headers, body.replace(f"<{element}>{wanted - 1}</{element}>".encode(), told)

    return listing


def noting_encoding(original: Listing, parameter: Callable[..., str]) -> Listing:
    """Wrap a list: keep in a context variable whether URL-encoded keys are requested."""

    def listing(bucket: str, query: Mapping[str, Any]) -> Any:
        before = _asked.set(parameter(query, "encoding-type", "") == "url")
        try:
            return original(bucket, query)
        finally:
            _asked.reset(before)

    return listing


def encoding_keys(original: Callable[[Element], Any]) -> Callable[[Element], Any]:
    """Wrap the XML of an answer: URL-encode keys and prefixes on request."""

    def write(root: Element) -> Any:
        if _asked.get():
            for element in root.iter():
                if element.tag in _ENCODED and element.text:
                    element.text = quote(element.text, safe="/")
            SubElement(root, "EncodingType").text = "url"
        return original(root)

    return write
