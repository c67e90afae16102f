"""The state machine that runs migrations: plan, copy batch by batch, add up, and undo what failed.

If a step is refused, or fails after every retry, the execution fails. The worker first publishes that to the deployment
topic.

Input:

- ``step``: ``plan``, ``copy`` or ``undo``
- ``migration_id``, ``bucket`` (of the records), ``manifest`` (its key), ``reason``
- ``on_failure``: ``rollback`` or ``stop``
- ``asked``: for ``plan``, the record that says what to plan
- ``workers``: for ``copy``, how many batches are copied at once; after a plan the worker decides

All of them are always given, so that every path in the definition exists. No input and no answer of a state has a list:
256 KiB is the limit of both (Step Functions Developer Guide, "Quotas"). The answers of batches are written to the
bucket, never joined.
"""

from __future__ import annotations

import json
from typing import Any

State = dict[str, Any]

# Seconds. An account that runs all that it may has no room for one more call, for as long as it takes (new accounts may
# run ten at once: Lambda Developer Guide, "Lambda quotas"; Step Functions Developer Guide, "Handle transient Lambda
# service exceptions"). A worker that died is called again; its records say what is left.
_RETRY = [
    {
        "ErrorEquals": ["Lambda.TooManyRequestsException"],
        "IntervalSeconds": 1,
        "BackoffRate": 2.0,
        "MaxDelaySeconds": 60,
        "MaxAttempts": 30,
        "JitterStrategy": "FULL",
    },
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "BackoffRate": 2.0, "MaxAttempts": 4},
]


def definition(worker_arn: str) -> str:
    """Return the definition as JSON."""
    states = {
        "Route": {
            "Type": "Choice",
            "Choices": [_when("$.step", "plan", "Plan"), _when("$.step", "undo", "Undo")],
            "Default": "Copy",
        },
        "Plan": {
            **_call(worker_arn, "Plan", ("asked",), result="$.planned"),
            "Next": "AnythingToCopy",
        },
        "AnythingToCopy": {
            "Type": "Choice",
            "Choices": [
                _when("$.planned.Payload.status", "refused", "PlanRefused"),
                {"Variable": "$.planned.Payload.batches", "NumericEquals": 0, "Next": "Finish"},
            ],
            "Default": "Workers",
        },
        "Workers": {
            "Type": "Pass",
            "InputPath": "$.planned.Payload.workers",
            "ResultPath": "$.workers",
            "Next": "Copy",
        },
        "PlanRefused": _refused("$.planned.Payload.error"),
        "Copy": _copy(worker_arn),
        "Finish": {**_call(worker_arn, "Finish", ("on_failure",), result="$.finished"), "Next": "Proven"},
        "Proven": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.finished.Payload.status", "StringEquals": "incomplete"},
                        {"Variable": "$.on_failure", "StringEquals": "rollback"},
                    ],
                    "Next": "Undo",
                }
            ],
            "Default": "Done",
        },
        "Undo": {**_call(worker_arn, "Undo", ("reason",), result="$.undone"), "Next": "AllUndone"},
        "AllUndone": {
            "Type": "Choice",
            "Choices": [
                _when("$.undone.Payload.status", "refused", "UndoRefused"),
                _more("$.undone.Payload.more", "Undo"),
            ],
            "Default": "Done",
        },
        "UndoRefused": _refused("$.undone.Payload.error"),
        "Done": {"Type": "Succeed"},
        **{_tell(state): _tell_failure(worker_arn, state) for state in ("Plan", "Copy", "Finish", "Undo")},
        "Failed": {"Type": "Fail", "ErrorPath": "$.caught.Error", "CausePath": "$.caught.Cause"},
    }
    return json.dumps({"Comment": "Runs migrations", "StartAt": "Route", "States": states})


def _copy(worker_arn: str) -> State:
    """Return the copying state. Each line of the manifest is a batch. It is called again while it says that there is
    more.
    """
    batch = {
        **_task(worker_arn),
        "Parameters": {
            "FunctionName": worker_arn,
            "Payload": {"step": "copy", "migration_id.$": "$.migration_id", "batch.$": "$.batch"},
        },
        "ResultPath": "$.answer",
        "Next": "MoreOfBatch",
    }
    return {
        "Type": "Map",
        "ItemReader": {
            "Resource": _integration(worker_arn, "s3:getObject"),
            "ReaderConfig": {"InputType": "JSONL"},
            "Parameters": {"Bucket.$": "$.bucket", "Key.$": "$.manifest"},
        },
        # The id comes from the execution. Only a batch's number comes from the manifest.
        "ItemSelector": {"migration_id.$": "$.migration_id", "batch.$": "$$.Map.Item.Value.batch"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Batch",
            "States": {
                "Batch": batch,
                "MoreOfBatch": {
                    "Type": "Choice",
                    "Choices": [_more("$.answer.Payload.more", "Batch")],
                    "Default": "BatchDone",
                },
                "BatchDone": {"Type": "Succeed"},
            },
        },
        "ResultWriter": {
            "Resource": _integration(worker_arn, "s3:putObject"),
            "Parameters": {
                "Bucket.$": "$.bucket",
                "Prefix.$": "States.Format('migrations/{}/map', $.migration_id)",
            },
        },
        "MaxConcurrencyPath": "$.workers",
        # A batch that failed permanently leaves no results. Adding up finds it, and the others continue.
        "ToleratedFailurePercentage": 100,
        "Catch": _catch("Copy"),
        "ResultPath": None,
        "Next": "Finish",
    }


def _call(worker_arn: str, state: str, fields: tuple[str, ...], *, result: str) -> State:
    """Return the call of the worker's step with the state's name."""
    given = {f"{name}.$": f"$.{name}" for name in ("migration_id", *fields)}
    return {
        **_task(worker_arn),
        "Parameters": {"FunctionName": worker_arn, "Payload": {"step": state.lower(), **given}},
        "Catch": _catch(state),
        "ResultPath": result,
    }


def _tell_failure(worker_arn: str, failed: str) -> State:
    """Return the state in which the worker reports which state failed. If the worker itself is broken, the alarms
    report it.

    A catcher passes on only the error (Step Functions Developer Guide, "Handling errors in Step Functions workflows").
    An undo can also fail where a plan or a copy was asked for. So each state has its own.
    """
    given = {"migration_id.$": "$.migration_id", "what": failed.lower(), "error.$": "$.caught.Error"}
    return {
        **_task(worker_arn),
        "Parameters": {"FunctionName": worker_arn, "Payload": {"step": "failed", **given}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.untold", "Next": "Failed"}],
        "ResultPath": None,
        "Next": "Failed",
    }


def _catch(failed: str) -> list[State]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": _tell(failed)}]


def _tell(failed: str) -> str:
    return f"Tell{failed}Failure"


def _refused(reason: str) -> State:
    return {"Type": "Fail", "Error": "Refused", "CausePath": reason}


def _task(worker_arn: str) -> State:
    return {"Type": "Task", "Resource": _integration(worker_arn, "lambda:invoke"), "Retry": _RETRY}


def _integration(worker_arn: str, call: str) -> str:
    """Return a call that Step Functions makes itself, with the worker's partition.

    AWS GovCloud (US) User Guide, "AWS Step Functions".
    """
    return f"arn:{worker_arn.split(':')[1]}:states:::{call}"


def _when(variable: str, value: str, following: str) -> State:
    return {"Variable": variable, "StringEquals": value, "Next": following}


def _more(variable: str, following: str) -> State:
    return {"Variable": variable, "BooleanEquals": True, "Next": following}
