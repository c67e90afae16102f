"""Secrets Manager: secrets with their policies, and their values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from regionshift.aws.errors import is_gone
from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_list, to_list
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_AT_ONCE = 0


class SecretHandler(Handler):
    """A secret. Deleting it schedules its deletion; from then on it counts as deleted, and Create restores it."""

    token = "aws:secretsmanager/secret:Secret"
    taggable = True
    tag_calls = TagCalls("secretsmanager", "SecretId")
    name = "name"
    name_limit = 512
    fields = {
        "name": Field(required=True, replaces=True, pattern=r"[A-Za-z0-9/_+=.@-]{1,512}"),
        "description": Field(pattern=r"(?s).{0,2048}"),
        "kmsKeyId": Field(),
        "policy": Field(FieldType.POLICY, computed=True),
        "recoveryWindowInDays": Field(FieldType.INTEGER, default=30, opaque=True, minimum=0, maximum=30),
        "forceOverwriteReplicaSecret": Field(FieldType.FLAG, default=False, opaque=True),
    }
    outputs = ("arn",)

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        days = inputs["recoveryWindowInDays"]
        if isinstance(days, int) and 0 < days < 7:
            yield InvalidInput("recoveryWindowInDays", "must be 0, or from 7 to 30")

    def create(self, context: Context, inputs: Properties) -> str:
        secrets = context.client("secretsmanager")
        found = described(secrets, inputs["name"])
        if found is not None and "DeletedDate" in found and context.owns(_tags(found)):
            return _restored(secrets, str(found["ARN"]), context, inputs)
        made = secrets.create_secret(
            Name=inputs["name"], Tags=to_list(context.tags(inputs)), **_arguments(inputs)
        )
        return str(made["ARN"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        if inputs.get("policy"):
            secrets = context.client("secretsmanager")
            secrets.put_resource_policy(SecretId=identity, ResourcePolicy=inputs["policy"])

    def read(self, context: Context, identity: str) -> Properties | None:
        secrets = context.client("secretsmanager")
        found = described(secrets, identity)
        if found is None or "DeletedDate" in found:
            return None
        return {
            "arn": found["ARN"],
            "name": found["Name"],
            "description": found.get("Description"),
            "kmsKeyId": found.get("KmsKeyId"),
            "policy": secrets.get_resource_policy(SecretId=identity).get("ResourcePolicy"),
            "tags": _tags(found),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        if change.any_of("description", "kmsKeyId"):
            secrets = context.client("secretsmanager")
            secrets.update_secret(SecretId=identity, **_arguments(change.news))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        secrets = context.client("secretsmanager")
        if self.read(context, identity) is None:
            return
        days = int(properties.get("recoveryWindowInDays", 30))
        if days == _AT_ONCE:
            secrets.delete_secret(SecretId=identity, ForceDeleteWithoutRecovery=True)
        else:
            secrets.delete_secret(SecretId=identity, RecoveryWindowInDays=days)


def _arguments(inputs: Properties) -> dict[str, str]:
    """Return description and key; an empty description removes the earlier one."""
    key = {"KmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
    return {"Description": inputs.get("description", ""), **key}


def _restored(secrets: Any, arn: str, context: Context, inputs: Properties) -> str:
    """Restore a secret that is scheduled for deletion, and set its inputs."""
    wanted, before = context.tags(inputs), _tags(described(secrets, arn) or {})
    secrets.restore_secret(SecretId=arn)
    secrets.update_secret(SecretId=arn, **_arguments(inputs))
    dropped = sorted(set(before) - set(wanted))
    if dropped:
        secrets.untag_resource(SecretId=arn, TagKeys=dropped)
    secrets.tag_resource(SecretId=arn, Tags=to_list(wanted))
    if not inputs.get("policy"):
        secrets.delete_resource_policy(SecretId=arn)
    return arn


def described(secrets: Any, identity: str) -> Mapping[str, Any] | None:
    """Return a secret's metadata, also when it is scheduled for deletion; None when it does not exist."""
    found: Mapping[str, Any] | None = unless_gone(secrets.describe_secret, SecretId=identity)
    return found


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return from_list(found.get("Tags", []))


_CURRENT = "AWSCURRENT"
_LARGEST = 65_536  # bytes; Secrets Manager User Guide, "Quotas"
_FIELDS = {"secretString": "SecretString", "secretBinary": "SecretBinary"}
"""The inputs for a text and for bytes (in base64), with the API's names."""
_BETWEEN = "|"  # in the id of a version: secret ARN, version id


class SecretVersionHandler(Handler):
    """A version of a secret. Another value is another version.

    Secrets Manager does not delete versions: deleting one removes its stages, except the current one. A new value from
    somebody else does not change this version, so it is not drift; a change of the stages is.
    """

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    fields = {
        "secretId": Field(required=True, replaces=True),
        "secretString": Field(replaces=True, secret=True),
        "secretBinary": Field(replaces=True, secret=True),
        "versionStages": Field(FieldType.SET, computed=True),
    }
    outputs = ("arn", "versionId")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        given = [name for name in _FIELDS if inputs.get(name) is not None]
        if len(given) != 1:
            yield InvalidInput("secretString", "must be given, or secretBinary, and not both")
            return
        value = inputs[given[0]]
        try:
            size = len(_sent(given[0], value)) if isinstance(value, str) else 1
        except binascii.Error:
            yield InvalidInput(given[0], "must be base64")
            return
        if not 0 < size <= _LARGEST:
            yield InvalidInput(given[0], f"must be from 1 to {_LARGEST} bytes")

    def create(self, context: Context, inputs: Properties) -> str:
        secrets, secret = context.client("secretsmanager"), inputs["secretId"]
        current = unless_gone(secrets.get_secret_value, SecretId=secret)
        if (
            current is not None
            and _told(current) == {name: inputs[name] for name in _FIELDS if inputs.get(name) is not None}
            and set(inputs.get("versionStages") or [_CURRENT]) <= set(current["VersionStages"])
        ):
            return _BETWEEN.join((secret, current["VersionId"]))  # from a killed run
        stages = {"VersionStages": inputs["versionStages"]} if inputs.get("versionStages") else {}
        made = secrets.put_secret_value(SecretId=secret, **_request(inputs), **stages)
        return _BETWEEN.join((secret, made["VersionId"]))

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        if inputs.get("versionStages") is None:
            return
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        live = set((_value(secrets, secret, version) or {}).get("VersionStages", []))
        wanted = set(inputs["versionStages"])
        for stage in sorted(
            wanted - live
        ):  # PutSecretValue of the emulator drops other stages than the current
            _move(secrets, secret, stage, version)
        for stage in sorted(live - wanted - {_CURRENT}):
            secrets.update_secret_version_stage(
                SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
            )

    def read(self, context: Context, identity: str) -> Properties | None:
        secret, version = identity.split(_BETWEEN)
        found = _value(context.client("secretsmanager"), secret, version)
        if found is None:
            return None
        return {
            "arn": found["ARN"],
            "secretId": secret,
            **_told(found),
            "versionId": version,
            "versionStages": sorted(found.get("VersionStages", [])),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        found = _value(secrets, secret, version) or {}
        for stage in found.get("VersionStages", []):
            if stage != _CURRENT:  # this stage cannot be removed
                secrets.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )


def _sent(name: str, value: str) -> bytes:
    return base64.b64decode(value, validate=True) if name == "secretBinary" else value.encode()


def _request(inputs: Properties) -> dict[str, Any]:
    if inputs.get("secretBinary") is not None:
        return {"SecretBinary": _sent("secretBinary", inputs["secretBinary"])}
    return {"SecretString": inputs["secretString"]}


def _told(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the input from GetSecretValue's answer."""
    if answer.get("SecretBinary") is not None:
        return {"secretBinary": base64.b64encode(answer["SecretBinary"]).decode()}
    return {"secretString": answer["SecretString"]}


def _value(secrets: Any, secret: str, version: str) -> Mapping[str, Any] | None:
    """Return one version's value; None when it was deleted, or the secret is scheduled for deletion."""
    try:
        found: Mapping[str, Any] = secrets.get_secret_value(SecretId=secret, VersionId=version)
    except ClientError as error:
        if is_gone(error) or error.response["Error"]["Code"] == "InvalidRequestException":
            return None
        raise
    return found


def _move(secrets: Any, secret: str, stage: str, version: str) -> None:
    """Move ``stage`` to ``version``. Secrets Manager also needs the version that has it now."""
    secret_now = described(secrets, secret) or {}
    holders = [
        holder for holder, stages in secret_now.get("VersionIdsToStages", {}).items() if stage in stages
    ]
    taken = {"RemoveFromVersionId": holders[0]} if holders else {}
    secrets.update_secret_version_stage(SecretId=secret, VersionStage=stage, MoveToVersionId=version, **taken)


HANDLERS: tuple[Handler, ...] = (SecretHandler(), SecretVersionHandler())
