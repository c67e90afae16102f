"""The artifact in a real Lambda of the embedded AWS, with the role that the program would give it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from function_region import SENTINEL, Region

from regionshift.artifact import build


@pytest.fixture
def function(primary: Region, tmp_path: Path) -> Iterator[str]:
    variables = primary.variables
    role = primary.role_arn(primary.least_privilege(), service="lambda.amazonaws.com")
    client = primary.make("lambda")
    client.create_function(
        FunctionName=primary.prefix,
        Runtime="python3.13",
        Role=role,
        Handler="migration_handler.handler",
        Code={"ZipFile": build(tmp_path).path.read_bytes()},
        Timeout=60,
        Architectures=["arm64"],
        TracingConfig={"Mode": "Active"},
        Environment={
            "Variables": {
                "REGION": variables.region,
                "ACCOUNT": variables.account,
                "ENVIRONMENT": variables.environment,
                "ENVIRONMENT_SUFFIX": variables.environment_name,
                "DEPLOYMENT_BUCKET": variables.deployment_bucket,
                "CONFIG_STORE": variables.config_store,
                "CONFIG_PARAMETER": variables.config_parameter,
                "NOTIFICATION_TOPIC": variables.notification_topic,
                "VALIDATION_LOG_GROUP": variables.validation_log_group,
                "DEPLOYMENT_LOG_GROUP": variables.deployment_log_group,
                "KMS_KEY_ARN": variables.key_arn,
            }
        },
    )
    client.get_waiter("function_active_v2").wait(FunctionName=primary.prefix)
    yield primary.prefix
    client.delete_function(FunctionName=primary.prefix)


def invoke(region: Region, name: str, payload: bytes) -> tuple[int, dict[str, Any]]:
    reply = region.make("lambda").invoke(FunctionName=name, Payload=payload)
    text = reply["Payload"].read()
    assert "FunctionError" not in reply, text
    answer = json.loads(text)
    return answer["statusCode"], json.loads(answer["body"])


def test_it_validates_and_refuses(primary: Region, function: str) -> None:
    with primary.counted("validate", "success"):
        status, body = invoke(primary, function, b"{}")
    assert status == 200, json.dumps(body, indent=1)
    assert set(body["validation_results"].values()) == {True}
    assert len(primary.lines(primary.variables.validation_log_group)) == 1
    assert {one["status"] for one in primary.messages()} == {"started", "success"}
    status, body = invoke(primary, function, b'{"action": "rollback", "migration_id": "none"}')
    assert (status, body["code"]) == (404, "NoSuchMigration")
    status, body = invoke(primary, function, b'["validate"]')
    assert (status, body["code"]) == (400, "InvalidEvent")


def test_it_answers_when_every_right_is_taken_away(primary: Region, function: str) -> None:
    role = primary.make("lambda").get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    primary.make("iam").delete_role_policy(RoleName=role, PolicyName="inline")
    status, body = invoke(primary, function, b"{}")
    assert status == 500
    assert set(body["validation_results"].values()) == {False}


def test_its_log_holds_a_json_line_an_action(primary: Region, function: str) -> None:
    group = f"/aws/lambda/{function}"
    primary.make("logs").create_log_group(logGroupName=group)
    invoke(primary, function, b"{}")
    pages = primary.make("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = list(pages.search("events[].message"))
    lines = [json.loads(message) for message in messages if message.startswith("{")]
    assert [(line["action"], line["status"]) for line in lines] == [("validate", "success")], messages
    assert SENTINEL not in "".join(messages)
