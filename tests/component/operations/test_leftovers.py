"""What an index tells late: what is deleted is asked of its own service, what is new is found by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import Refused
from regionshift.operations.collisions import taken_findings
from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import Leftover, look_for_leftovers, look_for_tagged
from regionshift.operations.orphans import recover
from regionshift.operations.ownership import require_ours
from regionshift.settings import components as named
from regionshift.settings.components import every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config
from regionshift.settings.names import NameKind
from regionshift.waiting import Waiter

pytestmark = pytest.mark.component
REGION, ACCOUNT = "eu-north-1", "123456789012"
TAGS = {"Project": "leftovers", "Environment": "dev"}
PAIRS = [{"Key": key, "Value": value} for key, value in TAGS.items()]


@dataclass
class Indexed:
    """Clients whose tagging index lists just ``arns``, whatever is there; every other service is the embedded AWS."""

    inner: Clients
    arns: list[str] = field(default_factory=list)

    def named(self, service: str, region: str) -> Any:
        return self if service == "resourcegroupstaggingapi" else self.inner.named(service, region)

    get = named

    def get_paginator(self, _: str) -> Any:
        listed = [{"ResourceARN": arn} for arn in self.arns]
        return SimpleNamespace(paginate=lambda **_: [{"ResourceTagMappingList": listed}])


@pytest.fixture
def indexed(clients: Clients) -> Any:
    return Indexed(clients)


@pytest.fixture
def config(tmp_path: Path) -> MigrationConfig:
    file = tmp_path / "regionshift.yaml"
    file.write_text(
        f"{{project: leftovers, environment: dev, account: '{ACCOUNT}', target: local,"
        f" regions: {{primary: {REGION}}}, network: {{vpc_cidr: 10.0.0.0/16}}}}"
    )
    return load_config(file, {}, {})


def whats(found: list[Leftover]) -> set[str]:
    return {left.what for left in found}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def test_a_policy_that_is_deleted_and_listed_still_is_gone(
    clients: Clients, indexed: Any, config: MigrationConfig
) -> None:
    iam, allowed = clients.get("iam", REGION), {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    made = iam.create_policy(PolicyName="left", PolicyDocument=text, Tags=PAIRS)["Policy"]["Arn"]  # type: ignore[arg-type]
    indexed.arns = [made]
    assert whats(look_for_tagged(indexed, config, [REGION])) == {made}
    iam.delete_policy(PolicyArn=made)
    assert look_for_tagged(indexed, config, [REGION]) == []


def test_a_managed_policy_is_found_by_its_name_whatever_tags_it_has(
    clients: Clients, indexed: Any, config: MigrationConfig
) -> None:
    iam, allowed = clients.get("iam", REGION), {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    name = named.WORKER_CARRY_POLICIES[-1].name(config.names, REGION)
    made = iam.create_policy(PolicyName=name, PolicyDocument=text)["Policy"]["Arn"]
    assert whats(look_for_leftovers(indexed, config, [REGION])) == {f"{NameKind.POLICY.label} {made}"}
    iam.delete_policy(PolicyArn=made)
    assert look_for_leftovers(indexed, config, [REGION]) == []


def test_where_it_cannot_be_looked_is_said_in_a_sentence(
    indexed: Any, config: MigrationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of `destroy` it goes into the run's record, which keeps no words but ours."""

    def down(_: str) -> Any:
        raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "not now"}}, "GetResources")

    monkeypatch.setattr(indexed, "get_paginator", down)
    with pytest.raises(AwsFailed, match="GetResources: not now") as failed:
        look_for_leftovers(indexed, config, [REGION])
    assert failed.value.where == f"{REGION}, what is left"


def test_what_no_service_here_can_be_asked_about_is_believed_and_a_key_that_is_gone_is_no_fault(
    indexed: Any, config: MigrationConfig
) -> None:
    strange, gone = arn("redshift", "cluster:x"), arn("kms", "key/5eb72b85-ffe3-4b2e-85e3-b1f89dc5d37d")
    indexed.arns = [strange, gone]
    assert whats(look_for_leftovers(indexed, config, [REGION])) == {strange}


def test_what_the_index_does_not_list_yet_is_found_by_its_name_and_its_tags(
    clients: Clients, indexed: Any, config: MigrationConfig
) -> None:
    names, sns, sqs = config.names, clients.get("sns", REGION), clients.get("sqs", REGION)
    ours, theirs = (each.name(names, REGION) for each in (named.DEPLOYMENT_TOPIC, named.ALARM_TOPIC))
    topic = sns.create_topic(Name=ours, Tags=PAIRS)["TopicArn"]  # type: ignore[arg-type]
    other = sns.create_topic(Name=theirs, Tags=[{"Key": "Project", "Value": "others"}])["TopicArn"]
    url = sqs.create_queue(QueueName=named.DEAD_LETTERS.name(names, REGION), tags=TAGS)["QueueUrl"]
    queue = arn("sqs", url.rpartition("/")[2])
    for look in (look_for_leftovers, look_for_tagged):
        assert whats(look(indexed, config, [REGION])) == {topic, queue}
    indexed.arns = [topic, queue]
    assert len(look_for_leftovers(indexed, config, [REGION])) == 2, "each is told once"
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=other)
    sqs.delete_queue(QueueUrl=url)
    assert look_for_leftovers(indexed, config, [REGION]) == []


def test_a_secret_that_is_listed_late_is_asked_for_itself(clients: Clients, config: MigrationConfig) -> None:
    kept = config.application.model_copy(update={"store": "secretsmanager"})
    config, vault = config.model_copy(update={"application": kept}), clients.get("secretsmanager", REGION)
    name = next(each.name for each in every_name(config) if each.kind is NameKind.SECRET)
    told = vault.create_secret(Name=name, SecretString="v", Tags=PAIRS)["ARN"]  # type: ignore[arg-type]

    @dataclass
    class ListedLate:
        """Secrets Manager, which lists these whatever is there."""

        arns: list[str]

        def named(self, service: str, region: str) -> Any:
            return self if service == "secretsmanager" else clients.named(service, region)

        get = named

        def get_paginator(self, _: str) -> Any:
            page = {"SecretList": [{"ARN": arn, "Name": name} for arn in self.arns]}
            return SimpleNamespace(paginate=lambda **_: [page])

        def __getattr__(self, call: str) -> Any:
            return getattr(vault, call)

    not_yet, still = cast(Any, ListedLate([])), cast(Any, ListedLate([told]))
    assert whats(look_for_leftovers(not_yet, config, [REGION])) == {told}
    assert whats(look_for_leftovers(still, config, [REGION])) == {told}
    vault.delete_secret(SecretId=told, ForceDeleteWithoutRecovery=True)
    assert look_for_leftovers(still, config, [REGION]) == []


@dataclass
class Late:
    """An environment of ``config`` whose waits bring about ``happens`` after some seconds."""

    clients: Clients
    config: MigrationConfig
    happens: Callable[[], object]
    pending: list[dict[str, Any]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    settled: list[Any] = field(default_factory=list)

    def _sleep(self, seconds: float) -> None:
        before = sum(self.slept)
        self.slept.append(seconds)
        if before < 20 <= before + seconds:
            self.happens()

    @property
    def environment(self) -> Environment:
        engine = SimpleNamespace(
            resources=lambda: [],
            pending=lambda: self.pending,
            release_lock=lambda: None,
            settle_pending=lambda taken, forgotten: self.settled.append((dict(taken), list(forgotten))),
            refresh=lambda *_, **__: None,
        )
        nothing: Any = None
        waiter = Waiter(120, lambda: sum(self.slept), self._sleep)
        return Environment(
            config=self.config,
            clients=self.clients,
            engine=cast(Any, engine),
            program=nothing,
            release=nothing,
            state_dir=nothing,
            now=nothing,
            waiter=waiter,
        )


def test_what_a_killed_run_made_is_taken_over_though_its_tags_are_told_late(
    clients: Clients, config: MigrationConfig
) -> None:
    ec2 = clients.get("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    urn = f"urn:pulumi:dev::leftovers::aws:ec2/vpc:Vpc::vpc-{REGION}"
    op = {
        "type": "creating",
        "resource": {"urn": urn, "type": "aws:ec2/vpc:Vpc", "inputs": {"region": REGION}},
    }
    tags: Any = [*PAIRS, {"Key": "Name", "Value": f"vpc-{REGION}"}]
    late = Late(clients, config, lambda: ec2.create_tags(Resources=[vpc], Tags=tags), [op])
    assert dict(recover(late.environment).taken) == {urn: vpc}
    assert late.settled == [({urn: vpc}, [])]
    ec2.delete_vpc(VpcId=vpc)
    never = Late(clients, config, lambda: None, [op])
    assert recover(never.environment).forgotten == (urn,)
    assert sum(never.slept) == pytest.approx(120), "it is believed to be nowhere when the time is over"


def test_a_name_that_is_just_given_up_is_waited_for_and_somebody_elses_is_not(
    clients: Clients, config: MigrationConfig
) -> None:
    sns, name = clients.get("sns", REGION), named.DEPLOYMENT_TOPIC.name(config.names, REGION)
    on_aws = config.model_copy(update={"target": "aws"})
    topic = sns.create_topic(Name=name, Tags=PAIRS)["TopicArn"]  # type: ignore[arg-type]
    late = Late(clients, on_aws, lambda: sns.delete_topic(TopicArn=topic))
    assert taken_findings(late.environment) == []
    sns.create_topic(Name=name, Tags=[{"Key": "Project", "Value": "others"}])
    others = Late(clients, on_aws, lambda: None)
    (finding,) = taken_findings(others.environment)
    assert "is not this environment's" in finding.message
    assert others.slept == []
    sns.delete_topic(TopicArn=topic)


def test_tags_that_are_told_late_do_not_make_it_somebody_elses(
    clients: Clients, config: MigrationConfig
) -> None:
    sns, name = clients.get("sns", REGION), named.DEPLOYMENT_TOPIC.name(config.names, REGION)
    topic = sns.create_topic(Name=name)["TopicArn"]
    owned: Any = [*PAIRS, {"Key": "ManagedBy", "Value": "regionshift"}]
    late = Late(clients, config, lambda: sns.tag_resource(ResourceArn=topic, Tags=owned))
    resource = {
        "type": "aws:sns/topic:Topic",
        "id": topic,
        "urn": f"urn:pulumi:dev::leftovers::aws:sns/topic:Topic::deployment-topic-{REGION}",
        "inputs": {"name": name},
    }
    require_ours(late.environment, [(REGION, resource)])
    sns.untag_resource(ResourceArn=topic, TagKeys=["ManagedBy"])
    with pytest.raises(Refused, match="does not have this environment's tags"):
        require_ours(Late(clients, config, lambda: None).environment, [(REGION, resource)])
    sns.delete_topic(TopicArn=topic)
