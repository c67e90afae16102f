"""Patches of the resources and condition keys with which the emulator evaluates policies. AWS's behaviour:

- A request is evaluated for the ARN of a new resource (for EC2 ``vpc/*`` and similar), and for all resources that it
  names (Service Authorization Reference, "Actions, resources, and condition keys", column
  "Resource types"). The emulator uses one id, or ``*``.
- Creating a resource with tags also needs the right to tag it, and creating a key with a policy the right to put the
  policy (the same, column "Dependent actions"). Sources: for EC2 with ``ec2:CreateAction``, EC2 User Guide, "Grant
  permission to tag Amazon EC2 resources during creation"; for buckets and objects, S3 API Reference, "CreateBucket" and
  "PutObject", "Permissions".
- More condition keys: ``aws:RequestTag`` for EC2 and CloudWatch, ``aws:ResourceTag`` for resources of EC2, CloudWatch,
  Step Functions and IAM, ``iam:PermissionsBoundary``, ``iam:PolicyARN``, and for KMS itself ``kms:ResourceAliases``,
  ``kms:CallerAccount`` and ``kms:EncryptionContext``.
- Each operation of Lambda has its own action (Service Authorization Reference, "Actions defined by AWS Lambda"). The
  emulator uses a similar action for some.
- IAM's calls are in the region of its control plane (IAM User Guide, "AWS global condition context keys",
  ``aws:RequestedRegion``).
- A permissions boundary can use ``aws:ResourceTag`` too. The emulator looks for tags only for the caller's policies.
- A policy variable in a resource is replaced by its value. A statement with a variable that has no value matches
  nothing (IAM User Guide, "IAM policy elements: Variables and tags").
- A KMS alias means its key (KMS Developer Guide, "Using aliases to control access to KMS keys"). For an alias without a
  key no policy is evaluated: KMS answers that it does not exist.

``tests/component/test_resource_gaps.py`` fails when the emulator no longer needs a patch. It also compares the table
with the service authorization reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from string import Formatter
from typing import Any

from regionshift.local import tag_gaps
from regionshift.local.rights_gaps import Question, refusal
from regionshift.settings.regions import PARTITIONS

Handler = Callable[..., Awaitable[Any]]
Fields = Mapping[str, Sequence[str]]
Keys = Mapping[str, Any]

ABOUT: Mapping[str, tuple[str, ...]] = {
    "cloudwatch:DeleteAlarms": ("alarm:{AlarmNames}",),
    "cloudwatch:DescribeAlarms": ("alarm:*",),
    "cloudwatch:ListTagsForResource": ("{ResourceARN}",),
    "cloudwatch:TagResource": ("{ResourceARN}",),
    "cloudwatch:UntagResource": ("{ResourceARN}",),
    "cloudwatch:DeleteDashboards": ("arn:aws:cloudwatch::{account}:dashboard/{DashboardNames}",),
    "cloudwatch:GetDashboard": ("arn:aws:cloudwatch::{account}:dashboard/{DashboardName}",),
    "cloudwatch:PutDashboard": ("arn:aws:cloudwatch::{account}:dashboard/{DashboardName}",),
    "iam:CreatePolicy": ("policy/{PolicyName}",),
    "iam:SimulatePrincipalPolicy": ("{PolicySourceArn}",),
    "kms:CreateAlias": ("{AliasName}", "key/{TargetKeyId}"),
    "kms:DeleteAlias": ("{AliasName}", "key/{AliasName}"),
    "kms:UpdateAlias": ("{AliasName}", "key/{TargetKeyId}"),
    "lambda:CreateFunction": ("function:{FunctionName}",),
    "sns:ListTagsForResource": ("{ResourceArn}",),
    "sns:TagResource": ("{ResourceArn}",),
    "sns:UntagResource": ("{ResourceArn}",),
    "ssm:DeleteParameters": ("parameter/{Names}",),
    "ssm:GetParameters": ("parameter/{Names}",),
    "ssm:GetParametersByPath": ("parameter/{Path}",),
    "states:ListTagsForResource": ("{resourceArn}",),
    "states:TagResource": ("{resourceArn}",),
    "states:UntagResource": ("{resourceArn}",),
}
"""The resources of each action: an ARN, or its last part. ``{Name}`` is replaced by the value of that field."""

# The prefix of an id is its type (EC2 User Guide, "Resource IDs").
_OF_EC2: Mapping[str, str] = {
    "fl": "vpc-flow-log",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
MADE_BY_EC2: Mapping[str, str] = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateFlowLogs": "vpc-flow-log",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
    "CreateVpcEndpoint": "vpc-endpoint",
}
"""The type of the resource that an operation of EC2 creates. It has no id yet when policies are evaluated."""

TAGGED_BY: Mapping[str, str] = {
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateRole": "iam:TagRole",
    "kms:CreateKey": "kms:TagResource",
    "lambda:CreateFunction": "lambda:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "secretsmanager:CreateSecret": "secretsmanager:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
    "ssm:PutParameter": "ssm:AddTagsToResource",
    "states:CreateStateMachine": "states:TagResource",
}
"""The additional right for each creating action, when the request has tags."""

_NAMES = {
    "cloudwatch": "monitoring"
}  # the emulator's name of a service, where it differs from the actions' prefix
_LISTED = re.compile(r"(\.(member|entry))?\.\d+$")
_TAG_OF_NEW = re.compile(r"(TagSpecification\.\d+\.Tag\.\d+)\.Key")
_TYPE_OF_NEW = re.compile(r"TagSpecification\.\d+\.ResourceType")
_VARIABLE = re.compile(r"\$\{([\w:/]+)\}")
_ID = re.compile(r"([a-z]+)-[0-9a-f]+")
_LAMBDA_ACTIONS = {"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"}
_OF_ALIASES = frozenset({"kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"})


def close() -> None:
    """Patch the running ministack."""
    from ministack import app  # type: ignore[import-untyped]
    from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import tagging  # type: ignore[import-untyped]

    iam_actions._lambda_action = of_lambda(iam_actions._load_botocore_routes("lambda"))
    iam_actions.extract_iam_action = of_keys_that_stand(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = about(iam_actions.extract_resource_arn, iam_actions.extract_iam_action)
    iam_actions.request_tag_context = with_keys(iam_actions.request_tag_context)
    iam_actions.s3_additional_checks = with_tagging(iam_actions.s3_additional_checks)
    iam_evaluator._resolve_condition_key = in_region_of_iam(iam_evaluator._resolve_condition_key)
    iam_evaluator._first_match = with_variables(iam_evaluator._first_match, iam_evaluator)
    tagging.resource_tags = tags_of(tagging.resource_tags)
    iam_evaluator._resolve_condition_key = with_tags(iam_evaluator._resolve_condition_key, tagging)
    for service in sorted({"ec2", *(action.partition(":")[0] for action in (*ABOUT, *TAGGED_BY))}):
        name = _NAMES.get(service, service)
        app.SERVICE_HANDLERS[name] = asking(app.SERVICE_HANDLERS[name], name)


def fields_of(body: bytes, parameters: Mapping[str, Any]) -> Fields:
    """Return the fields of a request, which is JSON or a query. The members of a list are under its name."""
    given: Mapping[str, Any] = parameters
    if body.startswith(b"{"):
        try:
            given = json.loads(body)
        except ValueError:
            return {}  # the service refuses it
    found: dict[str, list[str]] = {}
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        texts = [each for each in values if isinstance(each, str)]
        found.setdefault(_LISTED.sub("", name), []).extend(texts)
    return found


def resources_of(action: str, given: Fields, region: str, account: str) -> list[str]:
    """Return the ARNs of a request, new resources first; empty where the emulator's own ARN is right."""
    service, _, operation = action.partition(":")
    if service == "ec2":
        return _of_network(operation, given, f"arn:aws:ec2:{region}:{account}:")
    head = f"arn:aws:{service}:{'' if service == 'iam' else region}:{account}:"
    found = []
    for template in ABOUT.get(action, ()):
        name = next((name for _, name, _, _ in Formatter().parse(template) if name and name != "account"), "")
        for value in given.get(name, ()) if name else ("",):
            end = _key_of(value) if template == "key/{AliasName}" else value.lstrip("/")
            arn = value if value.startswith("arn:") else template.format_map({"account": account, name: end})
            found.append(arn if arn.startswith("arn:") else head + arn)
    return found


def _key_of(name: str) -> str:
    """Return the id of a key by its id, ARN or alias; empty when there is none."""
    from ministack.services import kms

    found = kms._resolve_key(name) if name else None
    return str(found["KeyId"]) if found else ""


def _of_network(operation: str, given: Fields, head: str) -> list[str]:
    """Return the ARNs of the resources that an operation of EC2 creates and names."""
    from ministack.services import ec2

    if operation.startswith("Describe") and operation != "DescribeVpcAttribute":
        return ["*"]
    named = [
        value
        for name, values in given.items()
        # Removing a rule is evaluated for its security group.
        if name.endswith("Id") and "." not in name and name != "SecurityGroupRuleId"
        for value in values
    ]
    for association in given.get("AssociationId", ()):
        for table in ec2._route_tables.values():
            for each in table["Associations"]:
                if each["RouteTableAssociationId"] == association:
                    named += [table["RouteTableId"], each.get("SubnetId") or ""]
    new = [f"{head}{MADE_BY_EC2[operation]}/*"] if operation in MADE_BY_EC2 else []
    matches = [(value, _ID.fullmatch(value)) for value in dict.fromkeys(named)]
    return new + [
        f"{head}{_OF_EC2[match[1]]}/{value}" for value, match in matches if match and match[1] in _OF_EC2
    ]


def of_lambda(
    routes: Iterable[tuple[str, re.Pattern[str], str, int, Any]],
) -> Callable[[str, str], str | None]:
    """Return a function that finds the action of a request to Lambda by its method and path.

    Args:
        routes: method, pattern, operation, and required query; the most specific first.
    """
    known = [(method, pattern, name) for method, pattern, name, _, query in routes if not query]

    def action(method: str, path: str) -> str | None:
        found = next((name for verb, pattern, name in known if verb == method and pattern.match(path)), None)
        return _LAMBDA_ACTIONS.get(found, found) if found else None

    return action


def of_keys_that_stand(original: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wrap the action of a request: None for a KMS alias without a key."""

    def action(service: str, method: str, path: str, headers: Any, body: bytes, *more: Any) -> str | None:
        found = original(service, method, path, headers, body, *more)
        if service != "kms" or found in _OF_ALIASES or b"alias/" not in body:
            return found
        named = fields_of(body, {}).get("KeyId", ())
        return found if all(_key_of(name) for name in named) else None

    return action


def about(original: Callable[..., str], action_of: Callable[..., str | None]) -> Callable[..., str]:
    """Wrap the ARN of a request: return the first that AWS evaluates."""

    def resource(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        parameters: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        asked = (service, method, path, headers, body, parameters)
        found = original(*asked, region, account)
        if service == "s3":
            return found
        action = action_of(*asked) or ""
        given = fields_of(body, parameters)
        if first := resources_of(action, given, region, account):
            return first[0]
        if service == "iam":
            return _with_path(found, given)
        if service == "kms" and ":alias/" in found:
            key = _key_of(found.split(":", 5)[5])
            return f"arn:aws:kms:{region}:{account}:key/{key}" if key else found
        return found

    return resource


def _with_path(arn: str, given: Fields) -> str:
    """Return the ARN of a role or policy with its path, which the emulator leaves out."""
    from ministack.services import iam

    head, kind, name = arn.partition(":role/")
    if not kind:
        return arn
    role = iam._roles.get(name)
    path = next(iter(given.get("Path", ())), "/")
    return str(role["Arn"]) if role else f"{head}:role{path}{name}"


def with_keys(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Wrap the condition keys of a request: add those of EC2, CloudWatch, IAM and KMS."""

    def keys(service: str, action: str, body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        found = original(service, action, body, parameters)
        if service == "ec2":
            return found | _request_tags(
                (_only(value), _only(parameters.get(f"{match[1]}.Value", "")))
                for name, value in parameters.items()
                if (match := _TAG_OF_NEW.fullmatch(name))
            )
        if service == _NAMES["cloudwatch"]:
            return found | _request_tags(tag_gaps.tags_of(body))
        if service == "iam":
            return found | _of_roles(action, fields_of(body, parameters))
        if service == "kms":
            return found | _of_keys(body)
        return found

    return keys


def _request_tags(tags: Iterable[tuple[str, str]]) -> dict[str, Any]:
    given = dict(tags)
    named = {f"aws:RequestTag/{name}": value for name, value in given.items()}
    return {"aws:TagKeys": [*given], **named} if given else {}


def _only(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _of_roles(action: str, given: Fields) -> dict[str, Any]:
    """Return the condition keys for a role's boundary, and for the policy that is attached or detached."""
    from ministack.services import iam

    role = iam._roles.get(next(iter(given.get("RoleName", ())), "")) or {}
    boundary = next(iter(given.get("PermissionsBoundary", ())), None) or role.get("PermissionsBoundary")
    found = {"iam:PermissionsBoundary": boundary} if boundary else {}
    if action.endswith("RolePolicy") and given.get("PolicyArn"):
        found["iam:PolicyARN"] = given["PolicyArn"][0]
    return found


def _of_keys(body: bytes) -> dict[str, Any]:
    """Return the condition keys for the aliases of a KMS request's key, and its encryption context."""
    from ministack.core.iam_actions import _kms_key_id_from_ciphertext  # type: ignore[import-untyped]
    from ministack.core.responses import get_account_id  # type: ignore[import-untyped]
    from ministack.services import kms

    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return {}  # the service refuses it
    found = {
        f"kms:EncryptionContext:{name}": value
        for name, value in (given.get("EncryptionContext") or {}).items()
    }
    found["kms:CallerAccount"] = get_account_id()
    key = _key_of(given.get("KeyId") or _kms_key_id_from_ciphertext(given.get("CiphertextBlob") or ""))
    aliases = [alias.split(":", 5)[5] for alias, target in kms._aliases.items() if target == key]
    return found | ({"kms:ResourceAliases": aliases} if aliases else {})


def with_tagging(original: Callable[..., list[tuple[str, str]]]) -> Callable[..., list[tuple[str, str]]]:
    """Wrap the additional checks of a request to S3: add the tagging of new buckets and objects."""

    def checks(method: str, path: str, headers: Mapping[str, str], body: bytes, parameters: Any) -> Any:
        found = original(method, path, headers, body, parameters)
        bucket, _, key = path.lstrip("/").partition("/")
        if not key and method == "PUT" and not parameters and b"<Tags>" in body:
            return [*found, ("s3:TagResource", f"arn:aws:s3:::{bucket}")]
        if key and method in ("PUT", "POST") and headers.get("x-amz-tagging"):
            found = [*found, ("s3:PutObjectTagging", f"arn:aws:s3:::{bucket}/{key}")]
        return found

    return checks


def in_region_of_iam(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Wrap the value of a condition key: requests to IAM are in its own region."""
    home = PARTITIONS["aws"].iam_region

    def resolve(key: str, context: Any) -> Any:
        if (
            key.lower() == "aws:requestedregion"
            and context.action.startswith("iam:")
            and context.action != "iam:PassRole"
        ):
            return home
        return original(key, context)

    return resolve


def with_tags(original: Callable[[str, Any], Any], tagging: Any) -> Callable[[str, Any], Any]:
    """Wrap the value of a condition key: find tags of the resource for all policies.

    Args:
        tagging: the emulator's module of tags.
    """
    prefix = "aws:resourcetag/"

    def resolve(key: str, context: Any) -> Any:
        found = original(key, context)
        if found is not None or not key.lower().startswith(prefix):
            return found
        tags = tagging.resource_tags(context.resource_arn) or {}
        wanted = key.lower().removeprefix(prefix)
        return next((value for name, value in tags.items() if name.lower() == wanted), None)

    return resolve


def with_variables(original: Callable[[Any, Sequence[Any], str], Any], evaluator: Any) -> Callable[..., Any]:
    """Wrap the search for the statement that matches a request: replace policy variables by their values.

    Args:
        evaluator: the emulator's module, for values of condition keys.
    """

    def first(context: Any, statements: Sequence[Any], effect: str) -> Any:
        def value(variable: re.Match[str]) -> str:
            return str(evaluator._resolve_condition_key(variable[1], context) or variable[0])

        def told(statement: Any) -> Any:
            if not any("${" in each for each in statement.resources):
                return statement
            return replace(statement, resources=[_VARIABLE.sub(value, each) for each in statement.resources])

        return original(context, [told(each) for each in statements if each.effect == effect], effect)

    return first


def tags_of(original: Callable[[str], dict[str, str] | None]) -> Callable[[str], dict[str, str] | None]:
    """Wrap the tags of a resource: add more services."""
    from ministack.services import cloudwatch, ec2, iam, stepfunctions

    def tags(arn: str) -> dict[str, str] | None:
        service = arn.split(":")[2] if arn.count(":") > 4 else ""
        if service == "ec2":
            kept = ec2._tags.get(arn.rpartition("/")[2])
        elif service == "states":
            kept = stepfunctions._tags.get(arn)
        elif service == "iam" and ":policy/" in arn:
            kept = (iam._policies.get(arn) or {}).get("Tags")
        elif service == "cloudwatch":
            return dict(cloudwatch._resource_tags.get(arn) or {}) or None
        else:
            return original(arn)
        return {
            tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in kept or ()
        } or None

    return tags


def asking(handler: Handler, service: str) -> Handler:
    """Wrap the handler of a service: the caller must have all rights that the request needs.

    Args:
        service: the emulator's name of the service.
    """
    from ministack import app
    from ministack.core import iam_actions
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id  # type: ignore[import-untyped]

    async def answer(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Any:
        caller = extract_access_key_id(headers, query)
        parameters = app._routing_params(method, path, headers, body, query) if caller else {}
        asked = (service, method, path, headers, body, parameters)
        action = (iam_actions.extract_iam_action(*asked) if caller else None) or ""
        if action.startswith("ec2:") or action in TAGGED_BY or action in ABOUT:
            place = (get_region(), get_account_id())
            keys = iam_actions.request_tag_context(service, action, body, parameters)
            first = iam_actions.extract_resource_arn(*asked, *place)
            questions = further(action, fields_of(body, parameters), keys, first, *place)
            if (refused := refusal(service, caller, place[0], questions, headers)) is not None:
                return refused
        return await handler(method, path, headers, body, query)

    return answer


def further(
    action: str, given: Fields, keys: Keys, first: str, region: str, account: str
) -> Iterator[Question]:
    """Yield the rights that a request needs besides its action on the first resource.

    Args:
        keys: the condition keys of the request.
        first: the first resource.
    """
    service, _, operation = action.partition(":")
    is_made = first.endswith("/*")
    of_others = {name: value for name, value in keys.items() if not (is_made and _is_of_tags(name))}
    for resource in resources_of(action, given, region, account)[1:]:
        yield Question(action, resource, of_others)
    if service == "ec2":
        for kind in (kind for name, kinds in given.items() if _TYPE_OF_NEW.fullmatch(name) for kind in kinds):
            new = f"arn:aws:ec2:{region}:{account}:{kind}/*"
            yield Question("ec2:CreateTags", new, {**keys, "ec2:CreateAction": operation})
    if action == "kms:CreateKey" and given.get("Policy"):
        yield Question("kms:PutKeyPolicy", f"arn:aws:kms:{region}:{account}:key/*")
    if action in TAGGED_BY and any(_is_of_tags(name) for name in keys):
        # For tagging, the ARN of a log group has no suffix (see `monitoring_gaps.py`).
        yield Question(TAGGED_BY[action], first.removesuffix(":*"), keys)


def _is_of_tags(key: str) -> bool:
    return key.lower().startswith(("aws:requesttag/", "aws:tagkeys"))
