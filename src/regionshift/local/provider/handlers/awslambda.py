"""Lambda functions from a zip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from regionshift.local.provider.assets import content_of
from regionshift.local.provider.conversions import from_api, given, to_api
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_SPELLINGS = {"kmsKeyArn": "KMSKeyArn", "ipv6AllowedForDualStack": "Ipv6AllowedForDualStack"}

# Bounds: Lambda Developer Guide, "Lambda quotas".
_SETTINGS: Final[Mapping[str, Field]] = {
    "role": Field(required=True),
    "handler": Field(required=True),
    "runtime": Field(required=True),
    "description": Field(),
    "memorySize": Field(FieldType.INTEGER, default=128, minimum=128, maximum=10240),
    "timeout": Field(FieldType.INTEGER, default=3, minimum=1, maximum=900),
    "kmsKeyArn": Field(),
    "layers": Field(FieldType.LIST),
    "environment": Field(
        FieldType.OBJECT, items={"variables": Field(FieldType.MAP, secret=True)}, secret=True
    ),
    "deadLetterConfig": Field(FieldType.OBJECT, items={"targetArn": Field(required=True)}),
    "tracingConfig": Field(
        FieldType.OBJECT,
        computed=True,
        items={"mode": Field(required=True, allowed=("Active", "PassThrough"))},
    ),
    "vpcConfig": Field(
        FieldType.OBJECT,
        items={
            "subnetIds": Field(FieldType.SET, required=True),
            "securityGroupIds": Field(FieldType.SET, required=True),
            "ipv6AllowedForDualStack": Field(FieldType.FLAG, default=False),
        },
    ),
    "ephemeralStorage": Field(
        FieldType.OBJECT,
        computed=True,
        items={"size": Field(FieldType.INTEGER, required=True, minimum=512, maximum=10240)},
    ),
    "loggingConfig": Field(
        FieldType.OBJECT,
        computed=True,
        items={
            "logFormat": Field(required=True, allowed=("Text", "JSON")),
            "logGroup": Field(computed=True),
            "applicationLogLevel": Field(computed=True),
            "systemLogLevel": Field(computed=True),
        },
    ),
}

# The arguments that remove a setting. A missing argument would keep it.
_CLEARED: Final[Mapping[str, Any]] = {
    "description": "",
    "kmsKeyArn": "",
    "layers": [],
    "environment": {"variables": {}},
    "deadLetterConfig": {"targetArn": ""},
    "vpcConfig": {"subnetIds": [], "securityGroupIds": []},
}


def _settings_to_api(inputs: Properties, *, clearing: bool = False) -> dict[str, Any]:
    """Return arguments of CreateFunction, or with ``clearing`` of UpdateFunctionConfiguration."""
    wanted = {**(_CLEARED if clearing else {}), **given({name: inputs.get(name) for name in _SETTINGS})}
    environment = wanted.pop("environment", None)
    arguments = dict(to_api(wanted, _SPELLINGS))
    if environment is not None:
        # Names of variables are not converted.
        arguments["Environment"] = {"Variables": dict(environment.get("variables") or {})}
    return arguments


def _settings_from_api(live: Mapping[str, Any]) -> Properties:
    """Return the inputs from GetFunction's configuration, without empty ones."""
    names = {_SPELLINGS.get(name, name[:1].upper() + name[1:]): name for name in _SETTINGS}
    found = {ours: from_api(live[theirs], _SPELLINGS) for theirs, ours in names.items() if theirs in live}
    found["environment"] = _environment(live)
    found["layers"] = [layer["Arn"] for layer in live.get("Layers") or []]
    found["vpcConfig"] = _vpc(live.get("VpcConfig") or {})
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _environment(live: Mapping[str, Any]) -> dict[str, Any] | None:
    variables = (live.get("Environment") or {}).get("Variables")
    return {"variables": dict(variables)} if variables else None


def _vpc(live: Mapping[str, Any]) -> dict[str, Any] | None:
    if not live.get("SubnetIds"):
        return None
    return {
        "subnetIds": live["SubnetIds"],
        "securityGroupIds": live.get("SecurityGroupIds", []),
        "ipv6AllowedForDualStack": live.get("Ipv6AllowedForDualStack", False),
    }


_CODE = ("code", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "codeSha256", "architectures")
_UNRESERVED = -1


class FunctionHandler(Handler):
    """A function. Only a new name or package type replaces it."""

    token = "aws:lambda/function:Function"
    name = "name"
    name_limit = 64
    taggable = True
    tag_calls = TagCalls("lambda", "Resource", form=dict)
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
        **_SETTINGS,
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

    def create(self, context: Context, inputs: Properties) -> str:
        client = context.client("lambda")
        made = client.create_function(
            FunctionName=inputs["name"],
            PackageType=inputs["packageType"],
            Code=_code(inputs),
            Architectures=inputs.get("architectures") or ["x86_64"],
            Publish=inputs["publish"],
            Tags=context.tags(inputs),
            **_settings_to_api(inputs),
        )
        return str(made["FunctionName"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        client = context.client("lambda")
        client.get_waiter("function_exists").wait(
            FunctionName=identity
        )  # a new one may not be found at first
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
            **_settings_from_api(live),
            "tags": found.get("Tags", {}),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        client = context.client("lambda")
        if change.any_of(*_SETTINGS):
            client.update_function_configuration(
                FunctionName=identity, **_settings_to_api(change.news, clearing=True)
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

    def tagged(self, context: Context, identity: str) -> str:
        return f"arn:aws:lambda:{context.region}:{context.account}:function:{identity}"


def _code(inputs: Properties) -> dict[str, Any]:
    if inputs.get("code") is not None:
        return {"ZipFile": content_of(inputs["code"])}
    stored = {
        "S3Bucket": inputs.get("s3Bucket"),
        "S3Key": inputs.get("s3Key"),
        "S3ObjectVersion": inputs.get("s3ObjectVersion"),
    }
    return given(stored)


def _settled(client: Any, name: str) -> None:
    """Wait for a change to end: Lambda refuses another one meanwhile (ResourceConflictException)."""
    client.get_waiter("function_updated_v2").wait(FunctionName=name)


def _reserved(client: Any, name: str) -> int:
    found = client.get_function(FunctionName=name).get("Concurrency", {})
    return int(found.get("ReservedConcurrentExecutions", _UNRESERVED))


def _latest_version(client: Any, name: str) -> str:
    latest = 0
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        published = (version["Version"] for version in page["Versions"])
        latest = max(latest, *(int(version) for version in published if version.isdigit()), 0)
    return str(latest) if latest else "$LATEST"


def _invoke_arn(region: str, arn: str) -> str:
    """Return the ARN for API Gateway (Lambda Developer Guide, "Invoking a Lambda function using API Gateway")."""
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"


HANDLERS: tuple[Handler, ...] = (FunctionHandler(),)
