"""Patches of the emulator's Step Functions and Lambda. AWS's behaviour:

- An execution's input, a task's result and a state's output have at most 256 KiB of UTF-8 (Step Functions Developer
  Guide, "Quotas related to state machine executions"). StartExecution refuses a longer input, and one that is not JSON
  (API Reference, "StartExecution"). ``Catch`` can handle a result that is too long, but not an output.
- A missing path ends the execution with ``States.Runtime``, which ``Retry`` and ``Catch`` cannot handle (Developer
  Guide, "Handling errors in Step Functions workflows"). In a choice, only ``IsPresent`` accepts a missing path. The
  emulator continues with null.
- Starting a running execution with the same name and input again is no error (API Reference, "StartExecution").
- The error of a function is the class of its exception. A throttled call has ``Lambda.TooManyRequestsException``
  (Developer Guide, "Handle transient Lambda service exceptions").
- ``MaxConcurrencyPath`` limits the children of a distributed Map (Step Functions Developer Guide, "Using Map state in
  Distributed mode").
- A function's variables cannot have Lambda's own names (Lambda Developer Guide, "Defined runtime environment
  variables").

AWS's recorded answers to the first four: localstack/localstack, ``tests/aws/services/stepfunctions/v2``,
``test_sfn_api``, ``error_handling/test_states_errors``, ``error_handling/test_task_service_lambda``,
``scenarios/test_base_scenarios``, ``base/test_base``, ``choice_operators/test_is_operators``.
``tests/component/test_compute_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from regionshift.settings.quotas import EXECUTION_DATA

_RUNTIME = "States.Runtime"
_TOO_LONG = "States.DataLimitExceeded"
_STATES = ("pass", "task", "choice", "wait", "parallel", "map")

Given = dict[str, Any]
Handler = Callable[..., Any]


def close() -> None:
    """Patch the running ministack."""
    from ministack.core import lambda_runtime  # type: ignore[import-untyped]
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import lambda_svc, stepfunctions  # type: ignore[import-untyped]

    close_states(stepfunctions, error_response_json)
    lambda_runtime._PYTHON_WORKER_SCRIPT = telling_class(lambda_runtime._PYTHON_WORKER_SCRIPT)
    lambda_runtime.Worker.invoke = noting_class(lambda_runtime.Worker.invoke)
    lambda_svc._execute_function_warm = with_class(lambda_svc._execute_function_warm)
    for name, place in (("_create_function", 0), ("_update_config", 1)):
        setattr(
            lambda_svc, name, without_reserved_names(getattr(lambda_svc, name), place, error_response_json)
        )


def close_states(states: Any, refuse: Callable[..., Any]) -> None:
    """Patch the module ``states`` of Step Functions."""
    failure = states._ExecutionError
    states._start_execution = with_input_rules(states._start_execution, states._executions, refuse)
    states._resolve_path = strict(states._resolve_path, states._parse_jsonpath_tokens, failure)
    states._evaluate_rule = asking_presence(states._evaluate_rule, states._resolve_path_or_ctx, failure)
    states._error_matches = but_runtime(states._error_matches)
    states._invoke_resource = bounded_result(states._invoke_resource, failure)
    states._run_distributed_map = with_concurrency_path(states._run_distributed_map, states._resolve_path)
    states._call_lambda = naming_throttles(states._call_lambda, failure)
    for name in _STATES:
        handler = f"_execute_{name}"
        setattr(states, handler, bounded_output(getattr(states, handler), failure))


def with_concurrency_path(original: Handler, resolve: Callable[..., Any]) -> Handler:
    """Wrap the run of a distributed Map: resolve ``MaxConcurrencyPath`` in the state's input."""

    def run(state: Given, raw: Any, effective: Any, *others: Any) -> Any:
        if path := state.get("MaxConcurrencyPath"):
            state = {**state, "MaxConcurrency": resolve(path, effective)}
        return original(state, raw, effective, *others)

    return run


def with_input_rules(original: Handler, executions: Mapping[str, Any], refuse: Callable[..., Any]) -> Handler:
    """Wrap StartExecution: apply AWS's rules for the input, and do not start a running execution again."""

    def start(data: Given) -> Any:
        given = data.get("input", "{}")
        if len(given.encode()) > EXECUTION_DATA.most:
            limit = f"Member must have length less than or equal to {EXECUTION_DATA.most}"
            message = f"1 validation error detected: Value at 'input' failed to satisfy constraint: {limit}"
            return refuse("ValidationException", message, 400)
        try:
            json.loads(given)
        except ValueError as problem:
            message = f"Invalid State Machine Execution Input: '{problem}'"
            return refuse("InvalidExecutionInput", message, 400)
        arn = f"{data.get('stateMachineArn', '').replace(':stateMachine:', ':execution:')}:{data.get('name')}"
        running = executions.get(arn) or {}
        if running.get("status") == "RUNNING" and running["input"] == given:
            answer = {"executionArn": arn, "startDate": running["startDate"]}
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode()
        return original(data)

    return start


def strict(original: Handler, tokens_of: Callable[[str], Any], failure: type[Exception]) -> Handler:
    """Wrap the evaluation of a JSON path: fail when a path to one value is missing."""

    def resolve(path: str, data: Any) -> Any:
        tokens = tokens_of(path) if path and path.startswith("$") else None
        if not tokens or any(kind == "wildcard" for kind, _ in tokens):
            return original(path, data)
        for kind, step in tokens:
            here = data if kind == "field" and isinstance(data, dict) else {}
            if kind == "index" and isinstance(data, list):
                here = dict(enumerate(data))
            if step not in here:
                raise failure(_RUNTIME, f"Invalid path '{path}' : No results for path")
            data = here[step]
        return data

    return resolve


def asking_presence(original: Handler, resolve: Handler, failure: type[Exception]) -> Handler:
    """Wrap the evaluation of a choice's rule: ``IsPresent`` accepts a missing path, and null counts as present."""

    def judge(rule: Mapping[str, Any], data: Any, context: Any = None) -> Any:
        if "IsPresent" not in rule:
            return original(rule, data, context)
        try:
            resolve(rule["Variable"], data, context)
        except failure:
            return not rule["IsPresent"]
        return rule["IsPresent"]

    return judge


def but_runtime(original: Callable[[Any, str], bool]) -> Callable[[Any, str], bool]:
    """Wrap the match of errors with retriers and catchers: nothing matches ``States.Runtime``."""

    def matches(error_equals: Any, error: str) -> bool:
        return error != _RUNTIME and original(error_equals, error)

    return matches


def _require_short(value: Any, what: str, failure: type[Exception]) -> None:
    if len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) > EXECUTION_DATA.most:
        message = (
            f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes"
        )
        raise failure(_TOO_LONG, f"{message} service limit.")


def bounded_result(original: Handler, failure: type[Exception]) -> Handler:
    """Wrap the run of a task: fail when its result is too long."""

    def invoke(resource: str, given: Any) -> Any:
        result = original(resource, given)
        _require_short(result, resource.split(":")[-2] if ":states:::" in resource else resource, failure)
        return result

    return invoke


def bounded_output(original: Handler, failure: type[Exception]) -> Handler:
    """Wrap the run of a state: fail when its output is too long."""

    def execute(state: Mapping[str, Any], *given: Any) -> Any:
        name = given[-1]["State"]["Name"]
        output, following = original(state, *given)
        _require_short(output, name, failure)
        return output, following

    return execute


def naming_throttles(original: Handler, failure: Any) -> Handler:
    """Wrap the call of a function for a state: name the error of a throttled call."""

    def call(function: str, event: Any) -> Any:
        try:
            return original(function, event)
        except failure as problem:
            if problem.error == "Lambda.Unknown" and '"TooManyRequestsException"' in problem.cause:
                raise failure("Lambda.TooManyRequestsException", problem.cause) from None
            raise

    return call


_TOLD = '"error": str(e), "trace": traceback.format_exc()'
_class_of_error: ContextVar[str] = ContextVar("class of the exception that a function raised", default="")


def telling_class(script: str) -> str:
    """Patch the script that runs Python functions: it also returns the class of an exception."""
    return script.replace(_TOLD, f'{_TOLD}, "class": type(e).__name__')


def noting_class(original: Handler) -> Handler:
    """Wrap the run of a function: keep the class of its exception."""

    def invoke(*given: Any, **named: Any) -> Any:
        answer = original(*given, **named)
        _class_of_error.set(answer.get("class", ""))
        return answer

    return invoke


def with_class(original: Handler) -> Handler:
    """Wrap the run of a function: return the exception's class as ``errorType``."""

    def execute(*given: Any) -> Any:
        before = _class_of_error.set("")
        try:
            answer = original(*given)
            if answer.get("error") and _class_of_error.get():
                answer["body"]["errorType"] = _class_of_error.get()
            return answer
        finally:
            _class_of_error.reset(before)

    return execute


_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_REGION|REGION|EXECUTION_ENV|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY"
    r"|SESSION_TOKEN|LAMBDA_(FUNCTION_(NAME|MEMORY_SIZE|VERSION)|INITIALIZATION_TYPE|LOG_GROUP_NAME|LOG_STREAM_NAME"
    r"|RUNTIME_API))|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR"
)


def without_reserved_names(original: Handler, place: int, refuse: Callable[..., Any]) -> Handler:
    """Wrap an operation that sets a function's configuration (argument ``place``): refuse reserved variables."""

    def configure(*given: Any) -> Any:
        variables = (given[place].get("Environment") or {}).get("Variables") or {}
        reserved = sorted(filter(_RESERVED.fullmatch, variables))
        if reserved:
            message = (
                "Lambda was unable to configure your environment variables because the environment variables you have "
                "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
                f"in this request: {', '.join(reserved)}"
            )
            return refuse("InvalidParameterValueException", message, 400)
        return original(*given)

    return configure
