"""Lambda functions from a zip."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from regionshift.local.provider.assets import content_of
from regionshift.local.provider.failures import is_gone
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.handlers.awslambda import configuration
from regionshift.local.provider.wire import Properties

_CODE = ("code", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "codeSha256", "architectures")
_UNRESERVED = -1


class FunctionHandler(Handler):
    """Only the name and the kind of package replace; code, architecture and settings change in place."""

    token = "aws:lambda/function:Function"
    name = "name"
    name_limit = 64
    taggable = True
    fields = {
        "name": Field(required=True, replaces=True),
        "packageType": Field(default="Zip", replaces=True, allowed=("Zip",)),
        "code": Field(FieldType.ASSET, opaque=True),
        "s3Bucket": Field(opaque=True),
        "s3Key": Field(opaque=True),
        "s3ObjectVersion": Field(opaque=True),
        "sourceCodeHash": Field(computed=True),
        "codeSha256": Field(computed=True),
        "architectures": Field(FieldType.SET, computed=True),
        "publish": Field(FieldType.FLAG, default=False, opaque=True),
        "skipDestroy": Field(FieldType.FLAG, default=False, opaque=True),
        "reservedConcurrentExecutions": Field(FieldType.INTEGER, default=_UNRESERVED, minimum=_UNRESERVED),
        **configuration.FIELDS,
    }
    outputs = (
        "arn",
        "invokeArn",
        "qualifiedArn",
        "qualifiedInvokeArn",
        "version",
        "lastModified",
        "sourceCodeSize",
    )
    volatile = (
        "lastModified",
        "codeSha256",
        "sourceCodeSize",
        "version",
        "qualifiedArn",
        "qualifiedInvokeArn",
    )

    def find(self, context: Context, inputs: Properties) -> str | None:
        name = str(inputs["name"])
        try:
            found = context.client("lambda").get_function(FunctionName=name)
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return name if context.owns(found.get("Tags", {})) else None

    def create(self, context: Context, inputs: Properties) -> str:
        client = context.client("lambda")
        made = client.create_function(
            FunctionName=inputs["name"],
            PackageType=inputs["packageType"],
            Code=_code(inputs),
            Architectures=inputs.get("architectures") or ["x86_64"],
            Publish=inputs["publish"],
            Tags=context.tags(inputs),
            **configuration.to_api(inputs),
        )
        return str(made["FunctionName"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        client = context.client("lambda")
        client.get_waiter("function_active_v2").wait(FunctionName=identity)
        reserved = inputs["reservedConcurrentExecutions"]
        if reserved != _reserved(client, identity):
            if reserved == _UNRESERVED:
                client.delete_function_concurrency(FunctionName=identity)
            else:
                client.put_function_concurrency(FunctionName=identity, ReservedConcurrentExecutions=reserved)

    def read(self, context: Context, identity: str) -> Properties | None:
        client = context.client("lambda")
        found = client.get_function(FunctionName=identity)
        live = found["Configuration"]
        version = _latest_version(client, identity)
        qualified = f"{live['FunctionArn']}:{version}"
        return {
            "name": live["FunctionName"],
            "packageType": live.get("PackageType", "Zip"),
            "arn": live["FunctionArn"],
            "version": version,
            "qualifiedArn": qualified,
            "invokeArn": _invoke_arn(context.region, live["FunctionArn"]),
            "qualifiedInvokeArn": _invoke_arn(context.region, qualified),
            "lastModified": live["LastModified"],
            "sourceCodeHash": live["CodeSha256"],
            "codeSha256": live["CodeSha256"],
            "sourceCodeSize": live["CodeSize"],
            "architectures": live.get("Architectures", ["x86_64"]),
            "reservedConcurrentExecutions": found.get("Concurrency", {}).get(
                "ReservedConcurrentExecutions", _UNRESERVED
            ),
            **configuration.from_api(live),
            "tags": found.get("Tags", {}),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        client = context.client("lambda")
        if change.any_of(*configuration.FIELDS):
            client.update_function_configuration(
                FunctionName=identity, **configuration.to_api(change.news, clearing=True)
            )
            _settled(client, identity)
        if change.any_of(*_CODE):
            client.update_function_code(
                FunctionName=identity,
                Architectures=change.news.get("architectures") or ["x86_64"],
                **_code(change.news),
            )
            _settled(client, identity)
        if change.news["publish"]:
            client.publish_version(FunctionName=identity)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        if not properties.get("skipDestroy"):
            context.client("lambda").delete_function(FunctionName=identity)

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("lambda").tag_resource(Resource=_arn(context, identity), Tags=tags)

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        context.client("lambda").untag_resource(Resource=_arn(context, identity), TagKeys=names)


def _code(inputs: Properties) -> dict[str, Any]:
    if inputs.get("code") is not None:
        return {"ZipFile": content_of(inputs["code"])}
    given = {
        "S3Bucket": inputs.get("s3Bucket"),
        "S3Key": inputs.get("s3Key"),
        "S3ObjectVersion": inputs.get("s3ObjectVersion"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _settled(client: Any, name: str) -> None:
    """Lambda refuses a second change while the first is in progress (ResourceConflictException)."""
    client.get_waiter("function_updated_v2").wait(FunctionName=name)


def _reserved(client: Any, name: str) -> int:
    answer = client.get_function_concurrency(FunctionName=name)
    return int(answer.get("ReservedConcurrentExecutions", _UNRESERVED))


def _latest_version(client: Any, name: str) -> str:
    latest = 0
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        published = (version["Version"] for version in page["Versions"])
        latest = max(latest, *(int(version) for version in published if version.isdigit()), 0)
    return str(latest) if latest else "$LATEST"


def _arn(context: Context, name: str) -> str:
    return f"arn:aws:lambda:{context.region}:{context.account}:function:{name}"


def _invoke_arn(region: str, arn: str) -> str:
    """API Gateway's name for it; Lambda Developer Guide, "Invoking a Lambda function using API Gateway"."""
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
