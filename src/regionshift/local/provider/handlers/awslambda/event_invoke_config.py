"""What becomes of a function's asynchronous invocations."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, Shape
from regionshift.local.provider.handler import Change, Context, Handler
from regionshift.local.provider.spelling import from_api, to_api
from regionshift.local.provider.wire import Properties

_DESTINATION = Field(Shape.OBJECT, items={"destination": Field(required=True)})


class EventInvokeConfig(Handler):
    """Retries, age and destinations of one function and qualifier. The id is ``function[:qualifier]``."""

    token = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    unique_by = ("functionName", "qualifier")
    fields = {
        "functionName": Field(required=True, replaces=True),
        "qualifier": Field(replaces=True),
        "maximumEventAgeInSeconds": Field(Shape.INTEGER, computed=True, minimum=60, maximum=21600),
        "maximumRetryAttempts": Field(Shape.INTEGER, default=2, minimum=0, maximum=2),
        "destinationConfig": Field(
            Shape.OBJECT, items={"onFailure": _DESTINATION, "onSuccess": _DESTINATION}
        ),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        _put(context, inputs)
        qualifier = f":{inputs['qualifier']}" if inputs.get("qualifier") else ""
        return f"{inputs['functionName']}{qualifier}"

    def read(self, context: Context, identity: str) -> Properties | None:
        target = _target(identity)
        found = context.client("lambda").get_function_event_invoke_config(**target)
        destinations = from_api(found.get("DestinationConfig") or {}, {})
        return {
            "functionName": target["FunctionName"],
            "qualifier": target.get("Qualifier"),
            "maximumEventAgeInSeconds": found.get("MaximumEventAgeInSeconds"),
            "maximumRetryAttempts": found.get("MaximumRetryAttempts"),
            "destinationConfig": {name: value for name, value in destinations.items() if value} or None,
        }

    def update(self, context: Context, identity: str, change: Change) -> None:
        _put(context, change.news)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("lambda").delete_function_event_invoke_config(**_target(identity))


def _put(context: Context, inputs: Properties) -> None:
    given: dict[str, Any] = {
        "Qualifier": inputs.get("qualifier"),
        "MaximumEventAgeInSeconds": inputs.get("maximumEventAgeInSeconds"),
        "DestinationConfig": to_api(inputs.get("destinationConfig"), {}),
    }
    context.client("lambda").put_function_event_invoke_config(
        FunctionName=inputs["functionName"],
        MaximumRetryAttempts=inputs["maximumRetryAttempts"],
        **{name: value for name, value in given.items() if value is not None},
    )


def _target(identity: str) -> dict[str, str]:
    colons = 6 if identity.startswith("arn:") else 0
    if identity.count(":") > colons:
        function, _, qualifier = identity.rpartition(":")
        return {"FunctionName": function, "Qualifier": qualifier}
    return {"FunctionName": identity}
