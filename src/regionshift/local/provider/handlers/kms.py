"""KMS keys and their aliases."""

from __future__ import annotations

from functools import partial
from typing import Any

from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_WAITING = ("PendingDeletion", "PendingReplicaDeletion")
_DEFAULT_ROTATION_DAYS = 365  # KMS API Reference, EnableKeyRotation, RotationPeriodInDays


class KeyHandler(Handler):
    """A customer managed key. Deleting it schedules its deletion; from then on it counts as deleted."""

    token = "aws:kms/key:Key"
    taggable = True
    tag_calls = TagCalls("kms", "KeyId", form=partial(to_list, key="TagKey", value="TagValue"))
    fields = {
        "description": Field(computed=True),
        "keyUsage": Field(default="ENCRYPT_DECRYPT", replaces=True),
        "customerMasterKeySpec": Field(default="SYMMETRIC_DEFAULT", replaces=True),
        "multiRegion": Field(FieldType.FLAG, computed=True, replaces=True),
        "policy": Field(FieldType.POLICY, computed=True),
        "isEnabled": Field(FieldType.FLAG, default=True),
        "enableKeyRotation": Field(FieldType.FLAG, default=False),
        "rotationPeriodInDays": Field(FieldType.INTEGER, computed=True, minimum=90, maximum=2560),
        "deletionWindowInDays": Field(FieldType.INTEGER, opaque=True, minimum=7, maximum=30),
        "bypassPolicyLockoutSafetyCheck": Field(FieldType.FLAG, default=False, opaque=True),
    }
    outputs = ("arn", "keyId")

    def create(self, context: Context, inputs: Properties) -> str:
        arguments = {
            "Description": inputs.get("description"),
            "KeyUsage": inputs["keyUsage"],
            "KeySpec": inputs["customerMasterKeySpec"],
            "MultiRegion": inputs.get("multiRegion"),
            "Policy": inputs.get("policy"),
            "BypassPolicyLockoutSafetyCheck": inputs.get("bypassPolicyLockoutSafetyCheck"),
            "Tags": to_list(context.tags(inputs), key="TagKey", value="TagValue"),
        }
        made = context.client("kms").create_key(**given(arguments))
        return str(made["KeyMetadata"]["KeyId"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        kms = context.client("kms")
        is_enabled = kms.describe_key(KeyId=identity)["KeyMetadata"]["Enabled"]
        if inputs["isEnabled"] and not is_enabled:
            kms.enable_key(KeyId=identity)
        if inputs["enableKeyRotation"]:
            period = inputs.get("rotationPeriodInDays", _DEFAULT_ROTATION_DAYS)
            kms.enable_key_rotation(KeyId=identity, RotationPeriodInDays=period)
        elif _turns(inputs["keyUsage"]) and kms.get_key_rotation_status(KeyId=identity)["KeyRotationEnabled"]:
            kms.disable_key_rotation(KeyId=identity)
        if is_enabled and not inputs["isEnabled"]:
            kms.disable_key(KeyId=identity)

    def read(self, context: Context, identity: str) -> Properties | None:
        kms = context.client("kms")
        key = _describe(kms, identity)
        if key is None:
            return None
        turns = _turns(key["KeyUsage"])
        rotation = kms.get_key_rotation_status(KeyId=identity) if turns else {"KeyRotationEnabled": False}
        return {
            "arn": key["Arn"],
            "keyId": key["KeyId"],
            "description": key.get("Description"),
            "keyUsage": key["KeyUsage"],
            "customerMasterKeySpec": key["KeySpec"],
            "multiRegion": key.get("MultiRegion", False),
            "policy": kms.get_key_policy(KeyId=identity, PolicyName="default")["Policy"],
            "isEnabled": key["Enabled"],
            "enableKeyRotation": rotation["KeyRotationEnabled"],
            "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
            "tags": _tags(kms, identity),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        kms = context.client("kms")
        if change.any_of("description"):
            kms.update_key_description(KeyId=identity, Description=change.news.get("description", ""))
        if change.any_of("policy") and change.news.get("policy"):
            kms.put_key_policy(KeyId=identity, PolicyName="default", Policy=change.news["policy"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        kms = context.client("kms")
        if _describe(kms, identity) is not None:
            days = properties.get("deletionWindowInDays") or 30
            kms.schedule_key_deletion(KeyId=identity, PendingWindowInDays=days)


def _turns(usage: str) -> bool:
    """Whether KMS can rotate keys with this usage (KMS Developer Guide, "Rotate AWS KMS keys")."""
    return usage == "ENCRYPT_DECRYPT"


def _describe(kms: Any, identity: str) -> Any:
    """Return the key's metadata; None when it is scheduled for deletion."""
    key = kms.describe_key(KeyId=identity)["KeyMetadata"]
    return None if key["KeyState"] in _WAITING else key


def _tags(kms: Any, identity: str) -> dict[str, str]:
    listed = kms.list_resource_tags(KeyId=identity).get("Tags", [])
    return from_list(listed, key="TagKey", value="TagValue")


class AliasHandler(Handler):
    """A name for a key. The target changes in place, the name does not."""

    token = "aws:kms/alias:Alias"
    name = "name"
    name_prefix = "alias/"
    name_limit = 256
    fields = {"name": Field(required=True, replaces=True), "targetKeyId": Field(required=True)}
    outputs = ("arn", "targetKeyArn")

    def create(self, context: Context, inputs: Properties) -> str:
        kms = context.client("kms")
        if self.read(context, inputs["name"]) is None:
            kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        else:
            kms.update_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return str(inputs["name"])

    def read(self, context: Context, identity: str) -> Properties | None:
        kms = context.client("kms")
        for page in kms.get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == identity and "TargetKeyId" in alias:
                    return _alias_properties(alias)
        return None

    def update(self, context: Context, identity: str, change: Update) -> None:
        context.client("kms").update_alias(AliasName=identity, TargetKeyId=change.news["targetKeyId"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("kms").delete_alias(AliasName=identity)


def _alias_properties(alias: Any) -> Properties:
    key = alias["TargetKeyId"]
    return {
        "arn": alias["AliasArn"],
        "name": alias["AliasName"],
        "targetKeyId": key,
        "targetKeyArn": alias["AliasArn"].replace(alias["AliasName"], f"key/{key}"),
    }


HANDLERS: tuple[Handler, ...] = (KeyHandler(), AliasHandler())
