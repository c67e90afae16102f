"""SSM parameter and Secrets Manager cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties


def policy(*actions: str) -> str:
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Effect": "Allow", "Principal": root, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key(lab: Lab, name: str) -> str:
    return f"arn:aws:kms:{lab.region}:123456789012:key/{name}"


def secret(lab: Lab) -> str:
    inputs = {"name": f"lab/{lab.unique}/secret", "recoveryWindowInDays": 7}
    return lab.create("aws:secretsmanager/secret:Secret", inputs, "secret").identity


def _parameter(lab: Lab) -> Properties:
    return {
        "name": f"/lab/{lab.unique}/config",
        "type": "SecureString",
        "tier": "Standard",
        "keyId": key(lab, "one"),
        "value": json.dumps({"region": lab.region}),
        "tags": {"Purpose": "configuration"},
    }


def _rewritten(lab: Lab, made: Made) -> None:
    lab.client("ssm").put_parameter(
        Name=made.identity, Type="SecureString", Value="else", KeyId=key(lab, "two"), Overwrite=True
    )


def _plain_parameter(lab: Lab) -> Properties:
    return {"name": f"/lab/{lab.unique}/plain", "type": "String", "value": "blue", "allowedPattern": "[a-z]+"}


def _secret(lab: Lab) -> Properties:
    return {
        "name": f"lab/{lab.unique}",
        "description": "of the application",
        "kmsKeyId": key(lab, "one"),
        "recoveryWindowInDays": 7,
        "tags": {"Purpose": "configuration"},
    }


def _other_key(lab: Lab, made: Made) -> None:
    secrets = lab.client("secretsmanager")
    secrets.update_secret(SecretId=made.identity, KmsKeyId=key(lab, "two"))
    secrets.untag_resource(SecretId=made.identity, TagKeys=["Purpose"])


def _version(lab: Lab) -> Properties:
    return {"secretId": secret(lab), "secretString": "one two three"}


def _of_bytes(lab: Lab) -> Properties:
    return {"secretId": secret(lab), "secretBinary": "/wD+DQo="}


def _staged(lab: Lab) -> Properties:
    return {**_version(lab), "versionStages": ["AWSCURRENT", "blue"]}


def _unstaged(lab: Lab, made: Made) -> None:
    secret_arn, version = made.identity.split("|")
    lab.client("secretsmanager").update_secret_version_stage(
        SecretId=secret_arn, VersionStage="blue", RemoveFromVersionId=version
    )


_CURRENT_STAYS = "a secret keeps its current version until it goes itself"

CASES = (
    Case(
        "aws:ssm/parameter:Parameter",
        _parameter,
        changes={
            "value": "other",
            "keyId": "alias/other",
            "description": "of the environment",
            "tier": "Advanced",
            "tags": {"Owner": "me"},
        },
        replaces={"name": "/lab/other", "type": "String"},
        meddle=_rewritten,
        drifts=frozenset({"value", "keyId"}),
    ),
    Case("aws:ssm/parameter:Parameter", _plain_parameter, changes={"value": "red", "allowedPattern": None}),
    Case(
        "aws:secretsmanager/secret:Secret",
        _secret,
        changes={
            "description": None,
            "kmsKeyId": "alias/other",
            "policy": policy("secretsmanager:GetSecretValue"),
            "recoveryWindowInDays": 0,
            "tags": {"Owner": "me"},
        },
        replaces={"name": "lab/other"},
        meddle=_other_key,
        drifts=frozenset({"kmsKeyId", "tags"}),
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        _version,
        replaces={"secretString": "other", "secretId": "lab/other"},
        outlives=_CURRENT_STAYS,
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        _of_bytes,
        replaces={"secretBinary": "//8=", "secretId": "lab/other"},
        outlives=_CURRENT_STAYS,
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        _staged,
        changes={"versionStages": ["AWSCURRENT", "green"]},
        meddle=_unstaged,
        drifts=frozenset({"versionStages"}),
        outlives=_CURRENT_STAYS,
    ),
)
