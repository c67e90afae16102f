"""Gaps of the emulator's objects, parameters and secrets that a migration meets, closed inside its process.

- Limits of PutParameter: a type stays, an image or an integration stays one and nothing else becomes one (User Guide,
  "Parameter data types"), an advanced parameter does not become standard again, values fit their tier
  and their pattern; policies stay until others are given, and are listed one by one (Systems Manager API Reference,
  "PutParameter", "ParameterInlinePolicy").
- An object that is older than its bucket's versioning is copied by its version id, which is ``null`` (S3 User Guide,
  "Working with objects in a versioning-enabled bucket").
- ListSecrets tells each secret's key (Secrets Manager API Reference, "SecretListEntry").
- Policies are told the tags of the secret that a request is about: ``secretsmanager:ResourceTag/KEY`` and
  ``aws:ResourceTag/KEY`` (Service Authorization Reference, "Condition keys for AWS Secrets Manager").
- A secret has 20 staging labels at most over all its versions (Secrets Manager User Guide, "Quotas"), and its key is
  left out when it is AWS's own (API Reference, "DescribeSecret"). One that is made without a value has no version
  (API Reference, "CreateSecret").

``tests/component/test_data_gaps.py`` tells when the emulator no longer needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

LABELS = 20
"""Staging labels of one secret, all its versions together."""

_MOST_BYTES = {"Standard": 4096, "Advanced": 8192}
_FIXED_DATA_TYPES = {"aws:ec2:image", "aws:ssm:integration"}
_SOURCE = "x-amz-copy-source"
_AWS_KEY = "alias/aws/secretsmanager"

Given = dict[str, Any]
Handler = Callable[..., Any]


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import s3, secretsmanager, ssm  # type: ignore[import-untyped]

    for name in ("_copy_object", "_upload_part_copy"):
        setattr(s3, name, with_null_versions(getattr(s3, name), s3._buckets))

    ssm._put_parameter = with_rules(ssm._put_parameter, ssm._parameters, error_response_json)
    for name in ("_put_secret_value", "_update_secret_version_stage"):
        original = getattr(secretsmanager, name)
        setattr(secretsmanager, name, with_few_labels(original, secretsmanager._resolve, error_response_json))
    for name in ("_create_secret", "_update_secret"):
        setattr(secretsmanager, name, without_aws_key(getattr(secretsmanager, name)))
    secretsmanager._create_secret = empty_without_value(
        secretsmanager._create_secret, secretsmanager._secrets
    )
    secretsmanager._list_secrets = with_keys(secretsmanager._list_secrets, secretsmanager._secrets)
    iam_actions.request_tag_context = with_tags_of_secrets(
        iam_actions.request_tag_context, secretsmanager._resolve
    )


def with_null_versions(original: Handler, buckets: Mapping[str, Any]) -> Handler:
    """``original``, which copies an object; ``versionId=null`` of an unversioned object means the object itself."""

    def copy(*given: Any) -> Any:
        headers = next(each for each in given if isinstance(each, Mapping) and _SOURCE in each)
        path, _, query = headers[_SOURCE].partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        current = buckets.get(bucket, {}).get("objects", {}).get(key)
        if query != "versionId=null" or current is None or current.get("version_id"):
            return original(*given)
        plain = {**headers, _SOURCE: path}
        return original(*(plain if each is headers else each for each in given))

    return copy


def with_rules(original: Handler, parameters: Mapping[str, Any], refuse: Callable[..., Any]) -> Handler:
    """``original``, PutParameter, with AWS's refusals, and policies kept and listed as AWS does."""

    def put(data: Given) -> Any:
        existing = parameters.get(data.get("Name", ""), {})
        tier = data.get("Tier") or existing.get("Tier", "Standard")
        kept = existing.get("Policies", []) if "Policies" not in data else listed(data["Policies"])
        problem = _problem(data, existing, tier, kept)
        if problem:
            return refuse(*problem, 400)
        return original({**data, "Policies": kept})

    return put


def listed(policies: str) -> list[dict[str, str]]:
    """Policies as DescribeParameters lists them; an empty policy removes them all."""
    return [
        {"PolicyText": json.dumps(each), "PolicyType": each["Type"], "PolicyStatus": "Pending"}
        for each in json.loads(policies or "[]")
        if each
    ]


def _problem(
    data: Given, existing: Mapping[str, Any], tier: str, policies: list[Any]
) -> tuple[str, str] | None:
    if existing and data.get("Overwrite") and data.get("Type", existing["Type"]) != existing["Type"]:
        return (
            "HierarchyTypeMismatchException",
            "Parameter Store does not support changing a parameter's type.",
        )
    data_types = {existing.get("DataType", "text"), data.get("DataType", existing.get("DataType", "text"))}
    if existing and len(data_types) == 2 and data_types & _FIXED_DATA_TYPES:
        return "ValidationException", "A parameter's data type cannot become or stop being this one."
    if existing.get("Tier") == "Advanced" and tier == "Standard":
        return "ValidationException", "An advanced parameter cannot become a standard one."
    if policies and tier == "Standard":
        return "ValidationException", "Policies need an advanced parameter."
    value = data.get("Value", "")
    if len(value.encode()) > _MOST_BYTES.get(tier, 8192):
        return "ValidationException", f"The value is too long for the tier {tier}."
    if data.get("AllowedPattern") and not re.search(data["AllowedPattern"], value):
        return "ParameterPatternMismatchException", f"The value {value} does not match its pattern."
    return None


def with_few_labels(original: Handler, resolve: Callable[..., Any], refuse: Callable[..., Any]) -> Handler:
    """``original``, but the 21st staging label is refused."""

    def change(data: Given) -> Any:
        _, secret = resolve(data.get("SecretId"))
        present = {label for one in (secret or {}).get("Versions", {}).values() for label in one["Stages"]}
        more = set(data.get("VersionStages", ["AWSCURRENT"])) if "VersionStage" not in data else set()
        if data.get("MoveToVersionId"):
            more = {data["VersionStage"]}
        if "AWSCURRENT" in more and "AWSCURRENT" in present:
            more.add("AWSPREVIOUS")
        if secret and len(present | more) > LABELS:
            return refuse("LimitExceededException", f"A secret has at most {LABELS} staging labels.", 400)
        return original(data)

    return change


def without_aws_key(original: Handler) -> Handler:
    """``original``, which stores a secret's key, without the name of AWS's own key."""

    def keep(data: Given) -> Any:
        return original({**data, "KmsKeyId": None} if data.get("KmsKeyId") == _AWS_KEY else data)

    return keep


def empty_without_value(original: Handler, secrets: Mapping[str, Any]) -> Handler:
    """``original``, but a secret that is made without a value has no version."""

    def create(data: Given) -> Any:
        status, headers, body = original(data)
        if status != 200 or data.get("SecretString") is not None or data.get("SecretBinary") is not None:
            return status, headers, body
        secrets[data["Name"]]["Versions"].clear()
        answer = json.loads(body)
        del answer["VersionId"]
        return status, headers, json.dumps(answer).encode()

    return create


def with_keys(original: Handler, secrets: Mapping[str, Any]) -> Handler:
    """``original``, which lists secrets, and each one's key."""

    def listing(data: Given) -> Any:
        status, headers, body = original(data)
        answer = json.loads(body)
        for entry in answer.get("SecretList", ()):
            key = secrets[entry["Name"]].get("KmsKeyId")
            if key:
                entry["KmsKeyId"] = key
        return status, headers, json.dumps(answer).encode()

    return listing


def with_tags_of_secrets(
    original: Callable[..., dict[str, Any]], resolve: Callable[[str], tuple[Any, Mapping[str, Any] | None]]
) -> Callable[..., dict[str, Any]]:
    """``original``, which gives a request's condition keys, with the tags of its secret added."""

    def keys(service: str, action: str, body: bytes, *more: Any) -> dict[str, Any]:
        found = original(service, action, body, *more)
        if service != "secretsmanager":
            return found
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            return found  # not JSON: the service refuses it
        named = asked.get("SecretId") if isinstance(asked, dict) else None
        secret = resolve(named)[1] if isinstance(named, str) else None
        for tag in (secret or {}).get("Tags", ()):
            for prefix in ("secretsmanager", "aws"):
                found[f"{prefix}:ResourceTag/{tag['Key']}"] = tag["Value"]
        return found

    return keys
