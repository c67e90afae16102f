"""What stands in the way is found before the first change, with its region and what to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.engine.engine import RunRecord
from regionshift.engine.events import ResourceStep
from regionshift.errors import InputError
from regionshift.infrastructure.boundary import boundary_statements
from regionshift.infrastructure.policies.statement import document
from regionshift.operations.checks.base import CheckContext, Wrong
from regionshift.operations.checks.storage import KeyCheck
from regionshift.operations.environment import Environment, RegionScope
from regionshift.operations.obstacles import missing_region_findings
from regionshift.operations.preflight import Machine, _state_region, plan_findings, preflight
from regionshift.operations.room import UNRESERVED, VPCS, Room
from regionshift.releases import DeployedReleases
from regionshift.report.values import Finding, PolicyFinding
from regionshift.runs.deployment_state import RegionState
from regionshift.settings.components import DEPLOYMENT_BUCKET, KEY, RECORDS_KEY

pytestmark = pytest.mark.component
REGION = "eu-north-1"
OWN = {"Project": "flight", "Environment": "dev"}


@pytest.fixture
def make(environment_of: Callable[..., Environment]) -> Callable[..., Environment]:
    return partial(environment_of, project="flight", regions={"primary": REGION})


def test_a_region_that_is_up_by_the_state_and_has_no_bucket_is_told(
    clients: Clients, make: Callable[..., Environment]
) -> None:
    environment = make()
    up = DeployedReleases({REGION: RegionState("r1")})
    assert missing_region_findings(environment, DeployedReleases()) == []
    down = Finding("region-down", "warning", "it does not answer", REGION, "")
    assert missing_region_findings(environment, up, [down]) == []
    (found,) = missing_region_findings(environment, up)
    assert (found.code, found.severity, found.region) == ("gone", "error", REGION)
    assert "up --refresh" in str(found.remedy)
    bucket = DEPLOYMENT_BUCKET.name(environment.config.names, REGION)
    clients.get("s3", REGION).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    assert missing_region_findings(environment, up) == []
    clients.get("s3", REGION).delete_bucket(Bucket=bucket)


def step(kind: str, op: str = "create", **new: object) -> ResourceStep:
    return ResourceStep(op, f"urn:pulumi:dev::flight::{kind}::thing-{REGION}", kind, REGION, new=new)


def found(environment: Environment, *steps: ResourceStep) -> list[tuple[str, str, str | None]]:
    """What is told of ``steps``, but of their policies, of which they have none."""
    findings = plan_findings(environment, RunRecord(planned=list(steps)))
    findings = [each for each in findings if not isinstance(each, PolicyFinding)]
    assert all(each.remedy for each in findings)
    return [(each.code, each.severity, each.region) for each in findings]


def make_bucket(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    s3 = clients.get("s3", REGION)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]
    if tags:
        pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs})
    return step("aws:s3/bucket:Bucket", bucket=name)


def make_role(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    clients.get("iam", REGION).create_role(
        RoleName=name,
        AssumeRolePolicyDocument="{}",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return step("aws:iam/role:Role", name=name)


def make_log_group(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    clients.get("logs", REGION).create_log_group(logGroupName=name, **({"tags": tags} if tags else {}))
    return step("aws:cloudwatch/logGroup:LogGroup", name=name)


def make_secret(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    clients.get("secretsmanager", REGION).create_secret(Name=name, SecretString="x", Tags=pairs)
    return step("aws:secretsmanager/secret:Secret", name=name)


def make_topic(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    clients.get("sns", REGION).create_topic(Name=name, Tags=pairs)
    return step("aws:sns/topic:Topic", name=name)


def make_queue(clients: Clients, name: str, tags: dict[str, str]) -> ResourceStep:
    clients.get("sqs", REGION).create_queue(QueueName=name, tags=tags)
    return step("aws:sqs/queue:Queue", name=name)


@pytest.mark.parametrize(
    "make_one", [make_bucket, make_role, make_log_group, make_secret, make_topic, make_queue]
)
@pytest.mark.parametrize("tags", [{}, OWN, {**OWN, "Environment": "prod"}])
def test_what_is_not_ours_under_a_name_of_ours_is_an_error(
    make: Callable[..., Environment],
    clients: Clients,
    make_one: Callable[..., ResourceStep],
    tags: dict[str, str],
) -> None:
    name = f"flight-{uuid.uuid4().hex[:10]}"
    planned = make_one(clients, name, tags)
    foreign = [("collision", "error", REGION)]
    assert found(make(), planned) == ([] if tags == OWN else foreign)
    # The ordinary plugin takes nothing over, so what the state does not know is in its way too. (Nobody here answers
    # for the account's quotas.)
    on_aws = found(make(target="aws"), planned)
    assert [each for each in on_aws if not each[0].startswith("quota")] == foreign


def test_a_free_name_and_what_the_state_knows_are_nothing(make: Callable[..., Environment]) -> None:
    free = f"flight-{uuid.uuid4().hex[:10]}"
    steps = [
        step(kind, op, name=free, bucket=free)
        for kind in (
            "aws:s3/bucket:Bucket",
            "aws:iam/role:Role",
            "aws:lambda/function:Function",
            "aws:sns/topic:Topic",
            "aws:sqs/queue:Queue",
        )
        for op in ("create", "same", "update")
    ]
    assert found(make(), *steps) == []


def test_a_region_that_is_left_out_gets_no_call(make: Callable[..., Environment]) -> None:
    environment = make()
    out = Environment(
        **{**vars(environment), "scope": RegionScope(frozenset({REGION})), "clients": cast(Any, None)}
    )
    assert found(out, step("aws:s3/bucket:Bucket", bucket="any"), step("aws:ec2/vpc:Vpc")) == []


def test_more_executions_than_the_account_can_reserve_is_an_error(
    make: Callable[..., Environment], clients: Clients
) -> None:
    limits = clients.get("lambda", REGION).get_account_settings()["AccountLimit"]
    room = limits["UnreservedConcurrentExecutions"] - UNRESERVED
    kind = "aws:lambda/function:Function"
    assert found(make(), step(kind, "update", reservedConcurrentExecutions=room)) == []
    too_much = step(kind, "update", reservedConcurrentExecutions=room + 1)
    assert found(make(), too_much) == [("quota", "error", REGION)]


def test_one_vpc_too_many_is_an_error() -> None:
    assert Room(VPCS, REGION, 4, 1, 5).finding is None
    finding = Room(VPCS, REGION, 5, 1, 5).finding
    assert finding is not None
    assert finding.severity == "error"


def test_a_document_that_will_be_too_large_is_an_error_before_anything_is_planned(
    make: Callable[..., Environment],
) -> None:
    entries = [{"prefix": f"{n}/" + "p" * 1000} for n in range(50)]
    found = preflight(make(carry={"s3": entries}, application={"store": "secretsmanager"}), Machine(None))
    assert {(each.code, each.severity, each.is_input) for each in found} == {("size", "error", True)}
    assert all("carry" in each.remedy for each in found)


def test_no_engine_is_a_finding_and_unknown_memory_is_none(make: Callable[..., Environment]) -> None:
    assert preflight(make(), Machine(None)) == []
    problem = InputError("No Pulumi CLI fits.", remedy="install it")
    (finding,) = preflight(make(), Machine(None, engine_problem=problem))
    assert (finding.code, finding.severity, finding.remedy) == ("engine", "error", "install it")


@pytest.mark.parametrize(
    ("said", "region"), [(None, "us-east-1"), ("EU", "eu-west-1"), ("eu-west-3", "eu-west-3")]
)
def test_where_a_bucket_lies_is_read_as_s3_has_always_said_it(
    make: Callable[..., Environment], said: str | None, region: str
) -> None:
    def called(*_: object, **__: object) -> dict[str, str | None]:
        return {"LocationConstraint": said}

    environment = make(state="s3://state-of-others/x", regions={"primary": region})
    asked = replace(environment, clients=cast(Any, SimpleNamespace(impatient=SimpleNamespace(call=called))))
    assert [each.region for each in _state_region(asked)] == [region]


def test_state_and_key_in_a_region_of_the_environment_are_a_warning(
    make: Callable[..., Environment], clients: Clients
) -> None:
    name = f"state-{uuid.uuid4().hex[:10]}"
    make_bucket(clients, name, {})
    arn = f"arn:aws:kms:{REGION}:123456789012:key/0f0b53f3"
    for key in (f"awskms://alias/k?region={REGION}", f"awskms:///{arn}"):
        inside = make(state=f"s3://{name}/x", state_secrets=key)
        findings = preflight(inside, Machine(None))
        assert [(each.code, each.severity, each.region) for each in findings] == [
            ("state-region", "warning", REGION)
        ] * 2
    outside = make(
        state=f"s3://{name}/x",
        state_secrets="awskms://alias/k?region=eu-west-3",
        regions={"primary": "eu-west-1"},
    )
    assert preflight(outside, Machine(None)) == []


def test_a_team_state_with_the_key_of_one_machine_is_a_warning(make: Callable[..., Environment]) -> None:
    state = "s3://somewhere/x?region=eu-west-3"
    (finding,) = preflight(make(state=state), Machine(None))
    assert (finding.code, finding.severity) == ("state-key", "warning")
    assert "state_secrets" in finding.remedy
    assert preflight(make(state=state, state_secrets="awskms://k?region=eu-west-3"), Machine(None)) == []
    assert preflight(make(), Machine(None)) == []


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
@pytest.mark.parametrize("named_by", ["own", "records", "s3", "ssm", "secrets", "state_secrets"])
def test_a_key_that_cannot_be_used_is_an_error_and_fails_the_check(
    make: Callable[..., Environment], clients: Clients, state: str, named_by: str
) -> None:
    kms, alias = clients.get("kms", REGION), f"alias/shop-{uuid.uuid4().hex[:10]}"
    carried: dict[str, dict[str, object]] = {
        "s3": {"prefix": "a/", "kms_key": alias},
        "ssm": {"path": "/shop", "kms_key": alias},
        "secrets": {"name": "shop/", "kms_key": alias},
    }
    more: dict[str, object] = {"project": f"flight{uuid.uuid4().hex[:6]}"}
    if named_by in carried:
        more["carry"] = {named_by: [carried[named_by]]}
    if named_by == "state_secrets":
        more["state_secrets"] = f"awskms://{alias}?region={REGION}"
    environment = make(**more)
    if named_by in ("own", "records"):
        component = {"own": KEY, "records": RECORDS_KEY}[named_by]
        alias = component.name(environment.config.names, REGION)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    if named_by != "own":
        own = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=environment.config.names.key_alias(REGION), TargetKeyId=own)
    kms.enable_key_rotation(KeyId=key if named_by == "own" else own)

    def keys() -> list[Finding]:
        return [each for each in preflight(environment, Machine(None)) if each.code == "key"]

    context = CheckContext(environment.config, cast(Any, None), clients, environment.now)
    assert keys() == []
    assert KeyCheck().ask(context, REGION)
    if state == "Disabled":
        kms.disable_key(KeyId=key)
    else:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    (finding,) = keys()
    assert (finding.severity, finding.region) == ("error", REGION)
    assert alias in finding.message
    assert ("cancel-key-deletion" in str(finding.remedy)) == (state == "PendingDeletion")
    with pytest.raises(Wrong, match=alias):
        KeyCheck().ask(context, REGION)


def test_a_key_that_cannot_be_asked_about_is_a_warning(
    make: Callable[..., Environment], clients: Clients
) -> None:
    class Closed(Clients):
        def call(self, region: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
            if operation == "describe_key":
                raise AwsFailed("not allowed", code="AccessDeniedException", where=region, remedy=None)
            return clients.call(region, service, operation, **parameters)

        def get(self, service: Any, region: str) -> Any:
            return clients.get(service, region)

    environment = replace(make(), clients=Closed())
    findings = preflight(environment, Machine(None))
    assert {(each.code, each.severity) for each in findings} == {("key-unknown", "warning")}


def test_secrets_that_cannot_be_looked_for_are_told_of_with_their_region(
    make: Callable[..., Environment], clients: Clients
) -> None:
    class Closed(Clients):
        def named(self, service: str, region: str) -> Any:
            if service == "secretsmanager":
                raise EndpointConnectionError(endpoint_url="https://secretsmanager")
            return clients.named(service, region)

        get = named  # type: ignore[assignment]

    environment = replace(
        make(target="aws", application={"store": "secretsmanager"}), clients=Closed(endpoint="https://x")
    )
    told = [each for each in preflight(environment, Machine(None)) if each.code == "pending-secret-unknown"]
    assert [(each.severity, each.region) for each in told] == [("warning", REGION)]
    assert told[0].remedy


BOUNDARY = "arn:aws:iam::123456789012:policy/flight.dev.boundary"


def test_a_boundary_that_is_too_narrow_for_the_settings_is_told_with_what_it_lacks(
    clients: Clients, make: Callable[..., Environment]
) -> None:
    first = {"access": {"boundary": BOUNDARY}, "carry": {"ssm": [{"path": "/flight"}]}}
    another_region = {**first, "regions": {"primary": REGION, "secondaries": ["ap-south-1"]}}
    another_entry = {**first, "carry": {"ssm": [{"path": "/flight"}, {"path": "/more"}]}}
    nothing_carried = {"access": {"boundary": BOUNDARY}}

    def told(settings: Any) -> list[str]:
        found = preflight(make(**settings), Machine(None))
        return [each.message for each in found if each.code == "boundary"]

    iam = clients.get("iam", REGION)
    iam.create_policy(
        PolicyName="flight.dev.boundary", PolicyDocument=document(boundary_statements(make(**first).config))
    )
    assert told(first) == told(nothing_carried) == []
    (lacks_region,) = told(another_region)
    assert "is too narrow for these settings: it does not cover arn:aws:" in lacks_region
    (lacks_entry,) = told(another_entry)
    assert lacks_entry.endswith("it does not cover arn:aws:ssm:*:123456789012:parameter/more/*")
    (finding,) = (each for each in preflight(make(**another_entry), Machine(None)) if each.code == "boundary")
    assert finding.severity == "error"
    assert "`regionshift bootstrap`" in finding.remedy
    iam.delete_policy(PolicyArn=BOUNDARY)
