"""One statement of a function's resource policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.local.provider.fields import Field
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.wire import Properties

_ARGUMENTS = {
    "action": "Action",
    "principal": "Principal",
    "qualifier": "Qualifier",
    "sourceAccount": "SourceAccount",
    "sourceArn": "SourceArn",
    "principalOrgId": "PrincipalOrgID",
    "eventSourceToken": "EventSourceToken",
}
_CONDITIONS = {  # condition keys, in lower case: AWS and the emulator spell them differently
    "aws:sourcearn": "sourceArn",
    "aws:sourceaccount": "sourceAccount",
    "aws:principalorgid": "principalOrgId",
    "lambda:eventsourcetoken": "eventSourceToken",
}


class Permission(Handler):
    """Nothing of it changes in place. The id is ``function[:qualifier]/statement``."""

    token = "aws:lambda/permission:Permission"
    name = "statementId"
    name_limit = 100
    unique_by = ("function", "qualifier")
    fields = {
        "statementId": Field(required=True, replaces=True),
        "function": Field(required=True, replaces=True),
        "action": Field(required=True, replaces=True),
        "principal": Field(required=True, replaces=True),
        "qualifier": Field(replaces=True),
        "sourceAccount": Field(replaces=True),
        "sourceArn": Field(replaces=True),
        "principalOrgId": Field(replaces=True),
        "eventSourceToken": Field(replaces=True),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        identity = _identity(inputs)
        if _statement(context, identity) is not None:
            _remove(context, identity)  # left by a run that died; it may say something else
        arguments = {theirs: inputs[ours] for ours, theirs in _ARGUMENTS.items() if inputs.get(ours)}
        context.client("lambda").add_permission(
            FunctionName=inputs["function"], StatementId=inputs["statementId"], **arguments
        )
        return identity

    def read(self, context: Context, identity: str) -> Properties | None:
        statement = _statement(context, identity)
        if statement is None:
            return None
        function, qualifier, name = _parts(identity)
        return {
            "statementId": name,
            "function": function,
            "qualifier": qualifier,
            "action": statement["Action"],
            "principal": _principal(statement["Principal"]),
            **dict(_conditions(statement.get("Condition", {}))),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        _remove(context, identity)


def _identity(inputs: Properties) -> str:
    qualifier = f":{inputs['qualifier']}" if inputs.get("qualifier") else ""
    function = str(inputs["function"])
    return f"{function}{qualifier}/{inputs['statementId']}"


def _parts(identity: str) -> tuple[str, str | None, str]:
    """Function, qualifier and statement; the function may be an ARN, which has six colons unqualified."""
    function, _, name = identity.rpartition("/")
    colons = 6 if function.startswith("arn:") else 0
    if function.count(":") > colons:
        function, _, qualifier = function.rpartition(":")
        return function, qualifier, name
    return function, None, name


def _statement(context: Context, identity: str) -> Any:
    function, qualifier, name = _parts(identity)
    client = context.client("lambda")
    given = {"Qualifier": qualifier} if qualifier else {}
    try:
        policy = client.get_policy(FunctionName=function, **given)["Policy"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return next((found for found in json.loads(policy)["Statement"] if found["Sid"] == name), None)


def _remove(context: Context, identity: str) -> None:
    function, qualifier, name = _parts(identity)
    given = {"Qualifier": qualifier} if qualifier else {}
    context.client("lambda").remove_permission(FunctionName=function, StatementId=name, **given)


def _principal(principal: Any) -> Any:
    if not isinstance(principal, Mapping):
        return principal
    return principal.get("Service") or principal.get("AWS")


def _conditions(conditions: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for keys in conditions.values():
        for key, value in keys.items():
            if key.lower() in _CONDITIONS:
                yield _CONDITIONS[key.lower()], value
