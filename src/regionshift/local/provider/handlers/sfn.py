"""Step Functions state machines."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.conversions import from_list, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.wire import Properties

_ARN_KEYS = {"key": "key", "value": "value"}  # Step Functions spells tags in lower case
_LEVELS = ("ALL", "ERROR", "FATAL", "OFF")


class StateMachineHandler(Handler):
    """Name and type replace. The id is the ARN."""

    token = "aws:sfn/stateMachine:StateMachine"
    name = "name"
    name_limit = 80
    taggable = True
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
        # Opaque because the emulator forgets it; AWS would tell it back.
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

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        listed = to_list(tags, **_ARN_KEYS)
        context.client("stepfunctions").tag_resource(resourceArn=identity, tags=listed)

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        context.client("stepfunctions").untag_resource(resourceArn=identity, tagKeys=names)


def _settings(inputs: Properties) -> dict[str, Any]:
    given = {
        "definition": inputs["definition"],
        "roleArn": inputs["roleArn"],
        "loggingConfiguration": _logging_to_api(inputs.get("loggingConfiguration")),
        "tracingConfiguration": inputs.get("tracingConfiguration"),
    }
    return {name: value for name, value in given.items() if value is not None}


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
