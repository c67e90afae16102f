"""``validate`` as the function's role: what it measures, and that it notices what is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from function_caller import Caller
from function_region import (
    ENVIRONMENT,
    SENTINEL,
    Region,
    build_region,
    put_encryption,
    put_public_block,
    put_rule,
)

from regionshift.local.emulator import LocalCloud

CHECKS = {"s3_bucket", "parameters", "connectivity", "encryption", "replication", "notifications"}
ROLE = "arn:aws:iam::123456789012:role/replication"


def caller(region: Region) -> Caller:
    return Caller(region.variables, region.clients_with(region.least_privilege()))


def falses(body: dict[str, Any]) -> set[str]:
    return {name for name, result in body["validation_results"].items() if result is False}


def test_the_primary_is_measured_true(primary: Region) -> None:
    status, body = caller(primary)({})
    assert status == 200, json.dumps(body, indent=1)
    assert body["validation_results"] == dict.fromkeys(CHECKS, True)
    assert body["action"] == "validate"
    assert set(body["details"]) == CHECKS
    for findings in body["details"].values():
        assert findings
        assert all(finding["asked"] and finding["answer"] for finding in findings)


def test_in_a_secondary_replication_does_not_apply(secondary: Region) -> None:
    status, body = caller(secondary)({"action": "validate"})
    assert status == 200, json.dumps(body, indent=1)
    assert body["validation_results"] == {**dict.fromkeys(CHECKS, True), "replication": "does not apply"}


def test_without_any_right_it_says_what_it_could_not_reach(primary: Region) -> None:
    call = Caller(primary.variables, primary.clients_with([]))
    status, body = call({})
    assert (status, body["code"]) == (500, "ValidationFailed")
    assert falses(body) == CHECKS
    assert all(name in body["error"] for name in CHECKS)
    for findings in body["details"].values():
        assert any("refused" in finding["answer"] for finding in findings)
    assert call.logged()[-1]["status"] == "error"


Break = Callable[[Region], object]


def _s3(region: Region) -> Any:
    return region.make("s3")


BREAKS: dict[str, tuple[Break, set[str]]] = {
    "versioning suspended": (
        lambda r: _s3(r).put_bucket_versioning(
            Bucket=r.variables.deployment_bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
        {"s3_bucket"},
    ),
    "one public block off": (
        lambda r: put_public_block(r.make, r.variables.deployment_bucket, BlockPublicPolicy=False),
        {"s3_bucket"},
    ),
    "no public block": (
        lambda r: _s3(r).delete_public_access_block(Bucket=r.variables.deployment_bucket),
        {"s3_bucket"},
    ),
    "bucket gone": (
        lambda r: _s3(r).delete_bucket(Bucket=r.variables.deployment_bucket),
        {"s3_bucket", "connectivity", "encryption", "replication"},
    ),
    "parameter gone": (
        lambda r: r.make("ssm").delete_parameter(Name=r.variables.config_parameter),
        {"parameters", "connectivity", "replication"},
    ),
    "configuration no JSON": (
        lambda r: r.put_configuration_text(SENTINEL),
        {"parameters", "replication"},
    ),
    "configuration no object": (
        lambda r: r.put_configuration_text(json.dumps([SENTINEL])),
        {"parameters", "replication"},
    ),
    "another region's configuration": (
        lambda r: r.change_configuration(region=SENTINEL),
        {"parameters"},
    ),
    "another environment's configuration": (
        lambda r: r.change_configuration(environment=SENTINEL),
        {"parameters"},
    ),
    "unknown log level": (lambda r: r.change_configuration(log_level=SENTINEL), {"parameters"}),
    "no enable_validation": (lambda r: r.change_configuration(enable_validation=None), {"parameters"}),
    "configuration does not say whether it is the primary": (
        lambda r: r.change_configuration(is_primary=None),
        {"replication"},
    ),
    "a destination that no rule leads to": (
        lambda r: r.change_configuration(replication_destinations={"eu-west-1": SENTINEL}),
        {"replication"},
    ),
    "a secondary without a destination": (
        lambda r: r.change_configuration(replication_destinations={}),
        {"replication"},
    ),
    "no replication": (
        lambda r: _s3(r).delete_bucket_replication(Bucket=r.variables.deployment_bucket),
        {"replication"},
    ),
    "key without rotation": (
        lambda r: r.make("kms").disable_key_rotation(KeyId=r.variables.key_arn),
        {"encryption"},
    ),
    "bucket key off": (
        lambda r: put_encryption(
            r.make, r.variables.deployment_bucket, r.variables.key_arn, bucket_key=False
        ),
        {"encryption"},
    ),
    "another key": (
        lambda r: put_encryption(
            r.make, r.variables.deployment_bucket, r.make("kms").create_key()["KeyMetadata"]["Arn"]
        ),
        {"encryption"},
    ),
    "topic not encrypted": (
        lambda r: r.make("sns").set_topic_attributes(
            TopicArn=r.variables.notification_topic, AttributeName="KmsMasterKeyId", AttributeValue=""
        ),
        {"notifications"},
    ),
    "topic gone": (
        lambda r: r.make("sns").delete_topic(TopicArn=r.variables.notification_topic),
        {"notifications", "connectivity"},
    ),
    "validation log group gone": (
        lambda r: r.make("logs").delete_log_group(logGroupName=r.variables.validation_log_group),
        {"connectivity"},
    ),
}


@pytest.mark.parametrize("broken", sorted(BREAKS))
def test_what_is_broken_is_false_and_nothing_else(broken: str, primary: Region) -> None:
    spoil, expected = BREAKS[broken]
    spoil(primary)
    status, body = caller(primary)({})
    assert status == 500
    assert falses(body) == expected, json.dumps(body["details"], indent=1)
    assert SENTINEL not in json.dumps(body)


@pytest.mark.parametrize(
    "change", [{"Status": "Disabled"}, {"Filter": {"Prefix": "some/"}}], ids=["disabled", "only a prefix"]
)
def test_a_rule_that_does_not_carry_everything_is_no_replication(
    change: dict[str, object], primary: Region, secondary: Region
) -> None:
    put_rule(primary, ROLE, secondary.variables.deployment_bucket, **change)
    _, body = caller(primary)({})
    assert falses(body) == {"replication"}


def test_a_function_that_is_told_no_key_judges_the_one_that_its_bucket_names(primary: Region) -> None:
    untold = primary.with_variables(key_arn="").variables
    call = Caller(untold, primary.clients_with(primary.least_privilege()))
    _, body = call({})
    assert "encryption" not in falses(body), body["details"]["encryption"]
    asked = [finding["asked"] for finding in body["details"]["encryption"]]
    assert [primary.variables.key_arn in each for each in asked] == [False, True, True]

    default = {"SSEAlgorithm": "AES256"}
    _s3(primary).put_bucket_encryption(
        Bucket=primary.variables.deployment_bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    _, body = call({})
    assert "encryption" in falses(body)
    told = [finding["answer"] for finding in body["details"]["encryption"]]
    assert told == ["AES256 with no key of ours, bucket key off", "no key is known"]


def test_a_right_taken_away_makes_its_check_false(primary: Region) -> None:
    statements = primary.without("kms:DescribeKey", "sns:Publish")
    status, body = Caller(primary.variables, primary.clients_with(statements))({})
    assert status == 500
    assert falses(body) == {"encryption", "connectivity", "notifications"}


def test_the_configuration_is_read_anew_every_time(primary: Region) -> None:
    call = caller(primary)
    assert call({})[0] == 200
    primary.put_configuration_text("{}")
    assert "parameters" in falses(call({})[1])


def test_no_value_of_the_configuration_is_ever_shown(primary: Region) -> None:
    call = caller(primary)
    _, body = call({})
    assert SENTINEL not in json.dumps(body)
    assert SENTINEL not in call.output.getvalue()
    assert SENTINEL not in json.dumps(primary.lines(primary.variables.validation_log_group))
    assert SENTINEL not in json.dumps(primary.messages())


def test_a_configuration_in_secrets_manager(cloud: LocalCloud) -> None:
    region = build_region(cloud, "eu-west-1")
    secret = region.make("secretsmanager").create_secret(
        Name=f"{region.prefix}/deployment-config",
        SecretString=json.dumps(
            {
                "region": "eu-west-1",
                "environment": ENVIRONMENT,
                "log_level": "INFO",
                "enable_validation": False,
                "is_primary": True,
            }
        ),
    )
    moved = region.with_variables(config_store="secretsmanager", config_parameter=secret["ARN"])
    status, body = caller(moved)({})
    assert status == 200, json.dumps(body, indent=1)
    # A primary by itself has nobody to replicate to.
    assert body["validation_results"]["replication"] == "does not apply"
