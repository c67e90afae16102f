"""Patches of the emulator's parameters and secrets. AWS's behaviour:

- PutParameter cannot change a parameter's type, the data types of images and integrations (User Guide, "Parameter data
  types"), or an advanced parameter to standard. Values must fit the tier and the pattern. Policies stay until they are
  replaced, and are listed one by one (Systems Manager API Reference, "PutParameter", "ParameterInlinePolicy").
- ListSecrets returns each secret's key (Secrets Manager API Reference, "SecretListEntry").
- Conditions can use the secret's tags: ``secretsmanager:ResourceTag/KEY`` and ``aws:ResourceTag/KEY`` (Service
  Authorization Reference, "Condition keys for AWS Secrets Manager").
- A secret has at most 20 staging labels on all versions (Secrets Manager User Guide, "Quotas"). The AWS managed key is
  not returned (API Reference, "DescribeSecret"). A secret that is created without a value has no version (API
  Reference, "CreateSecret").
- Names have limited characters. A hierarchy of parameters begins with a slash and has at most 15 levels (Systems
  Manager API Reference, "PutParameter", Name; Secrets Manager API Reference, "CreateSecret", Name).
- Forced deletion of a missing secret is no error (Secrets Manager API Reference, "DeleteSecret",
  ForceDeleteWithoutRecovery).
- While a secret is scheduled for deletion, its name cannot be used again, and its policy cannot be set (Secrets Manager
  API Reference, "CreateSecret", "PutResourcePolicy", InvalidRequestException).
- A version cannot change. PutSecretValue with the id of an existing version is refused when the value differs, and
  has no effect when it is the same (API Reference, "PutSecretValue", ClientRequestToken).
- ListSecretVersionIds returns versions without labels only on request. GetSecretValue with a version and a label needs
  that label on that version (API Reference, both operations).
- ListSecrets filters names and tags by prefix, case-sensitively; an exclamation mark negates a filter (API Reference,
  "Filter").

AWS's recorded answers about secrets: localstack/localstack, ``tests/aws/services/secretsmanager``; about names of
parameters: ``tests/aws/services/ssm/test_ssm.py``, ``test_hierarchical_parameter``.
``tests/component/test_data_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from regionshift.settings.quotas import ADVANCED_PARAMETER, PARAMETER

LABELS = 20
"""The most staging labels on all versions of a secret."""

_MOST_BYTES = {"Standard": PARAMETER.most, "Advanced": ADVANCED_PARAMETER.most}
_FIXED_DATA_TYPES = {"aws:ec2:image", "aws:ssm:integration"}
_AWS_KEY = "alias/aws/secretsmanager"

Given = dict[str, Any]
Handler = Callable[..., Any]


def close() -> None:
    """Patch the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import secretsmanager, ssm  # type: ignore[import-untyped]

    ssm._put_parameter = with_rules(ssm._put_parameter, ssm._parameters, error_response_json)
    for name in _NAMING_PARAMETERS:
        setattr(ssm, name, with_parameter_names(getattr(ssm, name), error_response_json))
    close_secrets(secretsmanager, error_response_json)
    iam_actions.request_tag_context = with_tags_of_secrets(
        iam_actions.request_tag_context, secretsmanager._resolve
    )


def close_secrets(secretsmanager: Any, error_response_json: Callable[..., Any]) -> None:
    """Patch Secrets Manager."""
    for name in ("_put_secret_value", "_update_secret_version_stage"):
        original = getattr(secretsmanager, name)
        setattr(secretsmanager, name, with_few_labels(original, secretsmanager._resolve, error_response_json))
    for name in ("_create_secret", "_update_secret"):
        setattr(secretsmanager, name, without_aws_key(getattr(secretsmanager, name)))
    secretsmanager._create_secret = empty_without_value(
        secretsmanager._create_secret, secretsmanager._secrets
    )
    secretsmanager._delete_secret = gone_already(secretsmanager._delete_secret, secretsmanager._resolve)
    secretsmanager._list_secrets = with_keys(secretsmanager._list_secrets, secretsmanager._secrets)
    secretsmanager._filter_secret_names = by_beginnings(
        secretsmanager._filter_secret_names, secretsmanager._secrets
    )
    resolve = secretsmanager._resolve
    for name, rule in (
        ("_put_secret_value", _changed_version),
        ("_get_secret_value", _other_label),
        ("_put_resource_policy", _waits),
        ("_create_secret", _name_waits),
    ):
        original = getattr(secretsmanager, name)
        setattr(secretsmanager, name, with_rule(original, rule, resolve, error_response_json))
    secretsmanager._put_secret_value = once_a_version(secretsmanager._put_secret_value, resolve)
    secretsmanager._list_secret_version_ids = labelled_only(secretsmanager._list_secret_version_ids)
    for name in _NAMING_SECRETS:
        setattr(secretsmanager, name, with_secret_names(getattr(secretsmanager, name), error_response_json))


def with_rules(original: Handler, parameters: Mapping[str, Any], refuse: Callable[..., Any]) -> Handler:
    """Wrap PutParameter: apply AWS's refusals, and keep policies."""

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
    """Return policies in the format of DescribeParameters; an empty policy removes all."""
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
    if len(value.encode()) > _MOST_BYTES.get(tier, ADVANCED_PARAMETER.most):
        return "ValidationException", f"The value is too long for the tier {tier}."
    if data.get("AllowedPattern") and not re.search(data["AllowedPattern"], value):
        return "ParameterPatternMismatchException", f"The value {value} does not match its pattern."
    return None


_NAMING_PARAMETERS = ("_put_parameter", "_get_parameter", "_get_parameters")
_PARAMETER = re.compile(r"(/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+")
_LEVELS = 15
_SUB_PATHS = (
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following "
    "3 symbols .-_"
)


def with_parameter_names(original: Handler, refuse: Callable[..., Any]) -> Handler:
    """Wrap an operation with names of parameters: refuse invalid names."""

    def ask(data: Given) -> Any:
        for name in (data.get("Name"), *data.get("Names", ())):
            if not isinstance(name, str) or name.startswith("arn:"):
                continue
            plain = name.partition(":")[0] if "Value" not in data else name
            if not _PARAMETER.fullmatch(plain):
                return refuse("ValidationException", _SUB_PATHS, 400)
            if plain.count("/") > _LEVELS:
                message = f"A hierarchy has at most {_LEVELS} levels."
                return refuse("HierarchyLevelLimitExceededException", message, 400)
        return original(data)

    return ask


def with_few_labels(original: Handler, resolve: Callable[..., Any], refuse: Callable[..., Any]) -> Handler:
    """Wrap an operation that adds staging labels: refuse the 21st."""

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
    """Wrap an operation that stores a secret's key: do not store the AWS managed key."""

    def keep(data: Given) -> Any:
        return original({**data, "KmsKeyId": None} if data.get("KmsKeyId") == _AWS_KEY else data)

    return keep


def empty_without_value(original: Handler, secrets: Mapping[str, Any]) -> Handler:
    """Wrap CreateSecret: a secret without a value has no version."""

    def create(data: Given) -> Any:
        status, headers, body = original(data)
        if status != 200 or data.get("SecretString") is not None or data.get("SecretBinary") is not None:
            return status, headers, body
        secrets[data["Name"]]["Versions"].clear()
        answer = json.loads(body)
        del answer["VersionId"]
        return status, headers, json.dumps(answer).encode()

    return create


def gone_already(original: Handler, resolve: Callable[..., Any]) -> Handler:
    """Wrap DeleteSecret: forced deletion of a missing secret succeeds."""

    def delete(data: Given) -> Any:
        if not data.get("ForceDeleteWithoutRecovery") or resolve(data.get("SecretId"))[1] is not None:
            return original(data)
        told = json.dumps({"Name": data["SecretId"], "DeletionDate": int(time.time())}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, told

    return delete


def with_keys(original: Handler, secrets: Mapping[str, Any]) -> Handler:
    """Wrap ListSecrets: add each secret's key."""

    def listing(data: Given) -> Any:
        status, headers, body = original(data)
        answer = json.loads(body)
        for entry in answer.get("SecretList", ()):
            key = secrets[entry["Name"]].get("KmsKeyId")
            if key:
                entry["KmsKeyId"] = key
        return status, headers, json.dumps(answer).encode()

    return listing


_SECRET = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_NAMING_SECRETS = (
    "_create_secret",
    "_delete_secret",
    "_describe_secret",
    "_get_secret_value",
    "_list_secret_version_ids",
    "_put_secret_value",
    "_tag_resource",
    "_untag_resource",
    "_update_secret",
    "_update_secret_version_stage",
)


def with_secret_names(original: Handler, refuse: Callable[..., Any]) -> Handler:
    """Wrap an operation with the name or ARN of a secret: refuse invalid names."""

    def ask(data: Given) -> Any:
        name = data.get("SecretId") or data.get("Name") or ""
        if not name.startswith("arn:") and not _SECRET.fullmatch(name):
            message = (
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: "
                "-/_+=.@!"
            )
            return refuse("ValidationException", message, 400)
        return original(data)

    return ask


Secret = Mapping[str, Any]
Refusal = tuple[str, str]
_MARKED = (
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)


def with_rule(
    original: Handler,
    rule: Callable[[Given, Secret], Refusal | None],
    resolve: Callable[..., Any],
    refuse: Callable[..., Any],
) -> Handler:
    """Wrap an operation on a secret: refuse it when ``rule`` (request, secret) returns a refusal."""

    def ask(data: Given) -> Any:
        _, secret = resolve(data.get("SecretId") or data.get("Name"))
        problem = rule(data, secret) if secret else None
        return refuse(*problem, 400) if problem else original(data)

    return ask


def _waits(data: Given, secret: Secret) -> Refusal | None:
    del data
    return _MARKED if secret.get("DeletedDate") else None


def _name_waits(data: Given, secret: Secret) -> Refusal | None:
    if not _waits(data, secret):
        return None
    message = (
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    )
    return _MARKED[0], message


def _other_label(data: Given, secret: Secret) -> Refusal | None:
    version = secret["Versions"].get(data.get("VersionId"))
    if version is None or data.get("VersionStage") in (None, *version["Stages"]):
        return None
    return _MARKED[0], "You provided a VersionStage that is not associated to the provided VersionId."


def _holds(version: Mapping[str, Any], data: Given) -> bool:
    return all(version.get(name) == data.get(name) for name in ("SecretString", "SecretBinary"))


def _changed_version(data: Given, secret: Secret) -> Refusal | None:
    version = secret["Versions"].get(data.get("ClientRequestToken"))
    if version is None or _holds(version, data):
        return None
    message = "You can't modify an existing version; you can only create new ones."
    return "ResourceExistsException", message


def once_a_version(original: Handler, resolve: Callable[..., Any]) -> Handler:
    """Wrap PutSecretValue: do not change an existing version."""

    def put(data: Given) -> Any:
        _, secret = resolve(data.get("SecretId"))
        token = data.get("ClientRequestToken")
        version = (secret or {}).get("Versions", {}).get(token)
        if secret is None or version is None or secret.get("DeletedDate") or not _holds(version, data):
            return original(data)
        labels = {"VersionId": token, "VersionStages": version["Stages"]}
        body = json.dumps({"ARN": secret["ARN"], "Name": secret["Name"], **labels}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, body

    return put


def labelled_only(original: Handler) -> Handler:
    """Wrap ListSecretVersionIds: leave out versions without labels, unless they are requested."""

    def listing(data: Given) -> Any:
        status, headers, body = original(data)
        answer = json.loads(body)
        if status == 200:
            asked = data.get("IncludeDeprecated")
            answer["Versions"] = [one for one in answer["Versions"] if asked or one["VersionStages"]]
        return status, headers, json.dumps(answer).encode()

    return listing


_FILTERS = frozenset({"name", "description", "tag-key", "tag-value"})


def by_beginnings(original: Callable[..., list[str]], secrets: Mapping[str, Any]) -> Callable[..., list[str]]:
    """Wrap the filters of ListSecrets: compare prefixes."""

    def texts(key: str, name: str) -> list[str]:
        secret = secrets[name]
        if key == "name":
            return [name]
        if key == "description":
            return [str(secret.get("Description", "")).lower()]
        part = key.removeprefix("tag-").capitalize()
        return [str(tag[part]) for tag in secret.get("Tags") or []]

    def passes(key: str, wanted: str, name: str) -> bool:
        start = wanted.removeprefix("!")
        if key == "description":
            start = start.lower()
        return any(text.startswith(start) for text in texts(key, name)) != wanted.startswith("!")

    def choose(names: list[str], filters: list[Any]) -> list[str]:
        for each in filters:
            key, values = each["Key"], each["Values"]
            if key not in _FILTERS:
                names = original(names, [each])
            else:
                names = [name for name in names if any(passes(key, value, name) for value in values)]
        return names

    return choose


def with_tags_of_secrets(
    original: Callable[..., dict[str, Any]], resolve: Callable[[str], tuple[Any, Mapping[str, Any] | None]]
) -> Callable[..., dict[str, Any]]:
    """Wrap the condition keys of a request: add the tags of its secret."""

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
