"""Step Functions state machines."""

from __future__ import annotations

from functools import partial
from typing import Any

from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_ARN_KEYS = {"key": "key", "value": "value"}  # Step Functions spells tags in lower case
_LEVELS = ("ALL", "ERROR", "FATAL", "OFF")


class StateMachineHandler(Handler):
    """A state machine. A new name or type replaces it. The id is the ARN."""

    token = "aws:sfn/stateMachine:StateMachine"
    name = "name"
    name_limit = 80
    taggable = True
    tag_calls = TagCalls(
        "stepfunctions", "resourceArn", "tags", "tagKeys", form=partial(to_list, key="key", value="value")
    )
    fields = {
        "name": Field(required=True, replaces=True),
        "type": Field(default="STANDARD", replaces=True, allowed=("STANDARD", "EXPRESS")),
        "definition": Field(FieldType.DOCUMENT, required=True),
        "roleArn": Field(required=True),
        "publish": Field(FieldType.FLAG, default=False, opaque=True),
        "loggingConfiguration": Field(
            FieldType.OBJECT,
            computed=True,
            items={
                "level": Field(default="OFF", allowed=_LEVELS),
                "includeExecutionData": Field(FieldType.FLAG, default=False),
                "logDestination": Field(),
            },
        ),
        # Opaque: AWS returns it, but the emulator does not.
        "tracingConfiguration": Field(
            FieldType.OBJECT, opaque=True, items={"enabled": Field(FieldType.FLAG, default=False)}
        ),
    }
    outputs = ("arn", "creationDate", "status")
    volatile = ("revisionId", "stateMachineVersionArn")

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("stepfunctions").create_state_machine(
            name=inputs["name"],
            type=inputs["type"],
            tags=to_list(context.tags(inputs), **_ARN_KEYS),
            **_settings(inputs),
        )
        return str(made["stateMachineArn"])

    def read(self, context: Context, identity: str) -> Properties | None:
        found = context.client("stepfunctions").describe_state_machine(stateMachineArn=identity)
        if found["status"] == "DELETING":
            return None
        return {
            "arn": found["stateMachineArn"],
            "name": found["name"],
            "type": found["type"],
            "status": found["status"],
            "creationDate": found["creationDate"].isoformat(),
            "revisionId": found.get("revisionId"),
            "definition": found["definition"],
            "roleArn": found["roleArn"],
            "loggingConfiguration": _logging_from_api(found.get("loggingConfiguration") or {}),
            "tags": _tags(context, identity),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        context.client("stepfunctions").update_state_machine(
            stateMachineArn=identity, publish=change.news["publish"], **_settings(change.news)
        )

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("stepfunctions").delete_state_machine(stateMachineArn=identity)


def _settings(inputs: Properties) -> dict[str, Any]:
    settings = {
        "definition": inputs["definition"],
        "roleArn": inputs["roleArn"],
        "loggingConfiguration": _logging_to_api(inputs.get("loggingConfiguration")),
        "tracingConfiguration": inputs.get("tracingConfiguration"),
    }
    return given(settings)


def _logging_to_api(logging: Properties | None) -> dict[str, Any] | None:
    if logging is None:
        return None
    target = logging.get("logDestination")
    destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": target}}] if target else []
    rest = {name: value for name, value in logging.items() if name != "logDestination" and value is not None}
    return {**rest, "destinations": destinations}


def _logging_from_api(logging: Properties) -> Properties:
    rest = {name: value for name, value in logging.items() if name != "destinations"}
    for destination in logging.get("destinations") or []:
        rest["logDestination"] = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
    return rest


def _tags(context: Context, arn: str) -> dict[str, str]:
    found = context.client("stepfunctions").list_tags_for_resource(resourceArn=arn)
    return from_list(found["tags"], **_ARN_KEYS)


HANDLERS: tuple[Handler, ...] = (StateMachineHandler(),)
