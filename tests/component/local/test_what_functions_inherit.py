"""Functions on the embedded AWS say as much as they would on AWS, whatever the emulator itself says."""

from __future__ import annotations

import io
import json
import uuid
import zipfile

from regionshift.aws.clients import Clients

REGION = "eu-west-1"
CODE = """
import os

def handler(event, context):
    print("a line")
    return os.environ.get("LOG_LEVEL")
"""


def test_a_function_inherits_no_log_level_and_its_lines_are_kept(clients: Clients) -> None:
    name = f"function-{uuid.uuid4().hex[:8]}"
    iam, functions = clients.get("iam", REGION), clients.get("lambda", REGION)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("code.py", CODE)
    functions.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": code.getvalue()},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    assert json.load(functions.invoke(FunctionName=name)["Payload"]) is None
    logs = clients.get("logs", REGION)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    assert "a line" in [message.strip() for message in pages.search("events[].message")]
