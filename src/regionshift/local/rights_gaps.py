"""Patches for rights that the emulator does not check: passing roles, using keys, and rights of services. On AWS:

- Giving a role to a service needs ``iam:PassRole`` for that service, and the role must trust the service.
  `_PASSING` lists the operations. Source: IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
- A service uses a customer managed key with the caller's rights: the caller's policies and the key's, with
  ``kms:ViaService``, ``kms:CallerAccount``, ``kms:ResourceAliases`` and the service's encryption context. Sources: KMS
  Developer Guide, "kms:ViaService"; Systems Manager User Guide, "How AWS Systems Manager Parameter Store uses AWS KMS";
  Secrets Manager User Guide, "Secret encryption and decryption"; SNS Developer Guide, "Key management"; SQS Developer
  Guide, "Key management". For S3 see `kms_gaps.py`.
- A log group accepts a key only if the key's policy allows the region's CloudWatch Logs for that group (CloudWatch Logs
  User Guide, "Encrypt log data"). An alarm can notify an encrypted topic only if the key's policy allows CloudWatch
  (SNS Developer Guide, "Enable compatibility between event sources from AWS services and encrypted topics").
- The role of a new or changed function needs rights for network interfaces, dead letters and traces. Source: Lambda
  Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC", "Adding a dead-letter queue",
  "Visualize Lambda function invocations using AWS X-Ray".
- The role of a state machine with a log needs rights for log delivery (Step Functions Developer Guide, "Using
  CloudWatch Logs to log execution history").
- An execution calls functions, reads the items of a map, starts the map's run and writes its results with the state
  machine's role. Source: Step Functions Developer Guide, "IAM policies for using Distributed Map states".

Each service itself refuses missing keys. Everybody in the account may use AWS managed keys.
``tests/component/test_rights_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from regionshift.local.kms_gaps import ALGORITHM, KMS, KMS_KEY, KeysOfObjects, key_conditions
from regionshift.settings.regions import service_host

Handler = Callable[..., Any]
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A right to check: ``action`` on ``resource``, with these condition keys."""

    action: str
    resource: str
    keys: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceCall:
    """A request to a service: operation, fields, region and account."""

    operation: str
    given: Given
    region: str
    account: str


def close() -> None:
    """Patch the running ministack."""
    from ministack import app  # type: ignore[import-untyped]
    from ministack.services import cloudwatch, stepfunctions  # type: ignore[import-untyped]

    for service in {*_PASSING, *_WITH_KEYS}:
        app.SERVICE_HANDLERS[service] = asking(app.SERVICE_HANDLERS[service], service)
    stepfunctions._run_execution = as_role(stepfunctions._run_execution, stepfunctions)
    stepfunctions._call_lambda = calling_as_role(stepfunctions._call_lambda, stepfunctions)
    stepfunctions._read_map_items = reading_as_role(stepfunctions._read_map_items, stepfunctions)
    stepfunctions._run_distributed_map = mapping_as_role(stepfunctions._run_distributed_map, stepfunctions)
    cloudwatch._dispatch_alarm_actions = to_topics_it_may_use(cloudwatch._dispatch_alarm_actions)


def asking(handler: Callable[..., Awaitable[Any]], service: str) -> Callable[..., Awaitable[Any]]:
    """Wrap the handler of a service: the caller must have all rights that the request needs."""
    from ministack.core.responses import (  # type: ignore[import-untyped]
        error_response_json,
        get_account_id,
        get_region,
    )
    from ministack.core.router import extract_access_key_id  # type: ignore[import-untyped]

    async def answer(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Any:
        caller = extract_access_key_id(headers, query)
        operation = _operation(service, method, path, headers, body, query)
        if (
            not caller or not operation
        ):  # a request of the emulator's own services, or one without more checks
            return await handler(method, path, headers, body, query)
        asked = ServiceCall(operation, _fields(service, body, query), get_region(), get_account_id())
        questions = (*_passing(service, asked), *_of_keys(service, asked))
        if (refused := refusal(service, caller, asked.region, questions, headers)) is not None:
            return refused
        problem = (
            _untrusting(service, asked)
            or (_powerless(asked) if service in _NO_TRUST else None)
            or _without_key(service, asked)
        )
        return (
            error_response_json(*problem, 400)
            if problem
            else await handler(method, path, headers, body, query)
        )

    return answer


def refusal(
    service: str, caller: str, region: str, questions: Iterable[Question], headers: Mapping[str, str]
) -> Any:
    """Return the refusal when the access key ``caller`` lacks one of these rights, else None."""
    from ministack.core.iam_actions import access_denied_response  # type: ignore[import-untyped]
    from ministack.core.iam_evaluator import AuthError, enforce  # type: ignore[import-untyped]
    from ministack.core.responses import new_uuid

    for question in questions:
        of = question.action.partition(":")[0]
        denied = enforce(caller, question.action, of, region, question.resource, question.keys)
        if denied and not isinstance(denied, AuthError):
            return access_denied_response(
                service,
                question.action,
                denied.principal_arn,
                new_uuid(),
                headers=headers,
                resource_arn=question.resource,
                explicit_deny=denied.decision == "Deny",
                resource_policy_arn=denied.resource_policy_arn,
            )
    return None


_REST = {
    ("lambda", "POST", re.compile(r"/2015-03-31/functions/?")): "CreateFunction",
    (
        "lambda",
        "PUT",
        re.compile(r"/2015-03-31/functions/[^/]+/configuration"),
    ): "UpdateFunctionConfiguration",
    ("s3", "PUT", re.compile(r"/[^/]+/?")): "PutBucketReplication",
}


def _operation(
    service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> str:
    """Return the operation, if it has more checks; else ""."""
    if service in ("lambda", "s3"):
        if service == "s3" and "replication" not in query:
            return ""
        return next(
            (
                name
                for (of, verb, place), name in _REST.items()
                if (of, verb) == (service, method) and place.fullmatch(path)
            ),
            "",
        )
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    if not name:
        name = _first(query, "Action") or _first(parse_qs(body.decode("utf-8", "replace")), "Action")
    return name if name in _ASKED[service] else ""


def _first(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name, "")
    return str(found[0] if isinstance(found, list) else found)


def _fields(service: str, body: bytes, query: Mapping[str, Any]) -> Given:
    if service == "s3":
        role = re.search(r"<Role>([^<]+)</Role>", body.decode("utf-8", "replace"))
        return {"Role": role[1]} if role else {}
    if body.startswith(b"{"):
        found = json.loads(body)
        return found if isinstance(found, dict) else {}
    sent = {**query, **parse_qs(body.decode("utf-8", "replace"))}
    return {name: _first(sent, name) for name in sent}


_PASSING: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ec2": ("vpc-flow-logs.amazonaws.com", ("CreateFlowLogs",)),
    "events": ("events.amazonaws.com", ("PutRule", "PutTargets")),
    "lambda": ("lambda.amazonaws.com", ("CreateFunction", "UpdateFunctionConfiguration")),
    "logs": ("logs.amazonaws.com", ("PutDestination", "PutSubscriptionFilter")),
    "s3": ("s3.amazonaws.com", ("PutBucketReplication",)),
    "scheduler": ("scheduler.amazonaws.com", ("CreateSchedule", "UpdateSchedule")),
    "states": ("states.amazonaws.com", ("CreateStateMachine", "UpdateStateMachine")),
}
_ROLE_FIELDS = frozenset({"DeliverLogsPermissionArn", "Role", "RoleArn", "roleArn"})


def _roles(given: Any) -> Iterator[str]:
    """Yield all roles in the fields."""
    if isinstance(given, list):
        for each in given:
            yield from _roles(each)
    elif isinstance(given, dict):
        for name, value in given.items():
            if name in _ROLE_FIELDS and isinstance(value, str):
                yield value
            else:
                yield from _roles(value)


def _passing(service: str, asked: ServiceCall) -> Iterator[Question]:
    principal, operations = _PASSING.get(service, ("", ()))
    if asked.operation in operations:
        for role in _roles(asked.given):
            yield Question("iam:PassRole", role, {"iam:PassedToService": principal})


_NO_TRUST = {
    "lambda": (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    "states": (
        "AccessDeniedException",
        "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the "
        "provided role.",
    ),
}


def _untrusting(service: str, asked: ServiceCall) -> tuple[str, str] | None:
    """Return the refusal of a role that does not trust the service. Other services find out when they use it."""
    from ministack.core.iam_evaluator import _service_principal_matches
    from ministack.services import iam

    if service not in _NO_TRUST:
        return None
    name = _PASSING[service][0]
    principals = (name, name.replace(".", f".{asked.region}.", 1))
    for arn in _roles(asked.given):
        role = iam._roles.get(arn.rpartition("/")[2])
        if role is None:
            continue
        trust = role["AssumeRolePolicyDocument"]
        statements = (json.loads(trust) if isinstance(trust, str) else trust).get("Statement", [])
        trusted = (
            each["Effect"] == "Allow" and _service_principal_matches(each.get("Principal"), principal)
            for each in (statements if isinstance(statements, list) else [statements])
            for principal in principals
        )
        if not any(trusted):
            return _NO_TRUST[service]
    return None


_DELIVERING_LOGS = (
    *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries"),
    *("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"),
)


def _needs(asked: ServiceCall) -> Iterator[tuple[Question, tuple[str, str]]]:
    """Yield each right that the role needs, and the service's refusal without it."""

    def lambda_needs(action: str, resource: str, words: str) -> tuple[Question, tuple[str, str]]:
        message = f"The provided execution role does not have permissions to call {words}"
        return Question(action, resource), ("InvalidParameterValueException", message)

    given = asked.given
    network = given.get("VpcConfig") or {}
    places = [f"subnet/{each}" for each in network.get("SubnetIds") or []]
    if places:
        places += [f"security-group/{each}" for each in network.get("SecurityGroupIds") or []]
        for place in ("network-interface/*", *places):
            arn = f"arn:aws:ec2:{asked.region}:{asked.account}:{place}"
            yield lambda_needs("ec2:CreateNetworkInterface", arn, "CreateNetworkInterface on EC2")
        anything = f"arn:aws:ec2:{asked.region}:{asked.account}:*/*"
        yield lambda_needs("ec2:DeleteNetworkInterface", anything, "DeleteNetworkInterface on EC2")
    letters = str((given.get("DeadLetterConfig") or {}).get("TargetArn") or "")
    if ":sqs:" in letters:
        yield lambda_needs("sqs:SendMessage", letters, "SendMessage on SQS")
    elif letters:
        yield lambda_needs("sns:Publish", letters, "Publish on SNS")
    if (given.get("TracingConfig") or {}).get("Mode") == "Active":
        yield lambda_needs("xray:PutTraceSegments", "*", "PutTraceSegments on XRAY")
    if (given.get("loggingConfiguration") or {}).get("destinations"):
        words = "The state machine IAM Role is not authorized to access the Log Destination"
        for action in _DELIVERING_LOGS:
            yield Question(f"logs:{action}", "*"), ("AccessDeniedException", words)


def _powerless(asked: ServiceCall) -> tuple[str, str] | None:
    """Return the refusal of Lambda or Step Functions when the role lacks a right."""
    from ministack.services import iam

    for role in _roles(asked.given):
        for question, problem in _needs(asked):
            if iam._roles.get(role.rpartition("/")[2]) and _lacking(role, question):
                return problem
    return None


def _through(
    service: str, asked: ServiceCall, key: str | None, context: Mapping[str, str], *actions: str
) -> Iterator[Question]:
    """Yield the rights for a key that ``service`` uses with the caller's rights."""
    from ministack.services import kms

    found = kms._resolve_key(key) if key and "alias/aws/" not in key else None
    if found is None:
        return
    keys = key_conditions(kms, service, found["Arn"], asked.account, context)
    for action in actions:
        yield Question(action, found["Arn"], keys)


def _of_parameters(asked: ServiceCall) -> Iterator[Question]:
    from ministack.services import ssm

    given = asked.given

    def about(name: str, key: str | None, action: str) -> Iterator[Question]:
        return _through("ssm", asked, key, {"PARAMETER_ARN": ssm._param_arn(name)}, action)

    if asked.operation == "PutParameter":
        name = str(given.get("Name", ""))
        there = ssm._parameters.get(name) or {}
        if given.get("Type", there.get("Type")) == "SecureString":
            advanced = "Advanced" in (given.get("Tier"), there.get("Tier"))
            key = given.get("KeyId") or there.get("KeyId")
            yield from about(name, key, "kms:GenerateDataKey" if advanced else "kms:Encrypt")
        return
    if not given.get("WithDecryption"):
        return
    names = [given.get("Name"), *given.get("Names", ())]
    if asked.operation == "GetParametersByPath":  # only the parameters on the present page
        _, _, page = ssm._get_parameters_by_path({**given, "WithDecryption": False})
        names = [each["Name"] for each in json.loads(page).get("Parameters", ())]
    for name in names:
        plain = str(name)
        if not plain.startswith("arn:"):
            plain = plain.partition(":")[0]
        _, there = ssm._lookup_parameter(plain)
        if there and there["Type"] == "SecureString":
            yield from about(there["Name"], there.get("KeyId"), "kms:Decrypt")


def _of_secrets(asked: ServiceCall) -> Iterator[Question]:
    from ministack.services import secretsmanager

    given = asked.given
    _, secret = secretsmanager._resolve(given.get("SecretId"))
    key = given.get("KmsKeyId") or (secret or {}).get("KmsKeyId")
    # The suffix of a new secret's ARN is unknown.
    new = f"arn:aws:secretsmanager:{asked.region}:{asked.account}:secret:{given.get('Name')}-000000"
    context = {"SecretARN": secret["ARN"] if secret else new}
    if asked.operation == "GetSecretValue":
        yield from _through("secretsmanager", asked, key, context, "kms:Decrypt")
    elif {"SecretString", "SecretBinary", "KmsKeyId"} & given.keys() and (
        secret or "SecretString" in given or "SecretBinary" in given
    ):
        yield from _through("secretsmanager", asked, key, context, "kms:GenerateDataKey", "kms:Decrypt")


def _of_topics(asked: ServiceCall) -> Iterator[Question]:
    from ministack.services import sns

    arn = str(asked.given.get("TopicArn", ""))
    key = ((sns._topics.get(arn) or {}).get("attributes") or {}).get("KmsMasterKeyId")
    context = {"aws:sns:topicArn": arn}
    yield from _through("sns", asked, key, context, "kms:GenerateDataKey", "kms:Decrypt")


def _of_queues(asked: ServiceCall) -> Iterator[Question]:
    from ministack.services import sqs

    name = str(asked.given.get("QueueUrl", "")).rpartition("/")[2]
    queue = sqs._queues.get(sqs._queue_name_to_url.get(name, "")) or {}
    arn = f"arn:aws:sqs:{asked.region}:{asked.account}:{name}"
    key = (queue.get("attributes") or {}).get("KmsMasterKeyId")
    actions = (
        ["kms:Decrypt"] if asked.operation == "ReceiveMessage" else ["kms:GenerateDataKey", "kms:Decrypt"]
    )
    yield from _through("sqs", asked, key, {"aws:sqs:arn": arn}, *actions)


_WITH_KEYS: Mapping[str, Callable[[ServiceCall], Iterator[Question]]] = {
    "ssm": _of_parameters,
    "secretsmanager": _of_secrets,
    "sns": _of_topics,
    "sqs": _of_queues,
}


def _of_keys(service: str, asked: ServiceCall) -> Iterator[Question]:
    if service in _WITH_KEYS:
        yield from _WITH_KEYS[service](asked)


_ASKED: Mapping[str, frozenset[str]] = {
    **{service: frozenset(operations) for service, (_, operations) in _PASSING.items()},
    "logs": frozenset({*_PASSING["logs"][1], "CreateLogGroup", "AssociateKmsKey"}),
    "ssm": frozenset({"PutParameter", "GetParameter", "GetParameters", "GetParametersByPath"})
    | {"GetParameterHistory"},
    "secretsmanager": frozenset({"CreateSecret", "GetSecretValue", "PutSecretValue", "UpdateSecret"}),
    "sns": frozenset({"Publish", "PublishBatch"}),
    "sqs": frozenset({"SendMessage", "SendMessageBatch", "ReceiveMessage"}),
}


def _lets(key: Mapping[str, Any], service: str, action: str, region: str, keys: Mapping[str, Any]) -> bool:
    """Whether a key's policy allows a service to use it."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

    context = EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=key["Arn"],
        region=region,
        service_context={name.lower(): value for name, value in keys.items()},
    )
    decision = evaluate_resource_policy(key.get("Policy") or "", context, service).decision
    return bool(decision == "Allow")


def _without_key(service: str, asked: ServiceCall) -> tuple[str, str] | None:
    """Return the refusal when CloudWatch Logs may not use the key for the log group."""
    from ministack.services import kms

    if service != "logs" or asked.operation not in ("CreateLogGroup", "AssociateKmsKey"):
        return None
    key = kms._resolve_key(asked.given.get("kmsKeyId"))
    if not asked.given.get("kmsKeyId"):
        return None
    group = f"arn:aws:logs:{asked.region}:{asked.account}:log-group:{asked.given.get('logGroupName')}"
    keys = {"kms:EncryptionContext:aws:logs:arn": group}
    host = service_host("logs", asked.region)
    actions = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")
    if key is not None and all(_lets(key, host, action, asked.region, keys) for action in actions):
        return None
    message = f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
    return "AccessDeniedException", message


def to_topics_it_may_use(original: Handler) -> Handler:
    """Wrap the notifications of an alarm: skip topics whose key CloudWatch may not use."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import kms, sns

    def is_open(alarm: Given, topic: str) -> bool:
        key = ((sns._topics.get(topic) or {}).get("attributes") or {}).get("KmsMasterKeyId")
        found = kms._resolve_key(key) if key else None
        if found is None:
            return key is None or "alias/aws/" not in key
        keys = {"aws:SourceAccount": get_account_id(), "aws:SourceArn": alarm["AlarmArn"]}
        return all(
            _lets(found, "cloudwatch.amazonaws.com", action, get_region(), keys)
            for action in ("kms:Decrypt", "kms:GenerateDataKey")
        )

    def tell(alarm: Given, *more: Any) -> Any:
        kept = {
            name: [each for each in alarm.get(name) or [] if is_open(alarm, each)]
            for name in ("AlarmActions", "OKActions", "InsufficientDataActions")
        }
        return original({**alarm, **kept}, *more)

    return tell


_role: ContextVar[str] = ContextVar("the role of the execution that runs", default="")


def as_role(original: Handler, states: Any) -> Handler:
    """Wrap the run of an execution: keep its role in a context variable."""

    def run(arn: str) -> Any:
        machine = (states._executions.get(arn) or {}).get("stateMachineArn")
        _role.set((states._state_machines.get(machine) or {}).get("roleArn", ""))
        return original(arn)

    return run


def _require(states: Any, error: str, *questions: Question) -> None:
    """Fail the state with ``error`` unless the execution's role has all rights."""
    if _role.get() and (what := _lacking(_role.get(), *questions)):
        raise states._ExecutionError(error, what)


def _lacking(role: str, *questions: Question) -> str:
    """Return AWS's message for the first right that ``role`` lacks; empty when it has all."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]
    from ministack.core.responses import get_region
    from ministack.services import iam

    account, name = role.split(":")[4], role.rpartition("/")[2]
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    for question in questions:
        service = question.action.partition(":")[0]
        context = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/execution",
            principal_type="AssumedRole",
            principal_account=account,
            action=question.action,
            resource_arn=question.resource,
            region=get_region(),
            service_context={key.lower(): value for key, value in question.keys.items()},
        )
        result = iam_evaluator.evaluate(context, policies, *limits)
        found = iam_evaluator._resource_policy(service, question.resource)
        if found is not None:
            result = iam_evaluator.combine_resource_policy(
                result, context, *found, required=service == "kms", limits=limits
            )
        if result.decision != "Allow":
            what = f"is not authorized to perform: {question.action} on resource: {question.resource}"
            return f"User: {context.principal_arn} {what}"
    return ""


def calling_as_role(original: Handler, states: Any) -> Handler:
    """Wrap the call of a function for a state: the execution's role must have the right."""
    from ministack.core.responses import get_account_id, get_region

    def call(function: str, event: Any) -> Any:
        arn = function
        if not arn.startswith("arn:"):
            arn = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{function}"
        _require(states, "Lambda.AWSLambdaException", Question("lambda:InvokeFunction", arn))
        return original(function, event)

    return call


def _of_object(action: str, stored: Mapping[str, str], bucket: str, key: str) -> Iterator[Question]:
    """Yield the right for the KMS key of an object with the headers ``stored``."""
    from ministack.core.responses import get_account_id
    from ministack.services import kms, s3

    if stored.get(ALGORITHM) == KMS:
        keys = KeysOfObjects(s3, kms).context(stored, (bucket, key), get_account_id())
        yield Question(action, stored[KMS_KEY], keys)


def reading_as_role(original: Handler, states: Any) -> Handler:
    """Wrap the read of a map's items: the execution's role must have the right."""

    def read(reader: Given, effective: Any, context: Any) -> Any:
        from ministack.services import s3

        if str(reader.get("Resource", "")).endswith("s3:getObject"):
            given = states._resolve_params_obj(reader.get("Parameters") or {}, effective, context)
            bucket, key = str(given.get("Bucket")), str(given.get("Key"))
            found = (s3._buckets.get(bucket) or {}).get("objects", {}).get(key) or {}
            _require(
                states,
                "States.ItemReaderFailed",
                Question("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"),
                *_of_object("kms:Decrypt", found.get("preserved_headers") or {}, bucket, key),
            )
        return original(reader, effective, context)

    return read


def mapping_as_role(original: Handler, states: Any) -> Handler:
    """Wrap the run of a distributed map: the execution's role must have the rights to start it and write results."""

    def run(state: Given, raw: Any, effective: Any, iterator: Any, execution: Given, context: Any) -> Any:
        from ministack.services import s3

        machine = str(execution["stateMachineArn"])
        _require(states, "States.Permissions", Question("states:StartExecution", machine))
        writer = state.get("ResultWriter") or {}
        given = states._resolve_params_obj(writer.get("Parameters") or {}, effective, context)
        if given.get("Bucket"):
            bucket, key = str(given["Bucket"]), f"{given.get('Prefix', '')}/run/manifest.json"
            place = f"arn:aws:s3:::{bucket}/{key}"
            stored, _ = s3._resolve_sse_write_headers({}, bucket)
            _require(
                states,
                "States.ResultWriterFailed",
                *(Question(f"s3:{action}", place) for action in _WRITING_RESULTS),
                *_of_object("kms:GenerateDataKey", stored or {}, bucket, key),
            )
        return original(state, raw, effective, iterator, execution, context)

    return run


# Step Functions Developer Guide, "IAM policies for using Distributed Map states", "Writing results".
_WRITING_RESULTS = ("PutObject", "GetObject", "ListMultipartUploadParts", "AbortMultipartUpload")
