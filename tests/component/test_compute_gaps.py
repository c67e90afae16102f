"""Step Functions and Lambda of the embedded AWS fail where AWS fails; whether they still need our help for it."""

from __future__ import annotations

import inspect
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local import compute_gaps
from regionshift.settings.quotas import EXECUTION_DATA

REGION = "eu-west-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
HANDLER = """
class OurError(Exception):
    pass

def handle(event, context):
    if event.get("long"):
        return "ü" * event["long"]
    raise OurError("no")
"""
CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": "Caught"}]
END: dict[str, Any] = {"Type": "Succeed"}


@dataclass(frozen=True)
class Machines:
    """Makes state machines and runs them once."""

    clients: Clients
    role: str

    def make(self, **states: Any) -> str:
        """Their first state is ``First``."""
        definition = {"StartAt": "First", "States": {"Caught": END, "Done": END, **states}}
        made = self.clients.get("stepfunctions", REGION).create_state_machine(
            name=f"m-{uuid.uuid4().hex[:10]}", definition=json.dumps(definition), roleArn=self.role
        )
        return str(made["stateMachineArn"])

    def run(self, given: Any, **states: Any) -> dict[str, Any]:
        """How an execution of them with the input ``given`` ends."""
        client: Any = self.clients.get("stepfunctions", REGION)
        arn = client.start_execution(stateMachineArn=self.make(**states), input=json.dumps(given))[
            "executionArn"
        ]
        while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(0.02)
        return dict(found)


@pytest.fixture(scope="module")
def machines(clients: Clients) -> Machines:
    iam, name = clients.get("iam", REGION), f"machines-{uuid.uuid4().hex[:10]}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    return Machines(clients, role)


@pytest.fixture(scope="module")
def function(clients: Clients, machines: Machines) -> Iterator[str]:
    """One that raises, or answers as long as it is asked to."""
    code, name = io.BytesIO(), f"raises-{uuid.uuid4().hex[:10]}"
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("code.py", HANDLER)
    client = clients.get("lambda", REGION)
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=machines.role,
        Handler="code.handle",
        Code={"ZipFile": code.getvalue()},
    )
    yield made["FunctionArn"]
    client.delete_function(FunctionName=name)


def task(function: str, **more: Any) -> dict[str, Any]:
    call = {"FunctionName": function, "Payload.$": "$"}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": call,
        "Next": "Done",
        **more,
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (json.dumps("x" * EXECUTION_DATA.most), "ValidationException"),
        ("not json", "InvalidExecutionInput"),
        ("", "InvalidExecutionInput"),
    ],
)
def test_an_input_that_aws_refuses_starts_nothing(machines: Machines, given: str, code: str) -> None:
    client: Any = machines.clients.get("stepfunctions", REGION)
    machine = machines.make(First=END)
    client.start_execution(stateMachineArn=machine, input=json.dumps("x" * (EXECUTION_DATA.most - 2)))
    with pytest.raises(ClientError, match=code):
        client.start_execution(stateMachineArn=machine, input=given)
    assert len(client.list_executions(stateMachineArn=machine)["executions"]) == 1


def test_a_running_execution_is_started_once_with_the_same_input(machines: Machines) -> None:
    client: Any = machines.clients.get("stepfunctions", REGION)
    machine = machines.make(First={"Type": "Wait", "Seconds": 600, "Next": "Done"})
    started = client.start_execution(stateMachineArn=machine, name="one", input='{"a": 1}')
    again = client.start_execution(stateMachineArn=machine, name="one", input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (started["executionArn"], started["startDate"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=machine, name="one", input='{"a": 2}')
    client.stop_execution(executionArn=started["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=machine, name="one", input='{"a": 1}')


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "InputPath": "$.none", "Next": "Done"},
        {"Type": "Pass", "OutputPath": "$.items[1]", "Next": "Done"},
        {"Type": "Pass", "Parameters": {"a.$": "$.there.none"}, "Next": "Done"},
        {"Type": "Pass", "Parameters": {"a.$": "States.Format('{}', $.none)"}, "Next": "Done"},
        {
            "Type": "Choice",
            "Choices": [{"Variable": "$.none", "StringEquals": "", "Next": "Done"}],
            "Default": "Done",
        },
        {"Type": "Fail", "CausePath": "$.none"},
        {
            "Type": "Map",
            "ItemsPath": "$.none",
            "ItemProcessor": {"StartAt": "I", "States": {"I": END}},
            "Catch": CATCH_ALL,
            "Next": "Done",
        },
    ],
)
def test_a_path_that_leads_nowhere_ends_the_execution_whatever_is_caught(
    machines: Machines, state: dict[str, Any]
) -> None:
    ended = machines.run({"there": {"null": None}, "items": [1]}, First=state)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "Invalid path" in ended["cause"]


@pytest.mark.parametrize(("path", "is_there"), [("$.there.null", True), ("$.there.none", False)])
def test_a_choice_may_ask_whether_a_value_is_there(machines: Machines, path: str, is_there: bool) -> None:
    rule = {"Variable": path, "IsPresent": True, "Next": "Done"}
    ended = machines.run(
        {"there": {"null": None}},
        First={"Type": "Choice", "Choices": [rule], "Default": "No"},
        No={"Type": "Fail", "Error": "No"},
    )
    assert ended["status"] == ("SUCCEEDED" if is_there else "FAILED")
    listed = {"Type": "Pass", "Parameters": {"all.$": "$.there[*].none"}, "Next": "Done"}
    assert json.loads(machines.run({"there": []}, First=listed)["output"]) == {"all": []}


def test_a_long_result_can_be_caught_and_a_long_output_cannot(machines: Machines, function: str) -> None:
    caught = machines.run({"long": EXECUTION_DATA.most // 2}, First=task(function, Catch=CATCH_ALL))
    assert json.loads(caught["output"])["caught"]["Error"] == "States.DataLimitExceeded"
    half = {"text": "x" * (EXECUTION_DATA.most // 2)}
    double = {"Type": "Pass", "Parameters": {"one.$": "$.text", "two.$": "$.text"}, "Next": "Done"}
    ended = machines.run(half, First=double)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert "'First'" in ended["cause"]


def test_a_map_runs_as_many_children_at_once_as_its_path_says(machines: Machines) -> None:
    many = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrencyPath": "$.workers",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One",
            "States": {"One": {"Type": "Pass", "End": True}},
        },
        "End": True,
    }
    ended = machines.run({"items": [1, 2, 3], "workers": 2}, First=many)
    client: Any = machines.clients.get("stepfunctions", REGION)
    (found,) = client.list_map_runs(executionArn=ended["executionArn"])["mapRuns"]
    assert client.describe_map_run(mapRunArn=found["mapRunArn"])["maxConcurrency"] == 2


def test_the_error_of_a_function_is_the_class_of_its_exception(machines: Machines, function: str) -> None:
    catch = [{**CATCH_ALL[0], "ErrorEquals": ["OurError"]}]
    ended = machines.run({}, First=task(function, Catch=catch))
    caught = json.loads(ended["output"])["caught"]
    assert (caught["Error"], json.loads(caught["Cause"])["errorType"]) == ("OurError", "OurError")
    answer = machines.clients.get("lambda", REGION).invoke(FunctionName=function, Payload=b"{}")
    assert json.loads(answer["Payload"].read())["errorType"] == "OurError"


def test_a_function_that_may_not_run_now_has_its_own_error(machines: Machines, function: str) -> None:
    client = machines.clients.get("lambda", REGION)
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        ended = machines.run({}, First=task(function))
    finally:
        client.delete_function_concurrency(FunctionName=function)
    assert ended["error"] == "Lambda.TooManyRequestsException"


def test_variables_of_lambdas_own_are_refused(machines: Machines, function: str) -> None:
    client = machines.clients.get("lambda", REGION)
    with pytest.raises(ClientError, match=r"InvalidParameterValueException.*request: AWS_REGION, _HANDLER"):
        client.update_function_configuration(
            FunctionName=function,
            Environment={"Variables": {"_HANDLER": "a", "AWS_REGION": "b", "REGION": "c"}},
        )
    client.update_function_configuration(FunctionName=function, Environment={"Variables": {"REGION": "c"}})


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when a line fails, that repair can go."""
    states = pytest.importorskip("ministack.services.stepfunctions")
    assert states._resolve_path("$.none", {}) is None
    assert states._error_matches(["States.ALL"], "States.Runtime")
    assert states._evaluate_rule({"Variable": "$.null", "IsPresent": True}, {"null": None}) is False
    state = {"Type": "Pass", "Result": "x" * EXECUTION_DATA.most, "End": True}
    assert states._execute_pass(state, {}, {"State": {"Name": "First"}})[0] == "x" * EXECUTION_DATA.most
    assert "length" not in inspect.getsource(states._start_execution)
    assert "TooManyRequests" not in inspect.getsource(states._call_lambda)
    assert "MaxConcurrencyPath" not in inspect.getsource(states._run_distributed_map)
    functions = pytest.importorskip("ministack.services.lambda_svc")
    assert "Reserved keys" not in inspect.getsource(functions)
    runtime = pytest.importorskip("ministack.core.lambda_runtime")
    assert "type(e)" not in runtime._PYTHON_WORKER_SCRIPT
    assert "type(e)" in compute_gaps.telling_class(runtime._PYTHON_WORKER_SCRIPT)
