"""Whoever can write the state can not have something emptied or deleted that is not the environment's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.engine.events import ResourceStep
from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.operations.deploying import deploy
from regionshift.operations.destroy import destroy
from regionshift.operations.emptying import empty_all, emptying, switch_off
from regionshift.operations.environment import Environment
from regionshift.operations.ownership import ownership_findings, require_ours
from regionshift.operations.up import Proposal
from regionshift.report.values import Change, Plan
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig

pytestmark = pytest.mark.component

REGION = "us-east-1"
Tags = dict[str, str]


def never() -> None:
    raise AssertionError("the engine ran")


@pytest.fixture
def environment(clients: Clients, tmp_path: Path) -> Environment:
    config = MigrationConfig.model_validate(
        {
            "project": f"p{uuid.uuid4().hex[:8]}",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": REGION, "secondaries": ["eu-west-1"]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
        }
    )
    nothing = cast(Any, None)
    return Environment(
        config=config,
        clients=clients,
        engine=nothing,
        program=nothing,
        release=nothing,
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
    )


def tags_of(environment: Environment, **more: str) -> Tags:
    config = environment.config
    return {"Project": config.project, "Environment": config.suffix, "ManagedBy": "regionshift", **more}


def bucket(clients: Clients, name: str, tags: Tags) -> str:
    s3 = clients.get("s3", REGION)
    s3.create_bucket(Bucket=name)
    if tags:
        s3.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
        )
    s3.put_object(Bucket=name, Key="kept", Body=b"x")
    return name


def own_name(environment: Environment) -> str:
    return named.DEPLOYMENT_BUCKET.name(environment.config.names, REGION)


def resource(kind: str, identity: str, **outputs: Any) -> tuple[str, dict[str, Any]]:
    urn = f"urn:pulumi:dev::p::{kind}::thing-{REGION}"
    return REGION, {"type": kind, "urn": urn, "id": identity, "inputs": {}, "outputs": outputs}


STRANGE: dict[str, Callable[[Environment], tuple[str, Tags]]] = {
    "somebody's": lambda _: (f"theirs-{uuid.uuid4().hex[:8]}", {}),
    "ours by its tags alone": lambda env: (f"theirs-{uuid.uuid4().hex[:8]}", tags_of(env)),
    "ours by its name alone": lambda env: (own_name(env), {}),
    "another environment's": lambda env: (own_name(env), tags_of(env, Environment="prod")),
    "another project's": lambda env: (own_name(env), tags_of(env, Project="other")),
}


@pytest.mark.parametrize("case", STRANGE)
def test_no_caller_touches_a_bucket_that_is_not_ours(
    case: str, environment: Environment, clients: Clients
) -> None:
    theirs = bucket(clients, *STRANGE[case](environment))
    ours = bucket(clients, named.LOG_BUCKET.name(environment.config.names, REGION), tags_of(environment))
    both = [(REGION, ours), (REGION, theirs)]

    for attempt in (
        lambda: empty_all(environment, both),
        lambda: emptying(environment, both, never),
        lambda: switch_off(environment, REGION, theirs),
        lambda: require_ours(environment, [resource("aws:s3/bucket:Bucket", theirs)]),
    ):
        with pytest.raises(Refused, match=theirs):
            attempt()

    for name in (ours, theirs):
        assert clients.get("s3", REGION).list_objects_v2(Bucket=name)["KeyCount"] == 1


def test_a_bucket_of_another_account_is_not_touched(environment: Environment, clients: Clients) -> None:
    bucket(clients, own_name(environment), tags_of(environment))
    config = environment.config.model_copy(update={"account": "999999999999"})
    other = Environment(**{**vars(environment), "config": config})

    with pytest.raises(Refused, match="999999999999"):
        empty_all(other, [(REGION, own_name(environment))])


def test_our_own_are_emptied_and_what_is_gone_is_no_fault(environment: Environment, clients: Clients) -> None:
    ours = bucket(clients, own_name(environment), tags_of(environment))
    made = f"media-{uuid.uuid4().hex[:8]}"
    bucket(clients, made, tags_of(environment, Name=f"carried-{made}-{REGION}"))
    buckets = [(REGION, ours), (REGION, made), (REGION, f"gone-{uuid.uuid4().hex}")]

    assert empty_all(environment, buckets) == 2
    assert emptying(environment, buckets, lambda: "ran") == "ran"


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("aws:cloudwatch/logGroup:LogGroup", "name"),
        ("aws:secretsmanager/secret:Secret", "name"),
        ("aws:ssm/parameter:Parameter", "name"),
        ("aws:iam/role:Role", "name"),
        ("aws:lambda/function:Function", "name"),
        ("aws:sns/topic:Topic", "name"),
        ("aws:sqs/queue:Queue", "name"),
        ("aws:sfn/stateMachine:StateMachine", "name"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "name"),
        ("aws:cloudwatch/dashboard:Dashboard", "dashboardName"),
        ("aws:kms/alias:Alias", "name"),
    ],
)
def test_what_is_called_otherwise_than_the_settings_call_it_is_not_deleted(
    kind: str, field: str, environment: Environment
) -> None:
    with pytest.raises(Refused, match="is not called as the settings call it"):
        require_ours(environment, [resource(kind, "x", **{field: "/somebody/elses"})])


def _named(environment: Environment) -> list[tuple[str, str, str]]:
    """Kind, name and id of things that are called as the settings call them, as AWS's plugin keeps them."""
    names, account = environment.config.names, environment.config.account
    worker = names.function_log_group(named.WORKER.name(names, REGION))
    alarm = named.replication_failed_alarm("eu-west-1").name(names, REGION)
    parameter = names.parameter("of-the-application", REGION)
    secret = names.secret("of-the-application", REGION)
    machine = named.STATE_MACHINE.name(names, REGION)
    return [
        ("aws:cloudwatch/logGroup:LogGroup", named.FLOW_LOG_GROUP.name(names, REGION), ""),
        ("aws:cloudwatch/logGroup:LogGroup", worker, worker),
        ("aws:ssm/parameter:Parameter", parameter, parameter),
        (
            "aws:secretsmanager/secret:Secret",
            secret,
            f"arn:aws:secretsmanager:{REGION}:{account}:secret:{secret}-AbC123",
        ),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", alarm, alarm),
        ("aws:kms/alias:Alias", *[named.RECORDS_KEY.name(names, REGION)] * 2),
        (
            "aws:sfn/stateMachine:StateMachine",
            machine,
            f"arn:aws:states:{REGION}:{account}:stateMachine:{machine}",
        ),
    ]


def test_what_the_settings_call_so_passes(environment: Environment) -> None:
    require_ours(environment, [resource(kind, id_, name=name) for kind, name, id_ in _named(environment)])


def test_an_id_of_something_else_under_our_name_is_refused(environment: Environment) -> None:
    for kind, name, id_ in _named(environment):
        for strange in ("theirs", id_ + "-2", id_.replace(environment.config.account, "999999999999")):
            if strange != id_:
                with pytest.raises(Refused):
                    require_ours(environment, [resource(kind, strange, name=name)])


def _topic_and_queue(
    environment: Environment, clients: Clients, tags: Tags
) -> list[tuple[str, dict[str, Any]]]:
    names = environment.config.names
    topic, queue = (each.name(names, REGION) for each in (named.DEPLOYMENT_TOPIC, named.DEAD_LETTERS))
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    arn = clients.get("sns", REGION).create_topic(Name=topic, Tags=cast(Any, pairs))["TopicArn"]
    url = clients.get("sqs", REGION).create_queue(QueueName=queue, tags=tags)["QueueUrl"]
    return [
        resource("aws:sns/topic:Topic", arn, name=topic),
        resource("aws:sqs/queue:Queue", url, name=queue),
    ]


@pytest.mark.parametrize("tags", ["none", "another environment's", "ours"])
def test_topics_and_queues_have_our_tags(tags: str, environment: Environment, clients: Clients) -> None:
    given = {"none": {}, "ours": tags_of(environment)}.get(tags, tags_of(environment, Environment="prod"))
    for each in _topic_and_queue(environment, clients, given):
        if tags == "ours":
            require_ours(environment, [each])
        else:
            with pytest.raises(Refused, match="tags"):
                require_ours(environment, [each])


def test_a_topic_or_queue_that_is_gone_is_no_fault(environment: Environment, clients: Clients) -> None:
    (_, topic), (_, queue) = _topic_and_queue(environment, clients, {})
    clients.get("sns", REGION).delete_topic(TopicArn=topic["id"])
    clients.get("sqs", REGION).delete_queue(QueueUrl=queue["id"])
    require_ours(environment, [(REGION, topic), (REGION, queue)])


@pytest.mark.parametrize("op", ["update", "delete", "replace"])
def test_a_plan_names_what_the_state_would_change_and_is_not_ours(
    op: str, environment: Environment, clients: Clients
) -> None:
    _, topic = _topic_and_queue(environment, clients, {})[0]
    step = ResourceStep(op, topic["urn"], topic["type"], REGION)

    def said(known: dict[str, Any]) -> list[str]:
        engine = cast(Any, SimpleNamespace(resources=lambda: [known]))
        return [each.code for each in ownership_findings(replace(environment, engine=engine), [step])]

    foreign = clients.get("sns", REGION).create_topic(Name=f"theirs-{uuid.uuid4().hex}")["TopicArn"]
    assert said({**topic, "id": foreign}) == ["ownership"]
    # What lost its tags gets them back by an update; nothing without them is deleted.
    assert said(topic) == ([] if op == "update" else ["ownership"])


def test_keys_and_networks_go_by_their_tags(environment: Environment, clients: Clients) -> None:
    kms, ec2 = clients.get("kms", REGION), clients.get("ec2", REGION)
    tags = [{"TagKey": key, "TagValue": value} for key, value in tags_of(environment).items()]
    ours: Any = kms.create_key(Tags=cast(Any, tags))["KeyMetadata"]["KeyId"]
    theirs: Any = kms.create_key()["KeyMetadata"]["KeyId"]
    vpc = str(ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"].get("VpcId"))
    group = ec2.create_security_group(GroupName="x", Description="x", VpcId=vpc)["GroupId"]
    subnet = str(ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"].get("SubnetId"))
    networks = [
        resource("aws:ec2/vpc:Vpc", vpc),
        resource("aws:ec2/securityGroup:SecurityGroup", group),
        resource("aws:ec2/subnet:Subnet", subnet),
    ]

    require_ours(environment, [resource("aws:kms/key:Key", ours), resource("aws:ec2/vpc:Vpc", "vpc-0gone")])
    for strange in (resource("aws:kms/key:Key", theirs), *networks):
        with pytest.raises(Refused, match="tags"):
            require_ours(environment, [strange])

    own = [{"Key": key, "Value": value} for key, value in tags_of(environment).items()]
    ec2.create_tags(Resources=[vpc, group, subnet], Tags=cast(Any, own))
    require_ours(environment, networks)


def test_a_refusal_comes_before_a_run_is_opened_and_others_are_ended(
    environment: Environment, clients: Clients, tmp_path: Path
) -> None:
    name = bucket(clients, f"somebodys-{uuid.uuid4().hex[:8]}", {})
    found = {"type": "aws:s3/bucket:Bucket", "urn": "urn:b", "id": name, "inputs": {"region": REGION}}
    engine = cast(Any, SimpleNamespace(resources=lambda: [found], destroy=never, up=never))
    environment = replace(environment, engine=engine)
    journal = Journal(open_state(tmp_path.as_uri()), "p.dev", environment.now)
    other = journal.start("move", {}).run_id
    gone = Change("delete", "aws:s3/bucket:Bucket", name, REGION, "urn:b")
    plan = Plan(environment.name, [REGION], (gone,), ())
    with pytest.raises(Refused, match="names the bucket"):
        destroy(environment, journal, plan)
    doomed = Proposal(plan, never, {REGION: "new"}, doomed=((REGION, name),), allows_loss=True)
    with pytest.raises(Refused, match="names the bucket"):
        deploy(environment, journal, doomed)
    assert [(view.run_id, view.outcome) for view in journal.unfinished()] == [(other, None)]
    assert len(journal.history()) == 1


def _steps(op: str, *found: tuple[str | None, dict[str, Any]]) -> list[ResourceStep]:
    return [ResourceStep(op, each["urn"], each["type"], region) for region, each in found]


def _said(
    environment: Environment, steps: list[ResourceStep], *found: dict[str, Any]
) -> list[tuple[str, str]]:
    engine = cast(Any, SimpleNamespace(resources=lambda: list(found)))
    findings = ownership_findings(replace(environment, engine=engine), steps)
    return [(each.code, each.message) for each in findings]


def test_what_the_program_never_makes_or_makes_elsewhere_is_not_deleted(environment: Environment) -> None:
    role = named.WORKER_ROLE.name(environment.config.names, REGION)
    ours = resource("aws:iam/role:Role", role, name=role)[1]
    other = {**ours, "provider": "urn:pulumi:dev::p::pulumi:providers:aws::aws-eu-west-1::1"}
    own = {**ours, "provider": f"urn:pulumi:dev::p::pulumi:providers:aws::aws-{REGION}::1"}
    require_ours(environment, [(REGION, own)])
    for strange, why in (
        (resource("aws:rds/instance:Instance", "orders")[1], "type"),
        (resource("aws:iam/role:Role", "Administrator")[1], "no name"),
        (other, "region"),
    ):
        assert [code for code, _ in _said(environment, _steps("delete", (REGION, strange)), strange)] == [
            "ownership"
        ]
        with pytest.raises(Refused, match=why):
            require_ours(environment, [(REGION, strange)])


@pytest.mark.parametrize("op", ["update", "delete"])
def test_a_resource_of_no_region_is_asked_about_too(op: str, environment: Environment) -> None:
    urn = "urn:pulumi:dev::p::aws:iam/role:Role::thing"
    role = {
        "type": "aws:iam/role:Role",
        "urn": urn,
        "id": "Administrator",
        "outputs": {"name": "Administrator"},
    }
    assert [code for code, _ in _said(environment, _steps(op, (None, role)), role)] == ["ownership"]


def test_what_aws_does_not_answer_of_one_thing_hides_no_refusal_of_another(
    environment: Environment, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = str(clients.get("kms", REGION).create_key()["KeyMetadata"].get("KeyId"))
    call = Clients.call

    def silent(self: Clients, region: str, service: str, operation: str, **parameters: Any) -> Any:
        if service == "s3":
            raise AwsFailed("slow down", code="SlowDown", where=region, remedy=None)
        return call(self, region, service, operation, **parameters)

    monkeypatch.setattr(Clients, "call", silent)
    found = [resource("aws:s3/bucket:Bucket", own_name(environment)), resource("aws:kms/key:Key", theirs)]
    with pytest.raises(AwsFailed):
        require_ours(environment, found[:1])
    with pytest.raises(Refused, match=theirs):
        require_ours(environment, found)


def test_a_part_goes_by_the_thing_that_it_is_of(environment: Environment, clients: Clients) -> None:
    names, account = environment.config.names, environment.config.account
    topic = f"arn:aws:sns:{REGION}:{account}:{named.DEPLOYMENT_TOPIC.name(names, REGION)}"
    secret = f"arn:aws:secretsmanager:{REGION}:{account}:secret:{names.secret('token', REGION)}-AbC123"
    queue = f"https://sqs.{REGION}.amazonaws.com/{account}/{named.DEAD_LETTERS.name(names, REGION)}"
    ours = bucket(clients, own_name(environment), tags_of(environment))
    theirs = bucket(clients, f"theirs-{uuid.uuid4().hex[:8]}", {})
    foreign = f"arn:aws:secretsmanager:{REGION}:{account}:secret:theirs-AbC123"
    for kind, own, strange in (
        ("aws:iam/rolePolicy:RolePolicy", f"{named.WORKER_ROLE.name(names, REGION)}:x", "Administrator:x"),
        ("aws:sns/topicPolicy:TopicPolicy", topic, f"{topic}-2"),
        (
            "aws:sns/topicSubscription:TopicSubscription",
            f"{topic}:{uuid.uuid4()}",
            f"{topic}-2:{uuid.uuid4()}",
        ),
        ("aws:sqs/queuePolicy:QueuePolicy", queue, queue.replace(account, "999999999999")),
        ("aws:secretsmanager/secretVersion:SecretVersion", f"{secret}|1", f"{foreign}|1"),
        ("aws:s3/bucketPolicy:BucketPolicy", ours, theirs),
        ("aws:s3/bucketLogging:BucketLogging", f"{ours},{account}", f"{theirs},{account}"),
    ):
        require_ours(environment, [resource(kind, own)])
        with pytest.raises(Refused, match="is not called as the settings call it"):
            require_ours(environment, [resource(kind, strange)])
