"""Parameters of SSM's Parameter Store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.wire import Properties
from regionshift.settings.quotas import ADVANCED_PARAMETER, PARAMETER

_SECURE = "SecureString"
_DEEPEST = 15  # levels of a name; SSM API Reference, PutParameter, Name
_BYTES = {"Standard": PARAMETER.most}
_MOST_BYTES = ADVANCED_PARAMETER.most
_KIND = "Parameter"  # the type in calls on tags


class ParameterHandler(Handler):
    """A parameter. A new name, type or data type replaces it, and so does a change from advanced to standard.

    The emulator checks none of SSM's limits, so they are checked here.
    """

    token = "aws:ssm/parameter:Parameter"
    taggable = True
    name = "name"
    name_limit = 1011
    fields = {
        "name": Field(required=True, replaces=True, pattern=r"[A-Za-z0-9_.\-/]{1,1011}"),
        "type": Field(required=True, replaces=True, allowed=("String", "StringList", _SECURE)),
        "value": Field(required=True, secret=True, pattern=r"(?s).+"),
        "description": Field(pattern=r"(?s).{0,1024}"),
        "allowedPattern": Field(pattern=r"(?s).{0,1024}"),
        "keyId": Field(computed=True),
        "dataType": Field(
            replaces=True, computed=True, allowed=("text", "aws:ec2:image", "aws:ssm:integration")
        ),
        "tier": Field(computed=True, allowed=("Standard", "Advanced", "Intelligent-Tiering")),
        "overwrite": Field(FieldType.FLAG, opaque=True),
    }
    outputs = ("arn", "version")
    volatile = ("version",)

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        yield from _name_mistakes(inputs["name"])
        value = inputs["value"]
        if not isinstance(value, str):
            return
        limit = _BYTES.get(inputs.get("tier", "Standard"), _MOST_BYTES)
        if len(value.encode()) > limit:
            yield InvalidInput("value", f"must be at most {limit} bytes in this tier")
        pattern = inputs.get("allowedPattern")
        if isinstance(pattern, str) and pattern and not re.search(pattern, value):
            yield InvalidInput("value", "must match allowedPattern")

    def also_replaces(self, change: Update) -> frozenset[str]:
        down = change.olds.get("tier") == "Advanced" and change.news.get("tier") == "Standard"
        return frozenset({"tier"}) if down else frozenset()

    def create(self, context: Context, inputs: Properties) -> str:
        ssm, name = context.client("ssm"), str(inputs["name"])
        tags = to_list(context.tags(inputs))
        if inputs.get("overwrite"):  # SSM accepts tags only without it
            ssm.put_parameter(**_arguments(inputs), Overwrite=True)
            ssm.add_tags_to_resource(ResourceType=_KIND, ResourceId=name, Tags=tags)
        else:
            ssm.put_parameter(**_arguments(inputs), Tags=tags)
        return name

    def read(self, context: Context, identity: str) -> Properties | None:
        ssm = context.client("ssm")
        found = unless_gone(ssm.get_parameter, Name=identity, WithDecryption=True)
        described = _described(ssm, identity)
        if found is None or described is None:
            return None
        parameter = found["Parameter"]
        return {
            "arn": parameter["ARN"],
            "name": parameter["Name"],
            "type": parameter["Type"],
            "value": parameter["Value"],
            "version": parameter["Version"],
            "dataType": parameter.get("DataType"),
            "description": described.get("Description"),
            "allowedPattern": described.get("AllowedPattern"),
            "keyId": described.get("KeyId"),
            "tier": described.get("Tier"),
            "tags": _tags(ssm, identity),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        if change.names - {"overwrite"}:
            context.client("ssm").put_parameter(**_arguments(change.news), Overwrite=True)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ssm").delete_parameter(Name=identity)

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        ssm = context.client("ssm")
        ssm.add_tags_to_resource(ResourceType=_KIND, ResourceId=identity, Tags=to_list(tags))

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        ssm = context.client("ssm")
        ssm.remove_tags_from_resource(ResourceType=_KIND, ResourceId=identity, TagKeys=names)


def _name_mistakes(name: Any) -> Iterator[InvalidInput]:
    if not isinstance(name, str):
        return
    if re.match(r"/?(aws|ssm)", name, re.IGNORECASE):
        yield InvalidInput("name", "must not begin with 'aws' or 'ssm', which SSM reserves")
    if "/" in name and not name.startswith("/"):
        yield InvalidInput("name", "must begin with a slash when it has levels")
    if name.count("/") > _DEEPEST:
        yield InvalidInput("name", f"must have at most {_DEEPEST} levels")


def _arguments(inputs: Properties) -> dict[str, Any]:
    arguments = {
        "Name": inputs["name"],
        "Type": inputs["type"],
        "Value": inputs["value"],
        # An empty text removes the earlier one.
        "Description": inputs.get("description", ""),
        "AllowedPattern": inputs.get("allowedPattern", ""),
        "KeyId": inputs.get("keyId") if inputs["type"] == _SECURE else None,
        "DataType": inputs.get("dataType"),
        "Tier": inputs.get("tier"),
    }
    return given(arguments)


def _described(ssm: Any, name: str) -> Mapping[str, Any] | None:
    only = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    pages = ssm.get_paginator("describe_parameters").paginate(ParameterFilters=only)
    return next((parameter for page in pages for parameter in page["Parameters"]), None)


def _tags(ssm: Any, name: str) -> dict[str, str]:
    return from_list(ssm.list_tags_for_resource(ResourceType=_KIND, ResourceId=name).get("TagList", []))


HANDLERS: tuple[Handler, ...] = (ParameterHandler(),)
