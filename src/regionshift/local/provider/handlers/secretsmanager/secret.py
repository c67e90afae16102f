"""A secret, apart from its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.local.provider.absent import look
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

_AT_ONCE = 0


class SecretHandler(Handler):
    """A secret. Deleting it schedules its deletion; until then it counts as gone, and Create restores it."""

    token = "aws:secretsmanager/secret:Secret"
    taggable = True
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

    def find(self, context: Context, inputs: Properties) -> str | None:
        found = described(context.client("secretsmanager"), inputs["name"])
        if found is None or "DeletedDate" in found or not context.owns(_tags(found)):
            return None
        return str(found["ARN"])

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

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("secretsmanager").tag_resource(SecretId=identity, Tags=to_list(tags))

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        context.client("secretsmanager").untag_resource(SecretId=identity, TagKeys=names)


def _arguments(inputs: Properties) -> dict[str, str]:
    """Description and key; an empty description takes away what was there."""
    key = {"KmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
    return {"Description": inputs.get("description", ""), **key}


def _restored(secrets: Any, arn: str, context: Context, inputs: Properties) -> str:
    """Take back a secret that waits for its deletion, and make it what it shall be now."""
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
    """What Secrets Manager tells of a secret, waiting for its deletion or not; None when it is gone."""
    found: Mapping[str, Any] | None = look(secrets.describe_secret, SecretId=identity)
    return found


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return from_list(found.get("Tags", []))
