"""Checks of the migration function: its settings, and its own validation from inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from regionshift.aws.errors import code_of
from regionshift.operations.checks.base import Check, CheckContext, Wrong, expect

# Lambda API Reference, "Invoke": a new or changed function is Pending, and one that nobody called for weeks
# gets its connection to the VPC back first.
_NOT_READY: Final = frozenset({"ResourceConflictException", "ResourceNotReadyException"})


class FunctionSettingsCheck(Check):
    """Runtime, memory, timeout, tracing and dead letters of the function."""

    name = "function"

    def ask(self, context: CheckContext, region: str) -> str:
        function = context.outputs.get("lambda_function_name", region)
        client = context.clients.get("lambda", region)
        found = client.get_function_configuration(FunctionName=function)
        wanted = context.config.function
        expect(f"runtime of {function}", found.get("Runtime"), wanted.runtime)
        expect(f"memory of {function}", found["MemorySize"], wanted.memory)
        expect(f"timeout of {function}", found["Timeout"], wanted.timeout)
        expect(f"tracing of {function}", found.get("TracingConfig", {}).get("Mode"), "Active")
        expect(f"role of {function}", found["Role"], context.outputs.get("lambda_role_arn", region))
        if not found.get("DeadLetterConfig", {}).get("TargetArn"):
            raise Wrong(f"{function} has no dead-letter queue")
        return f"{function}: {wanted.runtime}, {wanted.memory} MB, {wanted.timeout} s"


class FunctionCheck(Check):
    """The function's own `validate`, run in its region with its own role."""

    name = "function's own validation"
    takes_long = True
    remedy = "the line names the service that the function could not reach; its log group has more"

    # Before the links exist, the primary has secondaries that it does not replicate to yet.
    def __init__(self, *, linked: bool = True) -> None:
        self._linked = linked

    def ask(self, context: CheckContext, region: str) -> str:
        body = invoke(context, region, {"action": "validate", "linked": self._linked})
        results: Mapping[str, object] = body.get("validation_results") or {}
        wrong = sorted(name for name, value in results.items() if value is False)
        if wrong or body.get("status") != "success":
            details = body.get("details") or {}
            said = "; ".join(_in_words(name, details.get(name) or ()) for name in wrong)
            raise Wrong(said or str(body.get("error") or "it ended with an error that it does not name"))
        return ", ".join(sorted(results))


def _in_words(name: str, answers: Sequence[Mapping[str, object]]) -> str:
    """The first failed check of the function, and how many more failed."""
    failed = [each for each in answers if each.get("ok") is False]
    if not failed:
        return f"{name} failed"
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{name}: asked for {failed[0].get('asked')}; the answer was: {failed[0].get('answer')}{more}"


def invoke(context: CheckContext, region: str, event: dict[str, Any]) -> dict[str, Any]:
    """Call the region's function, and return the body of its answer.

    Raises:
        Wrong: the function failed, or ended without an answer.
    """
    function = context.outputs.get("lambda_function_name", region)
    call, body = context.clients.get("lambda", region).invoke, json.dumps(event).encode()
    answer = context.waiter.past(
        lambda: call(FunctionName=function, Payload=body),
        lambda error: isinstance(error, ClientError) and code_of(error) in _NOT_READY,
    )
    payload = json.loads(answer["Payload"].read() or b"null")
    # Lambda Developer Guide, "Lambda function errors in Python": errorType and errorMessage.
    if answer.get("FunctionError") and isinstance(payload, dict) and "errorMessage" in payload:
        raise Wrong(f"{function} failed: {payload.get('errorType', 'Error')}: {payload['errorMessage']}")
    if answer.get("FunctionError") or not isinstance(payload, dict) or "body" not in payload:
        raise Wrong(f"{function} ended without an answer: {payload}")
    return dict(json.loads(payload["body"]))


class ConfigurationCheck(Check):
    """The configuration parameter (or secret), and the application's secrets."""

    name = "configuration"

    def ask(self, context: CheckContext, region: str) -> str:
        if context.config.application.store == "secretsmanager":
            return self._secrets(context, region)
        return self._parameters(context, region)

    def _parameters(self, context: CheckContext, region: str) -> str:
        ssm = context.clients.get("ssm", region)
        names = context.config.names
        wanted = {context.outputs.get("deployment_config_parameter_name", region)}
        wanted |= {names.parameter(name, region) for name in context.config.application.secrets}
        pages = ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[
                {"Key": "Path", "Option": "Recursive", "Values": [names.environment_path(region)]}
            ]
        )
        found = {parameter["Name"]: parameter for page in pages for parameter in page["Parameters"]}
        if missing := sorted(wanted - found.keys()):
            raise Wrong(f"missing: {', '.join(missing)}")
        key = _own_key(context, region)
        for name in sorted(wanted):
            expect(f"type of {name}", found[name]["Type"], "SecureString")
            _expect_key(name, found[name].get("KeyId", ""), key)
        return f"{len(wanted)} encrypted parameters"

    def _secrets(self, context: CheckContext, region: str) -> str:
        client = context.clients.get("secretsmanager", region)
        names = context.config.names
        wanted = [context.outputs.get("deployment_config_secret_arn", region)]
        wanted += [names.secret(name, region) for name in context.config.application.secrets]
        key = _own_key(context, region)
        for name in wanted:
            secret = client.describe_secret(SecretId=name)
            if secret.get("DeletedDate"):
                raise Wrong(f"{secret['Name']} is going to be deleted")
            _expect_key(secret["Name"], secret.get("KmsKeyId", ""), key)
        return f"{len(wanted)} encrypted secrets"


def _own_key(context: CheckContext, region: str) -> frozenset[str]:
    """Every way the region's key may be named."""
    alias = context.config.names.key_alias(region)
    key = context.clients.get("kms", region).describe_key(KeyId=alias)["KeyMetadata"]
    return frozenset({alias, key["KeyId"], key["Arn"], context.arn("kms", region, alias)})


def _expect_key(name: str, found: str, key: frozenset[str]) -> None:
    if found not in key:
        raise Wrong(f"{name} is not encrypted with the region's key but with {found or 'none'}")
