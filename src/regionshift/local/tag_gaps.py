"""Tags that AWS refuses and the emulator takes, refused inside its process, whatever the service.

A key has 1 to 128 characters and a value 256 at most, of letters, digits, spaces and ``_.:/=+-@``; no key begins with
``aws:`` in any case, and none stands twice in a request (Tagging AWS Resources, "Tag naming limits and requirements").
KMS's words were recorded (localstack/localstack, ``tests/aws/services/kms/test_kms``); the codes of the others are
those of their API references for arguments that are wrong. Of S3 see `s3_gaps.py`; how many tags: each service.

``tests/component/test_tag_gaps.py`` tells when the emulator no longer needs it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

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
"""The code with which each service refuses a tag."""

_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_MARKS = frozenset("_.:/=+-@")
_IN_A_QUERY = re.compile(r"((?:.+\.)?Tags?(?:\.member|\.entry)?\.\d+)\.(Key|Value)")
# Of no code in base64, which is not read for nothing.
_MAY_HAVE_TAGS = re.compile(rb'"[Tt]ags"|Tags?\.')

Tags = Sequence[tuple[str, str]]
Handler = Callable[..., Awaitable[Any]]


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack import app  # type: ignore[import-untyped]

    for service in CODES:
        app.SERVICE_HANDLERS[service] = with_rules(app.SERVICE_HANDLERS[service], service)


def with_rules(handler: Handler, service: str) -> Handler:
    """``handler`` of ``service``, refusing requests with tags that no resource can have."""
    from ministack.core.iam_actions import access_denied_response  # type: ignore[import-untyped]
    from ministack.core.responses import new_uuid  # type: ignore[import-untyped]

    async def answer(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        is_event = service == "lambda" and path.endswith(
            "/invocations"
        )  # the function's own, whatever it says
        has_tags = not is_event and _MAY_HAVE_TAGS.search(body)
        problem = fault(tags_of(body)) if has_tags else ""
        if not problem:
            return await handler(method, path, headers, body, query)
        code = "ValidationException" if service == "kms" and "characters" in problem else CODES[service]
        # It writes a refusal of any code as the service's protocol has it.
        _, told, refusal = access_denied_response(
            service, "", "", new_uuid(), error_code=code, message=problem, headers=headers
        )
        return 400, told, refusal

    return answer


def tags_of(body: bytes) -> Tags:
    """The tags that a request gives to something, whether it came as JSON or as a query."""
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
    """Why AWS refuses the tags; empty when it does not."""
    for key, value in tags:
        if key.lower().startswith("aws:"):
            return "Tags beginning with aws: are reserved"
        if not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            return f"A tag's key has 1 to {_LONGEST_KEY} characters, its value {_LONGEST_VALUE} at most."
        if not all(each in _MARKS or unicodedata.category(each)[0] in "LNZ" for each in key + value):
            return "A tag has letters, digits, spaces and _.:/=+-@ only."
    if any(times > 1 for times in Counter(key for key, _ in tags).values()):
        return "Duplicate tag keys"
    return ""
