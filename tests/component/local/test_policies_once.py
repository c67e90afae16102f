"""The embedded AWS keeps policies parsed, and what is written about them holds at once all the same."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local.emulator import LocalCloud
from regionshift.local.speed import once

REGION = "eu-west-1"


def test_a_text_is_parsed_once_and_every_caller_has_a_list_of_its_own() -> None:
    parsed: list[Any] = []

    def parse(document: Any) -> list[Any]:
        parsed.append(document)
        return [document]

    remembering = once(parse)
    first = remembering("{}")
    first.append("somebody's")
    assert remembering("{}") == ["{}"]
    assert remembering({"Statement": []}) == [{"Statement": []}]
    assert remembering({"Statement": []}) == [{"Statement": []}]
    assert parsed == ["{}", {"Statement": []}, {"Statement": []}]


def test_a_policy_that_is_replaced_holds_from_the_next_request_on(
    cloud: LocalCloud, clients: Clients
) -> None:
    iam, name = clients.get("iam", REGION), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    s3 = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle).get("s3", REGION)

    def may(effect: str) -> None:
        statement = {"Effect": effect, "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy)

    for _ in range(2):
        may("Allow")
        s3.list_buckets()
        may("Deny")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_buckets()
