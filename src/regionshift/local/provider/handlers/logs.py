"""CloudWatch log groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_KEPT_FOR_EVER = 0
# CloudWatch Logs API Reference, PutRetentionPolicy.
_RETENTIONS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096}
    | {1827, 2192, 2557, 2922, 3288, 3653, _KEPT_FOR_EVER}
)


class LogGroupHandler(Handler):
    """A log group. A new name or class replaces it; key and retention change in place."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    taggable = True
    tag_calls = TagCalls("logs", "resourceArn", "tags", "tagKeys", form=dict)
    name = "name"
    name_limit = 512
    fields = {
        "name": Field(required=True, replaces=True, pattern=r"[.\-_/#A-Za-z0-9]{1,512}"),
        "kmsKeyId": Field(),
        "logGroupClass": Field(
            replaces=True, computed=True, allowed=("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")
        ),
        "retentionInDays": Field(FieldType.INTEGER, default=_KEPT_FOR_EVER),
        "skipDestroy": Field(FieldType.FLAG, default=False, opaque=True),
    }
    outputs = ("arn",)

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        days = inputs["retentionInDays"]
        if isinstance(days, int) and days not in _RETENTIONS:
            yield InvalidInput(
                "retentionInDays", f"must be one of {', '.join(map(str, sorted(_RETENTIONS)))}"
            )

    def create(self, context: Context, inputs: Properties) -> str:
        given = {"kmsKeyId": inputs.get("kmsKeyId"), "logGroupClass": inputs.get("logGroupClass")}
        context.client("logs").create_log_group(
            logGroupName=inputs["name"],
            tags=context.tags(inputs),
            **{name: value for name, value in given.items() if value},
        )
        return str(inputs["name"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        logs, days = context.client("logs"), inputs["retentionInDays"]
        if days != _KEPT_FOR_EVER:
            logs.put_retention_policy(logGroupName=identity, retentionInDays=days)
        else:
            logs.delete_retention_policy(logGroupName=identity)

    def read(self, context: Context, identity: str) -> Properties | None:
        logs = context.client("logs")
        group = _described(logs, identity)
        if group is None:
            return None
        return {
            "arn": _arn(group),
            "name": identity,
            "kmsKeyId": group.get("kmsKeyId"),
            "logGroupClass": group.get("logGroupClass"),
            "retentionInDays": group.get("retentionInDays", _KEPT_FOR_EVER),
            "tags": _tags(logs, group),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        logs = context.client("logs")
        if change.any_of("kmsKeyId"):
            # The emulator refuses both calls, but a replacement would lose the group's contents.
            if change.news.get("kmsKeyId"):
                logs.associate_kms_key(logGroupName=identity, kmsKeyId=change.news["kmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=identity)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        if not properties.get("skipDestroy"):
            context.client("logs").delete_log_group(logGroupName=identity)

    def tagged(self, context: Context, identity: str) -> str:
        return f"arn:aws:logs:{context.region}:{context.account}:log-group:{identity}"


def _described(logs: Any, name: str) -> Mapping[str, Any] | None:
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next(
        (group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None
    )


def _arn(group: Mapping[str, Any]) -> str:
    return str(group["arn"]).removesuffix(":*")


def _tags(logs: Any, group: Mapping[str, Any]) -> dict[str, str]:
    return dict(logs.list_tags_for_resource(resourceArn=_arn(group)).get("tags", {}))


HANDLERS: tuple[Handler, ...] = (LogGroupHandler(),)
