"""Patches that end pages of lists early, as AWS may do. A caller that reads only one page then misses entries.

- A page of FilterLogEvents "might only be partially full, or even empty" (CloudWatch Logs API Reference,
  "FilterLogEvents"). The emulator never returns a token.
- ListSecrets returns a token "even when the response includes no values at all" (Secrets Manager API Reference,
  "ListSecrets", NextToken).
- DescribeParameters and GetParametersByPath answer on a "best-effort basis" (Systems Manager API Reference, of both).
- GetResources returns "occasionally fewer results on a page than allowed" (Resource Groups Tagging API Reference,
  "GetResources"); that it begins with an empty one was reported (boto/boto3 issue 2461).
- The lists of IAM can have fewer entries than the limit "even when there are more results available" (IAM API
  Reference, "ListPolicies" and all others, MaxItems).

Here the first page is always empty; IAM's first page has one entry fewer. ListBuckets is not patched: S3 lists all
buckets unless the caller sets a limit (S3 API Reference, "ListBuckets"). S3's other lists are in `s3_gaps.py`.
``tests/component/test_page_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Given = Mapping[str, Any]
Handler = Callable[[dict[str, Any]], Any]

_MOST_EVENTS, _MOST_RESOURCES, _MOST_IN_IAM = 10_000, 100, 100
_MEMBER = re.compile(rb"<(/?)member>")
_ALL = b"<IsTruncated>false</IsTruncated>"


def close() -> None:
    """Patch the running ministack, after the patches of the lists themselves."""
    from ministack.services import (  # type: ignore[import-untyped]
        cloudwatch_logs,
        iam,
        secretsmanager,
        ssm,
        tagging,
    )

    for name in ("_describe_parameters", "_get_parameters_by_path"):
        setattr(
            ssm, name, after_an_empty_page(getattr(ssm, name), "Parameters", first=ssm._encode_next_token(0))
        )
    secretsmanager._list_secrets = after_an_empty_page(
        secretsmanager._list_secrets, "SecretList", first="MA=="
    )
    events = in_pages(cloudwatch_logs._filter_log_events, "events", "nextToken", "limit", _MOST_EVENTS)
    cloudwatch_logs._filter_log_events = after_an_empty_page(events, "events", "nextToken")
    token, most = "PaginationToken", "ResourcesPerPage"
    found = in_pages(tagging._get_resources, "ResourceTagMappingList", token, most, _MOST_RESOURCES)
    tagging._HANDLERS["GetResources"] = after_an_empty_page(found, "ResourceTagMappingList", token)
    for name, handler in iam._IAM_HANDLERS.items():
        if name.startswith("List"):
            iam._IAM_HANDLERS[name] = ending_early(handler)


def after_an_empty_page(
    original: Handler, entries: str, token: str = "NextToken", first: str = "0"
) -> Handler:
    """Wrap a list: return an empty first page with the token ``first``."""

    def listing(data: dict[str, Any]) -> Any:
        status, headers, body = original(data)
        # Resources that are requested by name have no pages.
        if status != 200 or data.get(token) or data.get("ResourceARNList"):
            return status, headers, body
        answer = json.loads(body)
        return status, headers, json.dumps({**answer, entries: [], token: first}).encode()

    return listing


def in_pages(original: Handler, entries: str, token: str, limit: str, most: int) -> Handler:
    """Wrap a list without pages: return pages of the requested size, at most ``most``."""

    def listing(data: dict[str, Any]) -> Any:
        if data.get("ResourceARNList"):
            return original(data)
        everything = {name: said for name, said in data.items() if name not in (token, limit)}
        status, headers, body = original(everything)
        if status != 200:
            return status, headers, body
        answer, begin = json.loads(body), int(data.get(token) or 0)
        end = begin + min(int(data.get(limit) or most), most)
        more = {token: str(end)} if end < len(answer[entries]) else {}
        return status, headers, json.dumps({**answer, entries: answer[entries][begin:end], **more}).encode()

    return listing


def ending_early(original: Handler) -> Handler:
    """Wrap a list of IAM: the first page has one entry fewer when it could have all."""

    def listing(given: dict[str, Any]) -> Any:
        status, headers, body = original(given)
        found = members(body) if status == 200 and _ALL in body else []
        begin = int(_first(given, "Marker") or 0)
        left, asked = len(found) - begin, int(_first(given, "MaxItems") or _MOST_IN_IAM)
        shown = min(asked, left) if begin else max(1, min(asked, left - 1))
        if not begin and shown >= left:
            return status, headers, body
        kept = b"".join(body[start:end] for start, end in found[begin : begin + shown])
        told = body[: found[0][0]] + kept + body[found[-1][1] :]
        if shown < left:
            marker = f"<IsTruncated>true</IsTruncated><Marker>{begin + shown}</Marker>"
            told = told.replace(_ALL, marker.encode())
        return status, headers, told

    return listing


def members(body: bytes) -> list[tuple[int, int]]:
    """Return (begin, end) of each top-level member in an answer's list."""
    found, depth, start = [], 0, 0
    for tag in _MEMBER.finditer(body):
        if tag[1]:
            depth -= 1
            if not depth:
                found.append((start, tag.end()))
        else:
            if not depth:
                start = tag.start()
            depth += 1
    return found


def _first(given: Given, name: str) -> str:
    value = given.get(name, "")
    return str(next(iter(value), "")) if isinstance(value, list) else str(value)
