"""The weather of the embedded AWS: what AWS does late, and refuses now and then."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import translate
from regionshift.errors import InputError
from regionshift.local import emulator
from regionshift.local.weather import (
    PERIOD,
    WEATHERS,
    Answer,
    BadRegions,
    BusyFunctions,
    Cuts,
    Dice,
    Element,
    Failing,
    LateIndex,
    LateReplication,
    LateRoles,
    Passing,
    Recent,
    Refusal,
    Request,
    StaleReads,
    TakenNames,
    Throttling,
    WrongClock,
    principals,
    worded,
)

ACCOUNT = "123456789012"
REGION = "eu-west-1"
DONE: Answer = (200, {}, b"")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(service: str, operation: str, resource: str = "*", **parameters: Any) -> Request:
    return Request(service, operation, ACCOUNT, REGION, resource, parameters)


def refused(element: Element, request: Request) -> str | None:
    """The code that the request is refused with; what is answered instead is a code, too."""
    instead = element.before(request)
    return instead.code if isinstance(instead, Refusal) else instead and str(instead[2])


def fallen(dice: Dice, what: list[tuple[str, ...]]) -> Mapping[tuple[str, ...], list[float]]:
    found: dict[tuple[str, ...], list[float]] = {}
    for each in what:
        found.setdefault(each, []).append(dice.share(*each))
    return found


def test_the_same_seed_makes_the_same_weather_in_whatever_order_is_asked() -> None:
    what = [("lambda", "Invoke", name) for name in "abcabcabca"]
    mixed = random.Random(3).sample(what, len(what))
    assert fallen(Dice(5), what) == fallen(Dice(5), mixed)
    assert fallen(Dice(5), what) != fallen(Dice(6), what)


def test_ids_that_aws_makes_up_do_not_change_the_weather() -> None:
    assert Dice(5).share("kms", "key/0f3a-11aa22bb") == Dice(5).share("kms", "key/0f3a-99cc88dd")
    assert Dice(5).share("kms", "alias/one") != Dice(5).share("kms", "alias/two")


def test_about_as_many_are_throttled_as_the_weather_says_each_in_its_services_words() -> None:
    throttling = Throttling(Dice(1), 0.1)
    codes = [refused(throttling, asked("lambda", "Invoke")) for _ in range(1000)]
    assert 60 < codes.count("TooManyRequestsException") < 140
    assert set(codes) == {None, "TooManyRequestsException"}
    always = Throttling(Dice(1), 1.0)
    services = ("ec2", "iam", "s3", "ssm", "tagging")
    assert [refused(always, asked(each, "Any")) for each in services] == [
        "RequestLimitExceeded",
        "Throttling",
        "SlowDown",
        "ThrottlingException",
        "ThrottledException",
    ]


class Roles:
    """One role, as the emulator keeps it, and as the weather shows it."""

    def __init__(self) -> None:
        self.policies: list[list[Any]] = []
        self.clock = Clock()
        self.late = LateRoles(Dice(1), (2.0, 2.0), lambda *_: list(self.policies), lambda _: ROLE, self.clock)

    def call(self, operation: str, *policies: str) -> None:
        request = asked("iam", operation, RoleName="worker")
        assert self.late.before(request) is None
        self.policies = [list(policies)]
        self.late.after(request, DONE)

    @property
    def in_effect(self) -> list[list[Any]]:
        return self.late.in_effect("worker", ACCOUNT)


def test_a_changed_policy_is_in_effect_later_and_changes_come_in_their_order() -> None:
    roles = Roles()
    roles.call("PutRolePolicy", "read")
    roles.clock.now += 1
    roles.call("PutRolePolicy", "read", "write")
    assert roles.in_effect == []
    roles.clock.now += 1
    assert roles.in_effect == [["read"]]
    roles.clock.now += 1
    assert roles.in_effect == [["read", "write"]]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked("lambda", "CreateFunction", Role=ROLE), "InvalidParameterValueException"),
        (asked("states", "CreateStateMachine", roleArn=ROLE), "AccessDeniedException"),
        (asked("ec2", "CreateFlowLogs", DeliverLogsPermissionArn=ROLE), "InvalidParameter"),
        (
            asked(
                "sns",
                "SetTopicAttributes",
                AttributeValue=json.dumps({"Statement": [{"Principal": {"AWS": ROLE}}]}),
            ),
            "InvalidParameter",
        ),
    ],
    ids=str,
)
def test_a_new_role_is_refused_until_it_is_known(request_: Request, code: str) -> None:
    roles = Roles()
    assert refused(roles.late, request_) is None
    roles.call("CreateRole")
    assert refused(roles.late, request_) == code
    roles.clock.now += 2
    assert refused(roles.late, request_) is None


def test_only_principals_of_a_policy_must_be_known() -> None:
    condition = {"ArnNotLike": {"aws:PrincipalArn": ROLE}}
    assert not list(principals(json.dumps({"Statement": {"Principal": "*", "Condition": condition}})))
    assert list(principals(json.dumps({"Statement": {"Principal": {"AWS": ROLE}}}))) == [ROLE]
    assert not list(principals("Topic"))


def test_the_index_tells_late_of_what_is_new_and_of_what_is_gone() -> None:
    clock, things = Clock(), {"arn:old": "tags"}
    index = LateIndex(Dice(1), (3.0, 3.0), {"sqs": things.items}, lambda: (ACCOUNT, REGION), clock)
    made, deleted = asked("sqs", "CreateQueue"), asked("sqs", "DeleteQueue")
    index.before(made)
    things["arn:new"] = "tags"
    index.after(made, DONE)
    assert dict(index.entries("sqs")) == {"arn:old": "tags"}
    clock.now += 3
    assert dict(index.entries("sqs")) == {"arn:old": "tags", "arn:new": "tags"}
    del things["arn:old"]
    index.after(deleted, DONE)
    assert "arn:old" in dict(index.entries("sqs"))
    clock.now += 3
    assert dict(index.entries("sqs")) == {"arn:new": "tags"}


def test_a_new_function_takes_no_work_and_a_changed_one_no_change_until_it_is_ready() -> None:
    clock, arn = Clock(), f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    functions = BusyFunctions(Dice(1), (2.0, 2.0), clock)
    calls = [asked("lambda", each, arn + ":live") for each in ("Invoke", "UpdateFunctionCode", "GetFunction")]
    assert functions.begin(arn, is_new=True) == 2
    assert [refused(functions, each) for each in calls] == ["ResourceConflictException"] * 2 + [None]
    clock.now += 2
    assert [refused(functions, each) for each in calls] == [None] * 3
    functions.begin(arn, is_new=False)
    assert [refused(functions, each) for each in calls] == [None, "ResourceConflictException", None]


def test_the_name_of_a_deleted_bucket_is_taken_for_a_while() -> None:
    clock = Clock()
    names, made = TakenNames(Dice(1), (2.0, 2.0), clock), asked("s3", "CreateBucket", "arn:aws:s3:::b")
    assert refused(names, made) is None
    names.after(asked("s3", "DeleteBucket", "arn:aws:s3:::b"), DONE)
    assert refused(names, made) == "OperationAborted"
    clock.now += 2
    assert refused(names, made) is None


def test_a_new_thing_is_not_found_at_first_and_a_changed_one_is_as_it_was() -> None:
    clock = Clock()
    stale = StaleReads(Dice(1), (2.0, 2.0), clock)
    look = asked(
        "secretsmanager", "DescribeSecret", "arn:aws:secretsmanager:r:1:secret:a-Ab12Cd", SecretId="a"
    )
    by_arn = asked("secretsmanager", "DescribeSecret", SecretId="arn:aws:secretsmanager:r:1:secret:a-Ab12Cd")

    def told(answer: str) -> str | None:
        instead = refused(stale, look)
        if instead is None:
            stale.after(look, (200, {}, answer))
        return instead

    stale.after(asked("secretsmanager", "CreateSecret", Name="a"), DONE)
    assert told("first") == refused(stale, by_arn) == "ResourceNotFoundException"
    clock.now += 2
    assert told("first") is None
    stale.after(asked("secretsmanager", "UpdateSecret", SecretId="a"), DONE)
    assert told("second") == "first"
    clock.now += 2
    assert told("second") is None
    stale.after(asked("secretsmanager", "DeleteSecret", SecretId="a"), DONE)
    clock.now += 2
    assert refused(stale, look) is None  # gone: the emulator says so
    stale.after(asked("secretsmanager", "CreateSecret", Name="a"), DONE)
    assert told("anew") == "ResourceNotFoundException"


def test_a_region_that_is_down_refuses_all_but_what_is_global_and_is_up_again() -> None:
    clock = Clock()
    regions = BadRegions(Dice(4), 0.3, 0.3, clock)
    seen = set()
    for _ in range(40):
        code, delay = (
            refused(regions, asked("ssm", "GetParameter")),
            regions.delay(asked("ssm", "GetParameter")),
        )
        seen.add((code, delay > 0))
        assert refused(regions, asked("iam", "GetRole")) is None
        clock.now += PERIOD
    assert seen == {(None, False), (None, True), ("ServiceUnavailable", False)}


def test_some_requests_fail_and_some_are_cut_before_or_after_they_are_done() -> None:
    failing = Failing(Dice(1), 0.5)
    codes = {refused(failing, asked("ec2", "RunInstances")) for _ in range(40)}
    assert codes == {None, "InternalError", "Unavailable"}
    cuts, request = Cuts(Dice(1), 0.0, 1.0, 0.0), asked("sqs", "SendMessage")
    assert cuts.before(request) is None
    assert cuts.after(request) == 0.0


def test_some_answers_do_not_come_for_longer_than_a_client_waits(caplog: pytest.LogCaptureFixture) -> None:
    cuts = Cuts(Dice(1), 0.0, 0.0, 0.4)
    with caplog.at_level("INFO", "regionshift.weather"):
        ends = [cuts.before(asked("sqs", "SendMessage")) for _ in range(100)]
    assert 10 < len(silent := [each for each in ends if each is not None]) < 35
    assert set(silent) == {70.0}
    assert caplog.messages[0] == f"cut in silence: the connection of sqs SendMessage {REGION} *"


def judged(request: Request, ahead: float) -> str | None:
    """What AWS says at noon of who signs at noon by a clock that is so far ahead; five minutes are allowed."""
    now = datetime(2026, 11, 30, 12, tzinfo=UTC) - timedelta(seconds=ahead)
    if abs(ahead) <= 300:
        return None
    told = now.strftime("%Y%m%dT%H%M%SZ")
    return f"Signature expired: {request.signed} is now earlier than 20261130T115500Z ({told} - 5 min.)"


def test_a_wrong_clock_is_refused_for_some_seconds_but_of_functions() -> None:
    clock = Clock()
    wrong = WrongClock(Dice(3), 0.5, judged, "of a function".__eq__, clock)
    mine = Request("kms", "DescribeKey", ACCOUNT, REGION, "*", {}, "mine", "20261130T120000Z")
    its = Request("kms", "DescribeKey", ACCOUNT, REGION, "*", {}, "of a function", "20261130T120000Z")
    seen = set()
    for _ in range(40):
        at_first = refused(wrong, mine)
        assert refused(wrong, its) is None
        clock.now += PERIOD - 1
        seen.add((at_first, refused(wrong, mine)))
        clock.now += 1
    assert seen == {(None, None), ("RequestTimeTooSkewed", None)}


def test_what_is_over_or_long_unused_is_forgotten() -> None:
    clock, recent = Clock(), Recent[int](2)
    for number in (1, 2):
        recent.put((str(number),), number)
    assert recent.get(("1",)) == 1
    recent.put(("3",), 3)
    assert [recent.get((each,)) for each in "123"] == [1, None, 3]
    passing = Passing[bool](clock)
    for number in range(10_000):
        clock.now += 1
        passing.put((str(number),), clock.now + 5, True)
    assert passing.get(("9999",))
    assert passing.get(("9990",)) is None
    assert len(passing) < 200
    things = {"arn:old": "tags"}
    index = LateIndex(Dice(1), (3.0, 3.0), {"sqs": things.items}, lambda: (ACCOUNT, REGION), clock)
    index.before(asked("sqs", "CreateQueue"))
    for number in range(100):
        things[f"arn:{number}"] = "tags"
        index.after(asked("sqs", "CreateQueue"), DONE)
        del things[f"arn:{number}"]
        index.after(asked("sqs", "DeleteQueue"), DONE)
        clock.now += 3
    assert dict(index.entries("sqs")) == things
    assert len(index._lags) < 3


class Stored:
    """As much of the emulator's S3 as replication has to do with; every object has one version."""

    def __init__(self) -> None:
        self._object_versions: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._object_tags: dict[Any, Any] = {}
        self.arrived: list[tuple[str, str]] = []

    def _replication_rule_for(self, bucket: str, key: str, tags: Any) -> tuple[Any, str]:
        del key, tags
        return (object() if bucket == "b" else None), "role"

    def _maybe_replicate(self, bucket: str, key: str, obj: dict[str, Any], data: bytes, tags: Any) -> None:
        del bucket, data, tags
        self.arrived.append((key, str(obj["version_id"])))
        obj["replication_status"] = "COMPLETED"

    def _maybe_replicate_delete_marker(self, bucket: str, key: str) -> None:
        del bucket
        self.arrived.append((key, "marker"))


def test_replicas_arrive_later_in_the_order_of_their_key_and_in_no_other() -> None:
    stored, due = Stored(), []
    late = LateReplication(
        Dice(2), (0.0, 5.0), stored, lambda seconds, call: due.append((seconds, call)), Clock()
    )
    objects = [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("d", "1")]
    for key, version in objects:
        obj: dict[str, Any] = {}
        late.copy("b", key, obj, b"")
        assert obj["replication_status"] == "PENDING"
        obj["version_id"] = version
        stored._object_versions.setdefault(("b", key), []).append(obj)
    late.mark("b", "a")
    late.copy("other", "a", {}, b"")
    assert not stored.arrived
    for _, arrive in sorted(due, key=lambda each: each[0]):
        arrive()
    assert [each for each in stored.arrived if each[0] == "a"] == [("a", "1"), ("a", "2"), ("a", "marker")]
    assert sorted(stored.arrived) == sorted([*objects, ("a", "marker")])
    assert stored.arrived != [*objects, ("a", "marker")]
    assert {each["replication_status"] for one in stored._object_versions.values() for each in one} == {
        "COMPLETED"
    }


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "cloud"
    yield folder
    emulator.down(folder, wipe=True)


def test_a_cloud_keeps_its_weather_tells_it_and_is_refused_another_while_it_runs(state_dir: Path) -> None:
    with pytest.raises(InputError, match="no weather fog"):
        emulator.up(state_dir, ACCOUNT, weather="fog")
    cloud = emulator.up(state_dir, ACCOUNT, weather="aws", seed=7)
    assert (cloud.weather, cloud.seed) == ("aws", 7)
    assert emulator.up(state_dir, ACCOUNT) == emulator.up(state_dir, ACCOUNT, weather="aws", seed=7) == cloud
    assert "weather aws, seed 7" in (state_dir / "emulator.log").read_text()
    with pytest.raises(InputError, match="already runs in the weather aws"):
        emulator.up(state_dir, ACCOUNT, weather="calm")
    role = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam = Clients(
        key=AccessKey(cloud.access_key, cloud.secret_key), endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle
    ).get("iam", REGION)
    for number in range(80):
        iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=role)  # boto asks again
    assert "Throttling for iam CreateRole" in (state_dir / "emulator.log").read_text()
    emulator.down(state_dir)
    again = emulator.up(state_dir, ACCOUNT)
    assert (again.weather, again.seed) == ("aws", 7)


def test_connections_are_cut_on_a_bad_day(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT, weather="storm", seed=1392)  # both befall the first five requests
    key = AccessKey(cloud.access_key, cloud.secret_key)
    sts = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle).get("sts", REGION)
    for _ in range(10):
        assert sts.get_caller_identity()["Account"] == ACCOUNT  # boto asks again
    log = (state_dir / "emulator.log").read_text()
    assert "cut: the connection of sts" in log
    assert "lost: the connection of sts" in log


def seed_of_a_silence(request: Request, times: int) -> int:
    """A seed of a storm in which one of so many times that the request comes no answer does, and all others do."""
    storm = WEATHERS["storm"]
    for seed in range(100_000):
        cuts = Cuts(Dice(seed), storm.cut, storm.lost, storm.silent)
        ends = [each for _ in range(times) for each in (cuts.before(request), cuts.after(request))]
        dice, periods = Dice(seed), [str(each) for each in range(4)]
        is_fair = all(
            dice.share("region", REGION, each) >= storm.region_down + storm.region_slow
            and dice.share("clock", each) >= storm.clock_wrong
            for each in periods
        )
        if 70.0 in ends and 0.0 not in ends and is_fair:
            return seed
    raise AssertionError("no seed is silent then")


def test_whoever_gets_no_answer_asks_again(state_dir: Path) -> None:
    request = asked("sts", "GetCallerIdentity")
    cloud = emulator.up(state_dir, ACCOUNT, weather="storm", seed=seed_of_a_silence(request, 3))
    hurried = Config(read_timeout=0.3, retries={"mode": "standard", "total_max_attempts": 5})
    sts = boto3.client(
        "sts",
        REGION,
        endpoint_url=cloud.endpoint,
        verify=str(cloud.ca_bundle),
        aws_access_key_id=cloud.access_key,
        aws_secret_access_key=cloud.secret_key,
        config=hurried,
    )
    for _ in range(5):
        assert sts.get_caller_identity()["Account"] == ACCOUNT
    assert "in silence: the connection of sts GetCallerIdentity" in (state_dir / "emulator.log").read_text()


@pytest.mark.parametrize(
    ("service", "code", "is_told"),
    [
        ("s3", "RequestTimeTooSkewed", True),
        ("sts", "SignatureDoesNotMatch", True),
        ("kms", "InvalidSignatureException", True),
        ("lambda", "InvalidSignatureException", True),
        ("ec2", "AuthFailure", False),
    ],
)
def test_a_wrong_clock_is_told_in_each_services_words(service: str, code: str, is_told: bool) -> None:
    """The product says how wrong it is where AWS tells it; EC2 does not."""
    request = Request(service, "Any", ACCOUNT, REGION, "*", {}, "mine", "20261130T120000Z")
    clock = Clock()
    refusals = (WrongClock(Dice(seed), 1.0, judged, "".__eq__, clock).before(request) for seed in range(20))
    refusal = next(each for each in refusals if each is not None)
    headers = {"x-amz-target": "TrentService.DescribeKey"} if service == "kms" else {}
    status, told, body = worded(refusal, request, headers, "id")
    model = botocore.session.get_session().get_service_model(service)
    answer = create_parser(model.resolved_protocol).parse(
        {"status_code": status, "headers": told, "body": body}, None
    )
    assert answer["Error"]["Code"] == code
    found = translate(ClientError(answer, "Any"), REGION)
    assert found.message.startswith("The clock of this machine is wrong, by ") is is_told
    assert "clock" in str(found.remedy)


def test_a_calm_day_changes_nothing() -> None:
    assert WEATHERS["calm"] == type(WEATHERS["calm"])()
