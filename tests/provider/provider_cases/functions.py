"""Lambda and Step Functions cases."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

from provider_lab import Case, Lab, Made
from pulumi.runtime import rpc

from provider_cases.identities import new_role
from regionshift.local.provider.wire import Asset, Properties


def archive(lab: Lab, text: str) -> Asset:
    """A zip with one module, and the digest the engine would give it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("main.py", text)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = lab.folder / f"{digest[:12]}.zip"
    path.write_bytes(buffer.getvalue())
    return Asset(signature=rpc._special_archive_sig, digest=digest, path=str(path))


HANDLER = "def handler(event, context):\n    return {'said': %r}\n"


def _able_role(lab: Lab) -> str:
    """A role that may do what Lambda does with a function's configuration."""
    made = new_role(lab)
    able = {"Effect": "Allow", "Action": ["ec2:*", "sqs:SendMessage", "xray:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [able]})
    lab.client("iam").put_role_policy(RoleName=made.identity, PolicyName="able", PolicyDocument=policy)
    return str(made.properties["arn"])


def function_inputs(lab: Lab) -> Properties:
    return {
        "name": f"{lab.unique}-function",
        "role": _able_role(lab),
        "code": archive(lab, HANDLER % "first"),
        "handler": "main.handler",
        "runtime": "python3.13",
        "environment": {"variables": {"REGION": lab.region, "lower_case": "kept"}},
        "tracingConfig": {"mode": "Active"},
        "deadLetterConfig": {"targetArn": f"arn:aws:sqs:{lab.region}:123456789012:dead"},
        "reservedConcurrentExecutions": -1,
        "tags": {"Purpose": "work"},
    }


def new_function(lab: Lab) -> Made:
    return lab.create("aws:lambda/function:Function", function_inputs(lab), "function")


def _reconfigure(lab: Lab, made: Made) -> None:
    client = lab.client("lambda")
    client.update_function_configuration(
        FunctionName=made.identity, Timeout=99, Environment={"Variables": {"REGION": "elsewhere"}}
    )
    client.put_function_concurrency(FunctionName=made.identity, ReservedConcurrentExecutions=3)


def definition(result: str) -> str:
    return json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "Result": result, "End": True}}})


def _machine(lab: Lab) -> Properties:
    return {
        "name": f"{lab.unique}-machine",
        "roleArn": new_role(lab, "states").properties["arn"],
        "definition": definition("first"),
        "tracingConfiguration": {"enabled": True},
        "tags": {"Purpose": "work"},
    }


def _redefine(lab: Lab, made: Made) -> None:
    lab.client("stepfunctions").update_state_machine(
        stateMachineArn=made.identity, definition=definition("other")
    )


CASES = (
    Case(
        "aws:lambda/function:Function",
        function_inputs,
        changes={
            "code": lambda lab: archive(lab, HANDLER % "second"),
            "environment": {"variables": {"REGION": "another"}},
            "memorySize": 512,
            "timeout": 60,
            "architectures": ["arm64"],
            "reservedConcurrentExecutions": 2,
            "deadLetterConfig": None,
            "description": "described",
            "loggingConfig": {"logFormat": "JSON"},
            "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]},
            "tags": {"Owner": "me"},
        },
        replaces={"name": "another"},
        meddle=_reconfigure,
        drifts=frozenset({"timeout", "environment", "reservedConcurrentExecutions"}),
    ),
    Case(
        "aws:sfn/stateMachine:StateMachine",
        _machine,
        changes={
            "definition": definition("second"),
            "tracingConfiguration": {"enabled": False},
            "tags": {"Owner": "me"},
        },
        replaces={"name": "another", "type": "EXPRESS"},
        meddle=_redefine,
        drifts=frozenset({"definition"}),
    ),
)
