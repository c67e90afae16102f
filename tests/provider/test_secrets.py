"""What the contract cannot say about parameters and secrets: limits, pending deletions, and silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from provider_lab import Lab, RefusedError, opened

from regionshift.local.emulator import LocalCloud

pytestmark = pytest.mark.provider

_PARAMETER = "aws:ssm/parameter:Parameter"
_SECRET = "aws:secretsmanager/secret:Secret"
_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
_SAID_TO_NOBODY = "correct horse battery staple"


def _parameter(lab: Lab, **more: Any) -> dict[str, Any]:
    return {"name": f"/lab/{lab.unique}/it", "type": "SecureString", "value": _SAID_TO_NOBODY, **more}


def test_a_secret_that_waits_for_its_deletion_is_taken_back(
    lab: Lab, cloud: LocalCloud, tmp_path: Path
) -> None:
    inputs = {"name": f"lab/{lab.unique}", "recoveryWindowInDays": 7, "tags": {"Owner": "before"}}
    made = lab.create(_SECRET, inputs)
    lab.delete(made)
    with opened(cloud, lab.region, tmp_path) as after:
        after.unique = lab.unique
        again = after.create(_SECRET, {**inputs, "description": "new", "tags": {"Purpose": "now"}})
    assert again.identity == made.identity
    live = lab.client("secretsmanager").describe_secret(SecretId=made.identity)
    assert "DeletedDate" not in live
    assert live["Description"] == "new"
    assert {"Key": "Purpose", "Value": "now"} in live["Tags"]
    assert "Owner" not in {tag["Key"] for tag in live["Tags"]}


def test_someone_elses_secret_is_not_taken_back(lab: Lab) -> None:
    inputs = {"name": f"lab/{lab.unique}", "recoveryWindowInDays": 7}
    lab.delete(lab.create(_SECRET, inputs, "first"))
    with pytest.raises(grpc.RpcError):
        lab.create(_SECRET, inputs, "second")
    live = lab.client("secretsmanager").describe_secret(SecretId=inputs["name"])
    assert "DeletedDate" in live


def test_a_secret_without_recovery_is_gone_at_once(lab: Lab) -> None:
    inputs = {"name": f"lab/{lab.unique}", "recoveryWindowInDays": 0}
    lab.delete(lab.create(_SECRET, inputs, "first"))
    assert lab.create(_SECRET, inputs, "second").identity


def test_a_new_value_is_current_before_the_old_one_goes(lab: Lab) -> None:
    secret = lab.create(_SECRET, {"name": f"lab/{lab.unique}"}, "secret").identity
    old = lab.create(_VERSION, {"secretId": secret, "secretString": "one"})
    new = lab.create(_VERSION, {"secretId": secret, "secretString": "two"})
    lab.delete(old)
    secrets = lab.client("secretsmanager")
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "two"
    assert lab.refresh(new) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "x" * 4097, "tier": "Standard"},
        {"value": "é" * 2049, "tier": "Standard"},
        {"value": "x" * 8193, "tier": "Advanced"},
        {"allowedPattern": "^[a-z]+$"},
        {"name": "no/slash/first"},
        {"name": "/aws/mine"},
        {"name": "/a" * 16},
        {"name": "/a b"},
        {"type": "Secure"},
        {"insecureValue": "plain"},
    ],
    ids=str,
)
def test_what_ssm_would_refuse_is_refused_first_and_without_the_value(
    lab: Lab, wrong: dict[str, Any]
) -> None:
    inputs = _parameter(lab, **wrong)
    with pytest.raises(RefusedError) as refused:
        lab.check(lab.urn(_PARAMETER, "wrong"), inputs)
    assert inputs["value"] not in str(refused.value)


def test_a_parameter_of_the_largest_size_fits(lab: Lab) -> None:
    made = lab.create(_PARAMETER, _parameter(lab, value="x" * 4096, tier="Standard"))
    assert made.properties["version"] == 1


def test_an_advanced_parameter_becomes_a_standard_one_only_anew(lab: Lab) -> None:
    made = lab.create(_PARAMETER, _parameter(lab, tier="Advanced"))
    planned = lab.plan(made, _parameter(lab, tier="Standard"))
    assert planned.replaces == {"tier"}
    assert planned.delete_first


def test_a_new_value_is_a_new_version_and_a_new_tag_is_not(lab: Lab) -> None:
    made = lab.create(_PARAMETER, _parameter(lab))
    tagged = lab.update(made, _parameter(lab, tags={"Owner": "me"}))
    assert tagged.properties["version"] == 1
    changed = lab.update(tagged, _parameter(lab, value="other", tags={"Owner": "me"}))
    assert changed.properties["version"] == 2


def test_what_exists_is_overwritten_only_when_asked(lab: Lab) -> None:
    lab.create(_PARAMETER, _parameter(lab), "first")
    with pytest.raises(grpc.RpcError) as refused:
        lab.create(_PARAMETER, _parameter(lab), "second")
    assert _SAID_TO_NOBODY not in str(refused.value)
    taken = lab.create(_PARAMETER, _parameter(lab, overwrite=True, tags={"Owner": "second"}), "third")
    assert taken.properties["version"] == 2
    assert taken.properties["tagsAll"]["Owner"] == "second"


def test_a_value_that_cannot_be_stored_is_in_no_message(lab: Lab) -> None:
    inputs = {"secretId": "lab/nowhere", "secretString": _SAID_TO_NOBODY}
    with pytest.raises(grpc.RpcError) as failed:
        lab.create(_VERSION, inputs)
    assert _SAID_TO_NOBODY not in str(failed.value)
