"""KMS cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties


def policy(*extra: str) -> str:
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Sid": "Root", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [statement, *[{**statement, "Sid": s} for s in extra]]}
    )


def _key(lab: Lab) -> Properties:  # noqa: ARG001
    return {
        "description": "files of the environment",
        "enableKeyRotation": True,
        "deletionWindowInDays": 7,
        "policy": policy(),
        "tags": {"Purpose": "files"},
    }


def _stop_rotation(lab: Lab, made: Made) -> None:
    lab.client("kms").disable_key_rotation(KeyId=made.identity)
    lab.client("kms").untag_resource(KeyId=made.identity, TagKeys=["Purpose"])


def _alias(lab: Lab) -> Properties:
    key = lab.create("aws:kms/key:Key", {}, "key")
    return {"name": f"alias/{lab.unique}", "targetKeyId": key.identity}


def _retarget(lab: Lab, made: Made) -> None:
    other = lab.client("kms").create_key()["KeyMetadata"]["KeyId"]
    lab.client("kms").update_alias(AliasName=made.identity, TargetKeyId=other)


CASES = (
    Case(
        "aws:kms/key:Key",
        _key,
        changes={
            "description": "other",
            "tags": {"Owner": "me"},
            "enableKeyRotation": None,
            "isEnabled": False,
            "policy": policy("More"),
        },
        replaces={"multiRegion": True, "keyUsage": "GENERATE_VERIFY_MAC"},
        meddle=_stop_rotation,
        drifts=frozenset({"enableKeyRotation", "tags", "tagsAll"}),
    ),
    Case(
        "aws:kms/alias:Alias",
        _alias,
        replaces={"name": "alias/other"},
        meddle=_retarget,
        drifts=frozenset({"targetKeyId"}),
    ),
)
