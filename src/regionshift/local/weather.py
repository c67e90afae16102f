"""The weather of the embedded AWS: delays and faults that AWS has, and the emulator itself has not.

`calm` changes nothing. `aws` is an ordinary day:

- A new or changed role or policy has no effect for a while, and services refuse a new role. Source:
  IAM User Guide, "Troubleshooting IAM", "Changes that I make are not always immediately visible".
- The tagging API shows new resources late, and still lists deleted ones (Resource Groups Tagging API Reference,
  "GetResources"; Tagging AWS Resources, "Eventual consistency").
- A new function is `Pending`, a changed one `InProgress`, and refuses some operations (Lambda Developer Guide, "Lambda
  function states").
- The name of a deleted bucket cannot be used for a while (AWS re:Post Knowledge Center, "A conflicting conditional
  operation is currently in progress against this resource").
- Replicas come seconds later. Only those of one key keep their order (S3 User Guide, "What does Amazon S3 replicate?").
- Reads after a write are stale, or do not find the resource (IAM User Guide, as above; Step Functions API Reference,
  "DescribeStateMachine": "eventually consistent"; for secrets and new functions: terraform-provider-aws).
- Some requests are throttled, with each service's error (`THROTTLED`).

`storm` is a bad day. It adds:

- Requests that fail with 500 or 503 (AWS General Reference, "Common errors": InternalFailure, ServiceUnavailable), cut
  connections, and lost answers after the change was made, so that clients repeat it.
- Missing answers: the connection stays open for longer than a client waits (botocore Config Reference, "read_timeout":
  60 seconds), and the change is made or not.
- Regions that are slow or down for some seconds (AWS Well-Architected, "Fault isolation boundaries"). Global services
  continue.
- A wrong clock of the client for some seconds, by minutes. Each service refuses signatures that are too far from its
  time. Functions have the right clock. Sources: IAM User Guide, "Troubleshoot Signature Version 4 signing"; S3 API
  Reference, "Error responses", RequestTimeTooSkewed; for EC2's AuthFailure: aws/aws-sdk-java issue 519.

All numbers are in `WEATHERS`. They are seconds where AWS needs up to minutes, so that tests stay short. The fate of a
request depends on the seed, its service, operation and resource, and how often it was made before, but never on the
order of threads. The emulator's log has a line for each fault.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, Generic, TypeVar

from regionshift.local.replication_gaps import SHARED_VERSION
from regionshift.local.s3_gaps import tags_of_upload, with_elements

Span = tuple[float, float]
"""Shortest and longest time, in seconds."""

NEVER: Span = (0.0, 0.0)


@dataclass(frozen=True)
class Weather:
    """Delays in seconds, and shares of requests with a fault.

    Args:
        failing: 500 or 503. cut: cut before the request is done; lost: cut after it is done.
        silent: no answer comes; for half of them the request is done.
        region_down, region_slow: shares of a region's periods (`PERIOD`).
        clock_wrong: the share of periods that begin with a wrong clock.
    """

    iam_delay: Span = NEVER
    index_lag: Span = NEVER
    function_pending: Span = NEVER
    name_taken: Span = NEVER
    replication: Span = NEVER
    stale: Span = NEVER
    throttled: float = 0.0
    failing: float = 0.0
    cut: float = 0.0
    lost: float = 0.0
    region_down: float = 0.0
    region_slow: float = 0.0
    silent: float = 0.0
    clock_wrong: float = 0.0


CALM = "calm"
_AWS = Weather(
    iam_delay=(0.5, 3.0),
    index_lag=(1.0, 4.0),
    function_pending=(0.5, 2.0),
    name_taken=(1.0, 4.0),
    replication=(0.2, 3.0),
    stale=(0.2, 2.0),
    throttled=0.02,
)
WEATHERS: Mapping[str, Weather] = {
    CALM: Weather(),
    "aws": _AWS,
    "storm": replace(
        _AWS,
        throttled=0.04,
        failing=0.02,
        cut=0.01,
        lost=0.01,
        region_down=0.1,
        region_slow=0.1,
        silent=0.0005,
        clock_wrong=0.04,
    ),
}
PERIOD = 30.0
"""Seconds of one state of a region."""
_SLOW: Span = (0.5, 2.0)
_SILENCE = 70.0
"""Seconds after which a silent connection is closed. botocore gives up before that, after 60 s."""
_CLOCK_WRONG: Span = (3.0, 10.0)
_CLOCK_OUT: Span = (360.0, 3600.0)
"""Seconds, ahead or behind: sometimes only services that allow 15 minutes accept it, and not those that allow 5."""

_VARIABLE, _SEED_VARIABLE = "REGIONSHIFT_WEATHER", "REGIONSHIFT_WEATHER_SEED"

logger = logging.getLogger("regionshift.weather")


def variables(name: str, seed: int) -> dict[str, str]:
    """Return the variables of the weather for the emulator's process."""
    return {_VARIABLE: name, _SEED_VARIABLE: str(seed)}


def of_variables(environ: MutableMapping[str, str]) -> tuple[str, int]:
    """Return weather and seed from the variables, and remove these, because functions inherit the others."""
    return environ.pop(_VARIABLE, CALM), int(environ.pop(_SEED_VARIABLE, "0"))


@dataclass(frozen=True)
class Refusal:
    """An error with AWS's code and message."""

    code: str
    status: int
    message: str
    more: Mapping[str, str] = field(default_factory=dict)
    """More elements of the error in XML."""


_RATE = "Rate exceeded"
THROTTLED: Mapping[str, Refusal] = {
    # EC2 API Reference, "Error codes for the Amazon EC2 API".
    "ec2": Refusal("RequestLimitExceeded", 503, "Request limit exceeded."),
    # IAM, STS, CloudWatch, SNS: "Common Errors" of each API Reference.
    "iam": Refusal("Throttling", 400, _RATE),
    "monitoring": Refusal("Throttling", 400, _RATE),
    "sns": Refusal("Throttling", 400, _RATE),
    "sts": Refusal("Throttling", 400, _RATE),
    # Lambda API Reference, "Invoke".
    "lambda": Refusal("TooManyRequestsException", 429, _RATE),
    # S3 API Reference, "Error responses".
    "s3": Refusal("SlowDown", 503, "Please reduce your request rate."),
    # SQS API Reference, "SendMessage".
    "sqs": Refusal("RequestThrottled", 400, "Request is throttled."),
    # Resource Groups Tagging API Reference, "GetResources".
    "tagging": Refusal(
        "ThrottledException", 400, "The request was denied to limit the frequency of requests."
    ),
}
# "Common Errors" of the API References of KMS, Secrets Manager, Step Functions, Systems Manager, CloudWatch Logs.
_THROTTLED_ELSEWHERE = Refusal("ThrottlingException", 400, _RATE)

# Random parts of names and ids, which differ in each run.
_MADE_UP = re.compile(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*")


# Limits of memory: a migration makes different requests for each of many objects.
_QUESTIONS, _ANSWERS = 100_000, 2_000

_T = TypeVar("_T")


class Recent(Generic[_T]):
    """A cache of at most ``most`` entries. The least recently used is removed first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, ...], _T] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> _T | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: tuple[str, ...], value: _T) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def drop(self, key: tuple[str, ...]) -> None:
        self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)


class Passing(Generic[_T]):
    """Values by key, each until a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, _T]] = {}
        self._look_at = _LOOK

    def put(self, key: tuple[str, ...], until: float, value: _T) -> None:
        self._kept[key] = (until, value)
        if len(self._kept) >= self._look_at:
            now = self._clock()
            self._kept = {name: each for name, each in self._kept.items() if each[0] > now}
            self._look_at = 2 * len(self._kept) + _LOOK

    def get(self, key: tuple[str, ...]) -> _T | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > self._clock() else None

    def __len__(self) -> int:
        return len(self._kept)


_LOOK = 100


class Dice:
    """Pseudorandom numbers by seed and question. Other questions in between do not change them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked: Recent[int] = Recent(_QUESTIONS)

    def share(self, *what: str) -> float:
        """Return a number in [0, 1) for the question ``what``, and another one for its next time."""
        what = tuple(_MADE_UP.sub("*", each) for each in what)
        times = (self._asked.get(what) or 0) + 1
        self._asked.put(what, times)
        text = "\n".join((str(self._seed), *what, str(times)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64

    def seconds(self, span: Span, *what: str) -> float:
        """Return a number of seconds within ``span``."""
        return span[0] + (span[1] - span[0]) * self.share(*what)


@dataclass(frozen=True)
class Request:
    """One request to the emulator.

    Args:
        resource: its ARN, or ``*``.
        parameters: by name; for protocols without names the whole body under "".
        key: the access key of its signature. signed: the time of its signature (``20261130T201500Z``).
    """

    service: str
    operation: str
    account: str
    region: str
    resource: str
    parameters: Mapping[str, Any]
    key: str = ""
    signed: str = ""

    def __str__(self) -> str:
        return f"{self.service} {self.operation} {self.region} {self.subject}"

    @property
    def subject(self) -> str:
        """The resource, or else a name among the parameters."""
        if self.resource != "*":
            return self.resource
        return next(
            (str(said) for name, said in sorted(self.parameters.items()) if name.endswith("ame")), "*"
        )

    @property
    def changes(self) -> bool:
        return not self.operation.startswith(("Get", "List", "Describe", "Head"))


Answer = tuple[int, dict[str, str], Any]


class Element:
    """One kind of delay or fault."""

    def before(self, request: Request) -> Refusal | Answer | None:
        """Return the fault or stale answer for the request, or None."""
        del request
        return None

    def after(self, request: Request, answer: Answer) -> None:
        """Note a request that was answered without an error."""


class Throttling(Element):
    """Throttles some requests."""

    def __init__(self, dice: Dice, share: float) -> None:
        self._dice, self._share = dice, share

    def before(self, request: Request) -> Refusal | None:
        asked = ("throttled", request.service, request.operation, request.region, request.subject)
        if self._dice.share(*asked) >= self._share:
            return None
        return THROTTLED.get(request.service, _THROTTLED_ELSEWHERE)


_NOT_BY_STATES = (
    "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the"
    " provided role."
)
_BY_LAMBDA = Refusal(
    "InvalidParameterValueException", 400, "The role defined for the function cannot be assumed by Lambda."
)
_BY_STATES = Refusal("AccessDeniedException", 400, _NOT_BY_STATES)
_NO_PRINCIPAL = "Policy contains a statement with one or more invalid principals."
# Operations that use a role: the parameter with its name.
_TAKE_ROLES: Mapping[tuple[str, str], tuple[str, Refusal]] = {
    ("lambda", "CreateFunction"): ("Role", _BY_LAMBDA),
    ("lambda", "UpdateFunctionConfiguration"): ("Role", _BY_LAMBDA),
    ("states", "CreateStateMachine"): ("roleArn", _BY_STATES),
    ("states", "UpdateStateMachine"): ("roleArn", _BY_STATES),
    ("ec2", "CreateFlowLogs"): (
        "DeliverLogsPermissionArn",
        Refusal("InvalidParameter", 400, "Unable to assume given IAM role"),
    ),
}
# Operations with a policy that may name a role: the parameter with the policy.
_TAKE_POLICIES: Mapping[tuple[str, str], tuple[str, Refusal]] = {
    ("kms", "CreateKey"): ("Policy", Refusal("MalformedPolicyDocumentException", 400, _NO_PRINCIPAL)),
    ("kms", "PutKeyPolicy"): ("Policy", Refusal("MalformedPolicyDocumentException", 400, _NO_PRINCIPAL)),
    ("s3", "PutBucketPolicy"): ("", Refusal("MalformedPolicy", 400, "Invalid principal in policy")),
    ("sns", "SetTopicAttributes"): (
        "AttributeValue",
        Refusal("InvalidParameter", 400, "Invalid parameter: Policy Error: PrincipalNotFound"),
    ),
}
_CHANGES_RIGHTS = frozenset(
    {
        "AttachRolePolicy",
        "CreateRole",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
    }
)
_CHANGES_TRUST = frozenset({"CreateRole", "UpdateAssumeRolePolicy"})
Policies = list[list[Any]]


class LateRoles(Element):
    """Delays the effect of a role's policies, and the existence of a new role.

    Args:
        policies: returns the stored policies of a role by name and account.
        arn: returns the ARN of a role by name.
    """

    def __init__(
        self,
        dice: Dice,
        delay: Span,
        policies: Callable[[str, str], Policies],
        arn: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._dice, self._delay, self._policies, self._arn, self._clock = dice, delay, policies, arn, clock
        # For each change of a role, oldest first: when it has effect, and the policies until then.
        self._changes: dict[tuple[str, str], list[tuple[float, Policies]]] = {}
        self._unknown: Passing[bool] = Passing(clock)

    def in_effect(self, name: str, account: str) -> Policies:
        """Return the policies that have effect now."""
        now = self._clock()
        late = [each for each in self._changes.get((account, name), ()) if each[0] > now]
        if not late:
            return self._policies(name, account)
        return late[0][1]

    def before(self, request: Request) -> Refusal | None:
        if request.service == "iam" and request.operation in _CHANGES_RIGHTS:
            name, now = str(request.parameters.get("RoleName")), self._clock()
            self._changes = {
                role: late
                for role, each in self._changes.items()
                if (late := [change for change in each if change[0] > now])
            }
            changes = self._changes.setdefault((request.account, name), [])
            ready = now + self._dice.seconds(self._delay, "iam", request.operation, name)
            changes.append((ready, self._policies(name, request.account)))
            return None
        asked = (request.service, request.operation)
        if asked in _TAKE_ROLES:
            parameter, refusal = _TAKE_ROLES[asked]
            return refusal if self._is_unknown(str(request.parameters.get(parameter))) else None
        if asked in _TAKE_POLICIES:
            parameter, refusal = _TAKE_POLICIES[asked]
            named = principals(str(request.parameters.get(parameter)))
            return refusal if any(self._is_unknown(each) for each in named) else None
        return None

    def after(self, request: Request, _answer: Answer) -> None:
        if request.service == "iam" and request.operation in _CHANGES_TRUST:
            name = str(request.parameters.get("RoleName"))
            late = self._dice.seconds(self._delay, "iam", "trust", name)
            self._unknown.put((self._arn(name),), self._clock() + late, True)

    def _is_unknown(self, arn: str) -> bool:
        return self._unknown.get((arn,)) is not None


def principals(policy: str) -> Iterator[str]:
    """Yield the accounts, users and roles that are principals of a policy; none when it is not a policy."""
    try:
        read = json.loads(policy)
    except ValueError:
        return
    statements: Any = read.get("Statement", []) if isinstance(read, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", ()) if isinstance(principal, dict) else ()
        yield from [named] if isinstance(named, str) else named


Collector = Callable[[], Iterable[tuple[str, Any]]]


class LateIndex(Element):
    """Delays the tagging API's view of tags.

    Args:
        collect: by service, returns the present resources with tags in the account and region of the request.
        place: returns that account and region.
    """

    def __init__(
        self,
        dice: Dice,
        lag: Span,
        collect: Mapping[str, Collector],
        place: Callable[[], tuple[str, str]],
        clock: Callable[[], float],
    ) -> None:
        self._dice, self._lag, self._collect, self._place, self._clock = dice, lag, collect, place, clock
        # By service and place, then by ARN: (time, tags), oldest first; tags are None after the deletion.
        self._seen: dict[tuple[str, str, str], dict[str, list[tuple[float, Any]]]] = {}
        self._lags: dict[str, float] = {}

    def before(self, request: Request) -> Refusal | None:
        # The first look is not a change: the resources existed before.
        if request.service in self._collect and (request.service, *self._place()) not in self._seen:
            self._look(request.service)
        return None

    def after(self, request: Request, _answer: Answer) -> None:
        if request.service in self._collect and request.changes:
            self._look(request.service)

    def entries(self, service: str) -> Iterator[tuple[str, Any]]:
        """Yield the index's entries of the service, in the format of the emulator's collectors."""
        now = self._clock()
        for arn, states in self._look(service).items():
            known = [tags for since, tags in states if since + self._lag_of(arn) <= now]
            if known and known[-1] is not None:
                yield arn, known[-1]

    def _look(self, service: str) -> dict[str, list[tuple[float, Any]]]:
        key = (service, *self._place())
        since = self._clock() if key in self._seen else float("-inf")
        found, seen = dict(self._collect[service]()), self._seen.setdefault(key, {})
        for arn in {*found, *seen}:
            states = seen.setdefault(arn, [])
            if not states or states[-1][1] != found.get(arn):
                states.append((since, found.get(arn)))
            self._forget(seen, arn)
        return seen

    def _forget(self, seen: dict[str, list[tuple[float, Any]]], arn: str) -> None:
        """Drop states that the index shows no more: older ones, and deletions after the delay."""
        states, told_since = seen[arn], self._clock() - self._lag_of(arn)
        while len(states) > 1 and states[1][0] <= told_since:
            del states[0]
        if states[-1][1] is None and len(states) == 1:
            del seen[arn], self._lags[arn]

    def _lag_of(self, arn: str) -> float:
        if arn not in self._lags:
            self._lags[arn] = self._dice.seconds(self._lag, "index", arn)
        return self._lags[arn]


_BUSY = "The operation cannot be performed at this time. "
# Operations that fail while a function is changed or created (Lambda Developer Guide, "Lambda function states").
_CHANGE_FUNCTIONS = frozenset({"UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"})
_NEED_A_FUNCTION = _CHANGE_FUNCTIONS | {"Invoke"}


class BusyFunctions(Element):
    """Keeps new and changed functions busy for a while, so that they refuse other operations."""

    def __init__(self, dice: Dice, span: Span, clock: Callable[[], float]) -> None:
        self._dice, self._span, self._clock = dice, span, clock
        self._busy: Passing[bool] = Passing(clock)

    def begin(self, arn: str, is_new: bool) -> float:
        """Note the creation or change of a function; return for how many seconds it is busy."""
        needs = self._dice.seconds(self._span, "pending", arn)
        self._busy.put((arn,), self._clock() + needs, is_new)
        return needs

    def before(self, request: Request) -> Refusal | None:
        is_new = self._busy.get((":".join(request.resource.split(":")[:7]),))
        if is_new is None or request.operation not in (_NEED_A_FUNCTION if is_new else _CHANGE_FUNCTIONS):
            return None
        why = (
            "The function is currently in the following state: Pending"
            if is_new
            else f"An update is in progress for resource: {request.resource}"
        )
        return Refusal("ResourceConflictException", 409, _BUSY + why)


class TakenNames(Element):
    """Keeps the names of deleted buckets unavailable for a while."""

    def __init__(self, dice: Dice, span: Span, clock: Callable[[], float]) -> None:
        self._dice, self._span, self._clock = dice, span, clock
        self._taken: Passing[bool] = Passing(clock)

    def before(self, request: Request) -> Refusal | None:
        is_made = (request.service, request.operation) == ("s3", "CreateBucket")
        if not is_made or self._taken.get((request.resource,)) is None:
            return None
        said = "A conflicting conditional operation is currently in progress against this resource. Please try again."
        return Refusal("OperationAborted", 409, said)

    def after(self, request: Request, _answer: Answer) -> None:
        if (request.service, request.operation) == ("s3", "DeleteBucket"):
            late = self._dice.seconds(self._span, "name", request.resource)
            self._taken.put((request.resource,), self._clock() + late, True)


@dataclass(frozen=True)
class Stale:
    """Stale reads of a service.

    Args:
        reads: the operations. names: the parameters that name the resource, in reads and in changes.
        unknown: the error for a new resource. of_changes: whether reads are also stale after a change.
    """

    reads: frozenset[str]
    names: tuple[str, ...]
    unknown: Refusal
    of_changes: bool = True


_STALE: Mapping[str, Stale] = {
    "iam": Stale(
        frozenset({"GetRole", "GetRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies", "ListRoles"}),
        ("RoleName",),
        Refusal("NoSuchEntity", 404, "The role cannot be found."),
    ),
    "lambda": Stale(
        frozenset({"GetFunction", "ListFunctions"}),
        ("FunctionName",),
        Refusal("ResourceNotFoundException", 404, "Function not found"),
        of_changes=False,
    ),
    "secretsmanager": Stale(
        frozenset({"DescribeSecret", "ListSecrets"}),
        ("SecretId", "Name"),
        Refusal("ResourceNotFoundException", 400, "Secrets Manager can't find the specified secret."),
    ),
    "states": Stale(
        frozenset({"DescribeStateMachine"}),
        ("stateMachineArn", "name"),
        Refusal("StateMachineDoesNotExist", 400, "State Machine Does Not Exist"),
    ),
}
_GLOBAL = frozenset({"iam", "sts"})
_MADE_UP_ENDING = re.compile(r"(:secret:.*)-\w{6}$")


class StaleReads(Element):
    """Makes reads stale for a while after a change: the last answer, or "not found" for a new resource."""

    def __init__(self, dice: Dice, span: Span, clock: Callable[[], float]) -> None:
        self._dice, self._span, self._clock = dice, span, clock
        self._told: Recent[Answer] = Recent(_ANSWERS)
        # By service, region and resource ("" for lists), while reads are stale: whether it is new.
        self._late: Passing[bool] = Passing(clock)

    def before(self, request: Request) -> Refusal | Answer | None:
        if not self._is_read(request):
            return None
        is_new, question = self._late.get(self._thing(request)), self._question(request)
        if is_new is None:
            self._told.drop(question)  # answered by the service now
            return None
        return self._told.get(question) or (_STALE[request.service].unknown if is_new else None)

    def after(self, request: Request, answer: Answer) -> None:
        if self._is_read(request):
            self._told.put(self._question(request), answer)
        elif request.service in _STALE and request.changes:
            is_new = request.operation.startswith("Create")
            if is_new or _STALE[request.service].of_changes:
                thing = self._thing(request)
                until = self._clock() + self._dice.seconds(self._span, "stale", *thing)
                self._late.put(thing, until, is_new)
                self._late.put((*thing[:2], ""), until, False)  # lists

    def _is_read(self, request: Request) -> bool:
        return request.service in _STALE and request.operation in _STALE[request.service].reads

    def _thing(self, request: Request) -> tuple[str, str, str]:
        named = (request.parameters.get(each) for each in _STALE[request.service].names)
        thing = next((str(each) for each in named if each), request.resource.replace("*", ""))
        thing = ":".join(_MADE_UP_ENDING.sub(r"\1", thing).split(":")[:7]).rpartition(":")[2]
        return request.service, "" if request.service in _GLOBAL else request.region, thing

    def _question(self, request: Request) -> tuple[str, ...]:
        said = json.dumps(request.parameters, sort_keys=True, default=str)
        return request.service, request.operation, request.region, request.resource, said


class LateReplication:
    """Delays replicas and delete markers. Only those of one key keep their order.

    Args:
        s3: the emulator's module. later: calls a function after some seconds.
    """

    def __init__(
        self,
        dice: Dice,
        span: Span,
        s3: Any,
        later: Callable[[float, Callable[[], None]], None],
        clock: Callable[[], float],
    ) -> None:
        self._dice, self._span, self._s3, self._later, self._clock = dice, span, s3, later, clock
        self._copy, self._mark = s3._maybe_replicate, s3._maybe_replicate_delete_marker
        self._due: Passing[float] = Passing(clock)

    def copy(self, bucket: str, key: str, obj: dict[str, Any], data: bytes, tags: Any = None) -> None:
        """Replicate the object later; until then its status is `PENDING`."""
        tags = tags or tags_of_upload()
        if self._s3._replication_rule_for(bucket, key, tags)[0] is None:
            return
        obj["replication_status"] = "PENDING"
        self._in_order(bucket, key, lambda: self._arrive(bucket, key, obj, data, tags))

    def mark(self, bucket: str, key: str) -> None:
        """Replicate the delete marker later."""
        self._in_order(bucket, key, lambda: self._mark(bucket, key))

    def _arrive(self, bucket: str, key: str, obj: dict[str, Any], data: bytes, tags: Any) -> None:
        version = obj.get("version_id")
        entries = self._s3._object_versions.get((bucket, key), ())
        entry = next((each for each in entries if each["version_id"] == version), None)
        if entry is None:  # permanently deleted meanwhile
            return
        sent = {**obj, SHARED_VERSION: version}
        del sent["replication_status"]
        self._copy(bucket, key, sent, data, self._s3._object_tags.get((bucket, key, version), tags))
        for told in (obj, entry):
            told["replication_status"] = sent.get("replication_status")
        if "_replica" in sent:
            obj["_replica"] = sent["_replica"]

    def _in_order(self, bucket: str, key: str, arrive: Callable[[], None]) -> None:
        now, before = self._clock(), self._due.get((bucket, key)) or 0.0
        due = max(now + self._dice.seconds(self._span, "replica", bucket, key), before + 0.001)
        self._due.put((bucket, key), due, due)
        self._later(due - now, arrive)


class Failing(Element):
    """Fails some requests with 500 or 503, before they are done."""

    def __init__(self, dice: Dice, share: float) -> None:
        self._dice, self._share = dice, share

    def before(self, request: Request) -> Refusal | None:
        drawn = self._dice.share(
            "failing", request.service, request.operation, request.region, request.subject
        )
        if drawn >= self._share:
            return None
        is_xml = request.service in ("ec2", "s3")
        if drawn < self._share / 2:
            return Refusal(
                "InternalError" if is_xml else "InternalFailure", 500, "An internal error occurred."
            )
        code = "Unavailable" if request.service == "ec2" else "ServiceUnavailable"
        return Refusal(code, 503, "Service is unable to handle request.")


class BadRegions(Element):
    """Makes regions slow or down for some seconds."""

    def __init__(self, dice: Dice, down: float, slow: float, clock: Callable[[], float]) -> None:
        self._dice, self._down, self._slow, self._clock = dice, down, slow, clock
        self._began = clock()
        self._drawn: dict[str, tuple[int, float]] = {}

    def before(self, request: Request) -> Refusal | None:
        if request.service in _GLOBAL or self._draw(request.region) >= self._down:
            return None
        return Refusal("ServiceUnavailable", 503, "The region is down.")

    def delay(self, request: Request) -> float:
        """Return the additional seconds of an answer."""
        drawn = self._draw(request.region)
        if request.service in _GLOBAL or not self._down <= drawn < self._down + self._slow:
            return 0.0
        return self._dice.seconds(_SLOW, "slow", request.service, request.operation, request.subject)

    def _draw(self, region: str) -> float:
        period = int((self._clock() - self._began) / PERIOD)
        if self._drawn.get(region, (-1, 0.0))[0] != period:
            self._drawn[region] = (period, self._dice.share("region", region, str(period)))
        return self._drawn[region][1]


_SKEW = re.compile(r"(\d{8}T\d{6}Z) is .*\((\d{8}T\d{6}Z) [-+] (\d+) min")
Skewed = Callable[[Request, float], str | None]
"""Returns AWS's refusal of a request whose signer's clock is this many seconds ahead, or None."""


class WrongClock(Element):
    """Makes the client's clock wrong for a while.

    Args:
        skewed: returns AWS's refusal. is_of_aws: whether the access key is a function's, which has the right clock.
    """

    def __init__(
        self,
        dice: Dice,
        share: float,
        skewed: Skewed,
        is_of_aws: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._dice, self._share, self._skewed, self._is_of_aws = dice, share, skewed, is_of_aws
        self._clock, self._began = clock, clock()
        self._period, self._until, self._ahead = -1, 0.0, 0.0

    def before(self, request: Request) -> Refusal | None:
        ahead = self._now_ahead()
        said = self._skewed(request, ahead) if ahead and not self._is_of_aws(request.key) else None
        if said is None:
            return None
        more = {}
        if times := _SKEW.search(said):
            allowed = str(int(times[3]) * 60_000)
            more = {"RequestTime": times[1], "ServerTime": times[2], "MaxAllowedSkewMilliseconds": allowed}
        return Refusal("RequestTimeTooSkewed", 0, said, more)

    def _now_ahead(self) -> float:
        """Return by how many seconds the clock is ahead now; negative: behind."""
        now = self._clock()
        period = int((now - self._began) / PERIOD)
        if period != self._period:
            self._period = period
            self._until = self._ahead = 0.0
            if self._dice.share("clock", str(period)) < self._share:
                self._until = (
                    self._began + period * PERIOD + self._dice.seconds(_CLOCK_WRONG, "clock for", str(period))
                )
                out = self._dice.seconds(_CLOCK_OUT, "clock by", str(period))
                self._ahead = out if self._dice.share("clock ahead", str(period)) < 0.5 else -out
        return self._ahead if now < self._until else 0.0


class CutError(Exception):
    """The connection ends without an answer."""


class Cuts:
    """Ends some connections without an answer, at once or after a silence, before or after the request is done."""

    def __init__(self, dice: Dice, before: float, after: float, silent: float) -> None:
        self._dice, self._before, self._after, self._silent = dice, before, after, silent / 2

    def before(self, request: Request) -> float | None:
        """Return after how many seconds the connection ends before the request is done; None: it does not."""
        return self._end(request, "cut", self._before)

    def after(self, request: Request) -> float | None:
        """Return after how many seconds the connection ends after the request is done; None: it does not."""
        return self._end(request, "lost", self._after)

    def _end(self, request: Request, what: str, share: float) -> float | None:
        asked = (request.service, request.operation, request.region, request.subject)
        drawn = self._dice.share(what, *asked)
        if drawn >= share + self._silent:
            return None
        is_silent = drawn >= share
        logger.info("%s%s: the connection of %s", what, " in silence" if is_silent else "", request)
        return _SILENCE if is_silent else 0.0


async def end_after(seconds: float | None) -> None:
    """End the request without an answer after some seconds; None: do nothing.

    Raises:
        CutError: always, except for None.
    """
    if seconds is not None:
        await asyncio.sleep(seconds)
        raise CutError


def cutting(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the ASGI application ``inner``: a `CutError` closes the request's connection."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        except CutError:
            # hypercorn's objects: the request's stream, its protocol, the connection's server.
            stream = send.__self__
            stream.send.__self__.send.__self__.writer.transport.abort()

    return serve


_operation: ContextVar[str] = ContextVar("operation of the request that is being answered", default="")


def install(name: str, seed: int, app: ModuleType, clock: Callable[[], float] = time.monotonic) -> None:
    """Patch the running ministack, with its module ``app``, for the weather ``name``."""
    weather = WEATHERS[name]
    logger.setLevel(logging.INFO)
    logger.info("weather %s, seed %s", name, seed)
    if weather == WEATHERS[CALM]:
        return
    from ministack.core import (  # type: ignore[import-untyped]
        iam_evaluator,
        lambda_runtime,
        responses,
        sigv4,
    )
    from ministack.services import iam, lambda_svc, s3, tagging  # type: ignore[import-untyped]

    dice = Dice(seed)

    def place() -> tuple[str, str]:
        return responses.get_account_id(), responses.get_region()

    roles = LateRoles(
        dice,
        weather.iam_delay,
        iam_evaluator._gather_role_policies,
        lambda role: str(iam._roles.get(role, {}).get("Arn", "")),
        clock,
    )
    iam_evaluator._gather_role_policies = roles.in_effect

    index = LateIndex(dice, weather.index_lag, dict(tagging._COLLECTORS), place, clock)
    for service in tagging._COLLECTORS:
        tagging._COLLECTORS[service] = lambda service=service: index.entries(service)

    functions = BusyFunctions(dice, weather.function_pending, clock)
    become_ready = lambda_svc._schedule_state_transition

    def become_ready_late(function: str, _delay: float) -> None:
        is_new = _operation.get() == "CreateFunction"
        if not is_new:  # the earlier version is active until the change is done
            lambda_svc._functions[function]["config"]["State"] = "Active"
        become_ready(function, functions.begin(lambda_svc._func_arn(function), is_new))

    lambda_svc._schedule_state_transition = become_ready_late

    names = TakenNames(dice, weather.name_taken, clock)

    def later(seconds: float, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, call, context=copy_context())

    replication = LateReplication(dice, weather.replication, s3, later, clock)
    s3._maybe_replicate, s3._maybe_replicate_delete_marker = replication.copy, replication.mark

    elements = (
        Throttling(dice, weather.throttled),
        Failing(dice, weather.failing),
        roles,
        index,
        functions,
        names,
        StaleReads(dice, weather.stale, clock),
    )
    keys_of_functions: set[str] = set()
    give = lambda_runtime.execution_credentials

    def noting_key(config: dict[str, Any]) -> dict[str, str]:
        given: dict[str, str] = give(config)
        keys_of_functions.add(given["AWS_ACCESS_KEY_ID"])
        return given

    lambda_runtime.execution_credentials = noting_key

    def skewed(request: Request, ahead: float) -> str | None:
        now = datetime.now(UTC) - timedelta(seconds=ahead)
        signature = sigv4.HeaderSignature(request.key, "", "", request.service, "", "", request.signed)
        found = sigv4.request_time_failure(signature, now=now)
        return found[1] if found else None

    regions = BadRegions(dice, weather.region_down, weather.region_slow, clock)
    wrong = WrongClock(dice, weather.clock_wrong, skewed, keys_of_functions.__contains__, clock)
    cuts = Cuts(dice, weather.cut, weather.lost, weather.silent)
    app._dispatch_service_request = under(app, (regions, wrong, *elements), regions, cuts)  # type: ignore[attr-defined]
    app.app = cutting(app.app)  # type: ignore[attr-defined]


def under(
    app: ModuleType, elements: Iterable[Element], regions: BadRegions, cuts: Cuts
) -> Callable[..., Any]:
    """Return the emulator's dispatcher with the delays and faults of ``elements``."""
    from ministack.core import iam_evaluator, router

    answered: Callable[..., Any] = app._dispatch_service_request

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Answer:
        key = router.extract_access_key_id(headers, query)
        asked = (method, path, headers, body, query)
        # Only the creation of the administrator uses root; it has no weather.
        if not key or iam_evaluator.is_root_access_key(key):
            found: Answer = await answered(*asked, request_id)
            return found
        request = read(app, *asked)
        if (delay := regions.delay(request)) > 0:
            await asyncio.sleep(delay)
        await end_after(cuts.before(request))
        for element in elements:
            instead = element.before(request)
            if isinstance(instead, Refusal):
                logger.info("%s for %s", instead.code, request)
                return worded(instead, request, headers, request_id)
            if instead is not None:
                logger.info("as it was: %s", request)
                return instead
        token = _operation.set(request.operation)
        try:
            found = await answered(*asked, request_id)
        finally:
            _operation.reset(token)
        if found[0] < 300:
            for element in elements:
                element.after(request, found)
        await end_after(cuts.after(request))
        return found

    return answer


def worded(refusal: Refusal, request: Request, headers: Mapping[str, str], request_id: str) -> Answer:
    """Return the refusal in the protocol of the request."""
    from ministack.core import iam_actions

    status, more, text = iam_actions.access_denied_response(
        request.service,
        request.operation,
        "",
        request_id,
        error_code=refusal.code,
        message=refusal.message,
        headers=headers,
    )
    if request.service == "s3" and refusal.more:
        text = with_elements(text, refusal.more)
    return refusal.status or status, {**more, "x-amzn-requestid": request_id}, text


def read(
    app: ModuleType, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Request:
    """Return the request, parsed with the emulator's own functions."""
    from ministack.core import iam_actions, responses, router

    parameters = app._routing_params(method, path, headers, body, query)
    service = router.detect_service(method, path, headers, parameters)
    region, account = router.extract_region(headers), responses.get_account_id()
    if service == "lambda":  # for some operations the emulator has only a similar action
        routes = iam_actions._load_botocore_routes(service)
        action = next((each[2] for each in routes if each[0] == method and each[1].match(path)), method)
    else:
        action = iam_actions.extract_iam_action(service, method, path, headers, body, parameters) or method
    resource = iam_actions.extract_resource_arn(
        service, method, path, headers, body, parameters, region, account
    )
    return Request(
        service,
        action.rpartition(":")[2],
        account,
        region,
        resource,
        said(headers, body, parameters),
        router.extract_access_key_id(headers, query),
        headers.get("x-amz-date", ""),
    )


def said(headers: Mapping[str, str], body: bytes, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a request from JSON or a form, or else the whole body under ""."""
    if "x-amz-target" in headers or headers.get("content-type", "").startswith("application/json"):
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    if "Action" in parameters:
        return {
            name: values[0] if isinstance(values, list) else values for name, values in parameters.items()
        }
    return {"": body.decode("utf-8", "replace")}
