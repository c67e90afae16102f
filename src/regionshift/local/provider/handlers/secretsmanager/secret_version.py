"""A value of a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from regionshift.local.provider.absent import look
from regionshift.local.provider.failures import is_gone
from regionshift.local.provider.fields import Field, Mistake, Shape
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.handlers.secretsmanager.secret import described
from regionshift.local.provider.wire import Properties

_CURRENT = "AWSCURRENT"
_LARGEST = 65_536  # bytes; Secrets Manager User Guide, "Quotas"
_BETWEEN = "|"  # in the id of a version: secret ARN, version id


class SecretVersion(Handler):
    """A value of a secret. Another value is another version.

    Secrets Manager does not delete versions: deleting one takes its stages away, all but the current one.
    Someone else's new value leaves this version where it is, and so is no drift; its stages are.
    """

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    fields = {
        "secretId": Field(required=True, replaces=True),
        "secretString": Field(required=True, replaces=True, secret=True),
        "versionStages": Field(Shape.SET, computed=True),
    }
    outputs = ("arn", "versionId")

    def mistakes(self, inputs: Properties) -> Iterator[Mistake]:
        value = inputs["secretString"]
        if isinstance(value, str) and not 0 < len(value.encode()) <= _LARGEST:
            yield Mistake("secretString", f"must be from 1 to {_LARGEST} bytes")

    def create(self, context: Context, inputs: Properties) -> str:
        secrets, secret = context.client("secretsmanager"), inputs["secretId"]
        current = look(secrets.get_secret_value, SecretId=secret)
        if (
            current is not None
            and current.get("SecretString") == inputs["secretString"]
            and set(inputs.get("versionStages") or [_CURRENT]) <= set(current["VersionStages"])
        ):
            return _BETWEEN.join((secret, current["VersionId"]))  # a lost create made it
        stages = {"VersionStages": inputs["versionStages"]} if inputs.get("versionStages") else {}
        made = secrets.put_secret_value(SecretId=secret, SecretString=inputs["secretString"], **stages)
        return _BETWEEN.join((secret, made["VersionId"]))

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        if inputs.get("versionStages") is None:
            return
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        live = set((_value(secrets, secret, version) or {}).get("VersionStages", []))
        wanted = set(inputs["versionStages"])
        for stage in sorted(wanted - live):  # the emulator drops what is put beside the current stage
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
            "secretString": found.get("SecretString"),
            "versionId": version,
            "versionStages": sorted(found.get("VersionStages", [])),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        found = _value(secrets, secret, version) or {}
        for stage in found.get("VersionStages", []):
            if stage != _CURRENT:  # it can move to another version, but not go
                secrets.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )


def _value(secrets: Any, secret: str, version: str) -> Mapping[str, Any] | None:
    """One version's value; None when it is gone, or the secret waits for its deletion."""
    try:
        found: Mapping[str, Any] = secrets.get_secret_value(SecretId=secret, VersionId=version)
    except ClientError as error:
        if is_gone(error) or error.response["Error"]["Code"] == "InvalidRequestException":
            return None
        raise
    return found


def _move(secrets: Any, secret: str, stage: str, version: str) -> None:
    """Give ``stage`` to ``version``; Secrets Manager wants to hear who had it."""
    secret_now = described(secrets, secret) or {}
    holders = [
        holder for holder, stages in secret_now.get("VersionIdsToStages", {}).items() if stage in stages
    ]
    taken = {"RemoveFromVersionId": holders[0]} if holders else {}
    secrets.update_secret_version_stage(SecretId=secret, VersionStage=stage, MoveToVersionId=version, **taken)
