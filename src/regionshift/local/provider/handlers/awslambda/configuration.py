"""The settings of a function that UpdateFunctionConfiguration changes, in our spelling and AWS's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from regionshift.local.provider import spelling
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.wire import Properties

_SPELLINGS: Final = {"kmsKeyArn": "KMSKeyArn", "ipv6AllowedForDualStack": "Ipv6AllowedForDualStack"}

# Bounds: Lambda Developer Guide, "Lambda quotas".
FIELDS: Final[Mapping[str, Field]] = {
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

# What takes a setting away again; leaving it out would keep what is there.
_CLEARED: Final[Mapping[str, Any]] = {
    "description": "",
    "kmsKeyArn": "",
    "layers": [],
    "environment": {"variables": {}},
    "deadLetterConfig": {"targetArn": ""},
    "vpcConfig": {"subnetIds": [], "securityGroupIds": []},
}


def to_api(inputs: Properties, *, clearing: bool = False) -> dict[str, Any]:
    """Arguments of CreateFunction, or with ``clearing`` those of UpdateFunctionConfiguration."""
    given = {name: inputs[name] for name in FIELDS if inputs.get(name) is not None}
    cleared = _CLEARED if clearing else {}
    wanted = {**cleared, **given}
    environment = wanted.pop("environment", None)
    arguments = dict(spelling.to_api(wanted, _SPELLINGS))
    if environment is not None:
        # Names of variables are not ours to spell.
        arguments["Environment"] = {"Variables": dict(environment.get("variables") or {})}
    return arguments


def from_api(live: Mapping[str, Any]) -> Properties:
    """The inputs that GetFunction's configuration stands for; what is empty is left out."""
    names = {_SPELLINGS.get(name, name[:1].upper() + name[1:]): name for name in FIELDS}
    found = {
        ours: spelling.from_api(live[theirs], _SPELLINGS) for theirs, ours in names.items() if theirs in live
    }
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
