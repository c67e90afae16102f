"""Which keys the worker may use, asked as its role of the embedded AWS's own reading of policies.

Its services do not ask KMS on behalf of a caller, so nothing tells it which service a call comes through: here the
test does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)
from policy_reading import statements
from recorder import built, config

REGION, OTHER, ACCOUNT = "eu-west-1", "us-east-1", "111122223333"
NAMED = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-1111-1111-1111-111111111111"
ANY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/22222222-2222-2222-2222-222222222222"
ELSEWHERE = f"arn:aws:kms:{OTHER}:{ACCOUNT}:key/33333333-3333-3333-3333-333333333333"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one"
WRITING = ("kms:Encrypt", "kms:GenerateDataKey")


def may(action: str, key: str, service: str, region: str = REGION, alias: str = "") -> bool:
    """Whether the role may do it to ``key``; through a service, or without one (empty)."""
    seen: dict[str, Any] = {"kms:resourcealiases": [alias] if alias else []}
    if service:
        seen["kms:viaservice"] = f"{service}.{region}.amazonaws.com"
    asked = EvalContext(ROLE, "AssumedRole", ACCOUNT, action, key, region, service_context=seen)
    return bool(
        evaluate(asked, [parse_policy_document({"Statement": worker_keys(REGION)})]).decision == "Allow"
    )


@lru_cache
def worker_keys(region: str) -> list[dict[str, Any]]:
    """The worker's rights to keys in one region."""
    run = built(
        config(
            carry={
                "s3": [{"bucket": "media-{region}", "kms_key": NAMED}],
                "ssm": [{"path": "/shop", "kms_key": "alias/shop-{region}"}, {"path": "/more"}],
                "secrets": [{"name": "shop/", "kms_key": "alias/aws/secretsmanager"}],
            }
        )
    )
    return [
        found.statement
        for found in statements(run)
        if found.name in (f"worker-key-policy-{region}", f"worker-carry-keys-policy-{region}")
    ]


@pytest.mark.parametrize("action", WRITING)
def test_it_writes_with_a_named_key_through_the_service_of_its_entry_alone(action: str) -> None:
    assert may(action, NAMED, "s3")
    assert not may(action, NAMED, "ssm")
    assert not may(action, NAMED, "")
    assert not may(action, NAMED, "s3", OTHER)


@pytest.mark.parametrize("action", WRITING)
def test_an_alias_says_which_of_the_keys_it_is(action: str) -> None:
    assert may(action, ANY, "ssm", alias=f"alias/shop-{REGION}")
    assert not may(action, ANY, "ssm", alias="alias/of-somebody")
    assert not may(action, ANY, "ssm")
    assert not may(action, ANY, "s3", alias=f"alias/shop-{REGION}")
    assert not may(action, ELSEWHERE, "ssm", OTHER, alias=f"alias/shop-{REGION}")


@pytest.mark.parametrize("service", ["s3", "ssm", "secretsmanager"])
def test_it_reads_what_is_under_the_users_own_keys_in_other_regions_and_writes_nothing(
    service: str,
) -> None:
    assert may("kms:Decrypt", ELSEWHERE, service, OTHER)
    assert not may("kms:Decrypt", ELSEWHERE, "", OTHER)
    assert not any(may(action, ELSEWHERE, service, OTHER) for action in WRITING)


def test_a_key_of_another_region_gives_no_right_there() -> None:
    assert not any(NAMED in statement["Resource"] for statement in worker_keys(OTHER))


def test_a_key_of_aws_needs_no_right() -> None:
    assert "alias/aws" not in str(worker_keys(REGION))
