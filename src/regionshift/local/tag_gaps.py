"""Patches that refuse invalid tags in all services, as AWS does.

A key has 1 to 128 characters and a value at most 256, of letters, digits, spaces and ``_.:/=+-@``. No key begins with
``aws:`` in any case, and no key is repeated in a request (Tagging AWS Resources, "Tag naming limits and requirements").
KMS's messages were recorded on AWS (localstack/localstack, ``tests/aws/services/kms/test_kms``). The codes of the other
services are those of their API references for invalid arguments. Each service itself limits the number of tags.

S3 refuses with InvalidTag, or with InvalidArgument for an invalid header, as recorded on AWS
(``tests/aws/services/s3/test_s3_api``, ``TestS3BucketObjectTagging``). An object has at most ten tags (S3 User Guide,
"Categorizing your storage using tags"); the emulator checks that only in some requests.

``tests/component/test_tag_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import fromstring

CODES: Mapping[str, str] = {
    "ec2": "InvalidParameterValue",
    "events": "ValidationException",
    "iam": "InvalidInput",
    "kms": "TagException",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "monitoring": "InvalidParameterValue",
    "secretsmanager": "InvalidParameterException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "ssm": "ValidationException",
    "states": "ValidationException",
}
"""The error code of each service for an invalid tag."""

_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_MOST_OF_OBJECT = 10
_HEADER = "x-amz-tagging"
_MARKS = frozenset("_.:/=+-@")
_IN_A_QUERY = re.compile(r"((?:.+\.)?Tags?(?:\.member|\.entry)?\.\d+)\.(Key|Value)")
# A quick check, so that code in base64 is not parsed.
_MAY_HAVE_TAGS = re.compile(rb'"[Tt]ags"|Tags?\.')

Tags = Sequence[tuple[str, str]]
Handler = Callable[..., Awaitable[Any]]


def close() -> None:
    """Patch the running ministack."""
    from ministack import app  # type: ignore[import-untyped]
    from ministack.services import ec2, s3  # type: ignore[import-untyped]

    ec2._parse_tag_specs = of_flow_logs(ec2._parse_tag_specs)
    for service in CODES:
        app.SERVICE_HANDLERS[service] = with_rules(app.SERVICE_HANDLERS[service], service)
    for name, reserved in (("_put_bucket_tagging", _OF_SYSTEM), ("_put_object_tagging", _OF_AWS)):
        setattr(s3, name, with_body_rules(getattr(s3, name), reserved, s3))
    for name in ("_put_object", "_copy_object", "_create_multipart_upload"):
        setattr(s3, name, with_header_rules(getattr(s3, name), s3))


def of_flow_logs(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the tagging of new resources of EC2: flow logs have the type ``vpc-flow-log``.

    EC2 API Reference, "TagSpecification", ResourceType. The emulator expects ``flow-log``.
    """

    def tag(parameters: Any, kind: str, *more: Any) -> None:
        original(parameters, "vpc-flow-log" if kind == "flow-log" else kind, *more)

    return tag


def with_rules(handler: Handler, service: str) -> Handler:
    """Wrap the handler of a service: refuse requests with invalid tags."""
    from ministack.core.iam_actions import access_denied_response  # type: ignore[import-untyped]
    from ministack.core.responses import new_uuid  # type: ignore[import-untyped]

    async def answer(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        # The body of an invocation is the function's own event.
        is_event = service == "lambda" and path.endswith("/invocations")
        has_tags = not is_event and _MAY_HAVE_TAGS.search(body)
        problem = fault(tags_of(body)) if has_tags else ""
        if not problem:
            return await handler(method, path, headers, body, query)
        code = "ValidationException" if service == "kms" and "characters" in problem else CODES[service]
        # This function writes any error in the service's protocol.
        _, told, refusal = access_denied_response(
            service, "", "", new_uuid(), error_code=code, message=problem, headers=headers
        )
        return 400, told, refusal

    return answer


def tags_of(body: bytes) -> Tags:
    """Return the tags in a request, which is JSON or a query."""
    if not body.startswith(b"{"):
        found: dict[str, dict[str, str]] = {}
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
            if tag := _IN_A_QUERY.fullmatch(name):
                found.setdefault(tag[1], {})[tag[2]] = value
        return [(tag.get("Key", ""), tag.get("Value", "")) for tag in found.values()]
    try:
        given = json.loads(body)
    except ValueError:
        return []  # the service refuses it
    tags = given.get("Tags", given.get("tags")) or []
    if isinstance(tags, dict):
        return [(str(key), str(value)) for key, value in tags.items()]
    return [
        (str(tag.get("Key", tag.get("TagKey", tag.get("key")))), str(_value(tag)))
        for tag in tags
        if isinstance(tag, dict)
    ]


def _value(tag: Mapping[str, Any]) -> Any:
    return tag.get("Value", tag.get("TagValue", tag.get("value", "")))


def fault(tags: Tags) -> str:
    """Return why AWS refuses the tags; empty when it does not."""
    for key, value in tags:
        if is_reserved(key):
            return "Tags beginning with aws: are reserved"
        if not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            return f"A tag's key has 1 to {_LONGEST_KEY} characters, its value {_LONGEST_VALUE} at most."
        if not has_marks_of_tags(key + value):
            return "A tag has letters, digits, spaces and _.:/=+-@ only."
    return "Duplicate tag keys" if repeated(tags) else ""


def is_reserved(key: str) -> bool:
    """Whether the key is AWS's own."""
    return key.lower().startswith("aws:")


def has_marks_of_tags(text: str) -> bool:
    """Whether tags may have all of these characters."""
    return all(each in _MARKS or unicodedata.category(each)[0] in "LNZ" for each in text)


def repeated(tags: Tags) -> str:
    """Return a repeated key; empty when there is none."""
    return next((key for key, times in Counter(key for key, _ in tags).items() if times > 1), "")


_OF_SYSTEM = "System tags cannot be added/updated by requester"
_OF_AWS = "Your TagKey cannot be prefixed with aws:"
_NO_TAGS = (
    f"The header '{_HEADER}' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name"
    " duplicates."
)
S3Refusal = tuple[str, str, dict[str, str]]
"""Code, message and more elements of the error."""


def fault_in_s3(tags: Tags, reserved: str) -> S3Refusal | None:
    """Return S3's refusal of the tags, or None; ``reserved``: the message for AWS's own keys."""
    if key := repeated(tags):
        return "InvalidTag", "Cannot provide multiple Tags with the same key", {"TagKey": key}
    for key, value in tags:
        if is_reserved(key):
            return "InvalidTag", reserved, {"TagKey": key}
        if not 1 <= len(key) <= _LONGEST_KEY or not has_marks_of_tags(key):
            return "InvalidTag", "The TagKey you have provided is invalid", {"TagKey": key}
        if len(value) > _LONGEST_VALUE or not has_marks_of_tags(value):
            told = {"TagKey": key, "TagValue": value}
            return "InvalidTag", "The TagValue you have provided is invalid", told
    return None


def with_body_rules(original: Callable[..., Any], reserved: str, s3: Any) -> Callable[..., Any]:
    """Wrap an operation of the emulator's ``s3`` with tags in its body: refuse invalid tags."""

    def put(*given: Any) -> Any:
        try:
            root = fromstring(next(each for each in given if isinstance(each, bytes)))
        except SyntaxError:
            return original(*given)
        found = [
            {_plain(child.tag): child.text or "" for child in each}
            for each in root.iter()
            if _plain(each.tag) == "Tag"
        ]
        if any(each.keys() != {"Key", "Value"} for each in found):
            return s3._error("MalformedXML", s3._MALFORMED_XML, 400)
        problem = fault_in_s3([(each["Key"], each["Value"]) for each in found], reserved)
        return s3._error(*problem[:2], 400, extra=problem[2]) if problem else original(*given)

    return put


def with_header_rules(original: Callable[..., Any], s3: Any) -> Callable[..., Any]:
    """Wrap an operation of the emulator's ``s3`` with tags in its headers: refuse invalid tags."""

    def make(*given: Any) -> Any:
        headers = next((each for each in given if isinstance(each, Mapping) and _HEADER in each), {})
        text = headers.get(_HEADER, "")
        if not text or (s3_copies(headers) and headers.get(f"{_HEADER}-directive", "COPY").upper() == "COPY"):
            return original(*given)
        tags = parse_qsl(text, keep_blank_values=True)
        if repeated(tags) or any(pair.count("=") > 1 for pair in text.split("&")):
            told = {"ArgumentName": _HEADER, "ArgumentValue": text}
            return s3._error("InvalidArgument", _NO_TAGS, 400, extra=told)
        if len(tags) > _MOST_OF_OBJECT:
            return s3._error("BadRequest", f"Object tags cannot be greater than {_MOST_OF_OBJECT}", 400)
        problem = fault_in_s3(tags, _OF_AWS)
        return s3._error(*problem[:2], 400, extra=problem[2]) if problem else original(*given)

    return make


def s3_copies(headers: Mapping[str, str]) -> bool:
    """Whether a request copies an object."""
    return "x-amz-copy-source" in headers


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]
