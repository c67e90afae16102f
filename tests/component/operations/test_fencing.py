"""A region is shut out: its roles from anywhere, its bucket once it answers, and both are said as they are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.errors import WorkFailed
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.local.emulator import LocalCloud
from regionshift.operations import rejoining
from regionshift.operations.moving import fencing
from regionshift.operations.rejoining import RejoinRun
from regionshift.releases import DeployedReleases
from regionshift.runs.deployment_state import RegionState
from regionshift.runs.state import RunStep, SagaState
from regionshift.settings.components import (
    DEPLOYMENT_BUCKET,
    FUNCTION_ROLE,
    REPLICATION_ROLE,
    STATE_MACHINE_ROLE,
    WORKER_ROLE,
)
from regionshift.settings.config import MigrationConfig
from regionshift.waiting import Waiter

LOST, THROUGH = "eu-west-1", "us-east-1"
ROLES = (REPLICATION_ROLE, FUNCTION_ROLE, WORKER_ROLE, STATE_MACHINE_ROLE)


@pytest.fixture
def config() -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": f"f{uuid.uuid4().hex[:8]}",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": THROUGH, "secondaries": [LOST]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
        }
    )


@pytest.fixture
def bucket(config: MigrationConfig, clients: Clients) -> str:
    name = DEPLOYMENT_BUCKET.name(config.names, LOST)
    s3 = clients.get("s3", LOST)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": LOST})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def policy(clients: Clients, bucket: str) -> list[dict[str, Any]]:
    document = json.loads(clients.get("s3", LOST).get_bucket_policy(Bucket=bucket)["Policy"])
    assert document["Version"] == "2012-10-17"
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


def replicate(clients: Clients, bucket: str) -> None:
    rule = {
        "ID": "r",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"},
    }
    role = "arn:aws:iam::123456789012:role/any"
    clients.get("s3", LOST).put_bucket_replication(
        Bucket=bucket, ReplicationConfiguration={"Role": role, "Rules": [rule]}
    )


def own(resources: object) -> dict[str, Any]:
    return {
        "Sid": "Own",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutBucketAcl",
        "Resource": resources,
    }


@pytest.mark.parametrize("listed", [False, True])
def test_nobody_writes_to_a_shut_bucket_and_nothing_replicates_from_it(
    listed: bool, config: MigrationConfig, clients: Clients, bucket: str
) -> None:
    s3, arn = clients.get("s3", LOST), f"arn:aws:s3:::{bucket}"
    kept = own([f"{arn}/*", arn] if listed else arn)
    document = {"Version": "2012-10-17", "Statement": [kept]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    replicate(clients, bucket)

    for _ in range(2):
        fencing.shut_bucket(clients, config, LOST)
        first, fence = policy(clients, bucket)
        assert first == kept
        assert (fence["Effect"], fence["Principal"], fence["Resource"]) == ("Deny", "*", [arn, f"{arn}/*"])
        with pytest.raises(ClientError, match="ReplicationConfigurationNotFound"):
            s3.get_bucket_replication(Bucket=bucket)
        for write in (
            lambda: s3.put_object(Bucket=bucket, Key="after", Body=b"x"),
            lambda: s3.delete_object(Bucket=bucket, Key="before"),
            lambda: replicate(clients, bucket),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                write()
        assert s3.get_object(Bucket=bucket, Key="before")["Body"].read() == b"x"


@contextmanager
def denied_still(clients: Clients, slept: list[float]) -> Iterator[None]:
    """The old policy has effect until a second has passed."""

    def deny(**_: Any) -> None:
        if sum(slept) < 1:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteBucketReplication")

    events = clients.get("s3", LOST).meta.events
    events.register("before-call.s3.DeleteBucketReplication", deny)
    try:
        yield
    finally:
        events.unregister("before-call.s3.DeleteBucketReplication", deny)


@pytest.mark.parametrize("late", [False, True])
def test_a_fence_that_stands_is_lifted_for_as_long_as_a_replication_is_taken_away(
    late: bool, config: MigrationConfig, clients: Clients, bucket: str
) -> None:
    slept: list[float] = []
    replicate(clients, bucket)
    arn = f"arn:aws:s3:::{bucket}"
    fence = {
        "Sid": "Fenced",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutReplicationConfiguration",
        "Resource": [arn],
    }
    document = {"Version": "2012-10-17", "Statement": [fence]}
    clients.get("s3", LOST).put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    waiter = Waiter(60, lambda: sum(slept), slept.append)
    with denied_still(clients, slept) if late else nullcontext():
        fencing.shut_bucket(clients, config, LOST, waiter)
    assert bool(slept) == late
    with pytest.raises(ClientError, match="ReplicationConfigurationNotFound"):
        clients.get("s3", LOST).get_bucket_replication(Bucket=bucket)
    (only,) = policy(clients, bucket)
    assert "s3:PutObject" in only["Action"]


def test_roles_are_shut_and_opened_again(config: MigrationConfig, clients: Clients) -> None:
    iam = clients.get("iam", THROUGH)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    names = [role.name(config.names, LOST) for role in ROLES[:3]]  # the fourth is not there
    for name in names:
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    for _ in range(2):
        fence = fencing.shut_roles(clients, config, LOST, THROUGH)
        assert (fence.done, fence.failed, fence.warning) == (tuple(names), {}, "")
        assert fence.said() == {"roles": names}
        for name in names:
            (statement,) = iam.get_role_policy(RoleName=name, PolicyName=fencing.POLICY)["PolicyDocument"][
                "Statement"
            ]
            assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", ["*"], ["*"])
    assert fencing.open_roles(clients, config, LOST, THROUGH) == {"roles": names}
    for name in names:
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    assert fencing.open_roles(clients, config, LOST, THROUGH) == {"roles": []}


def test_roles_that_cannot_be_reached_are_named_and_never_taken_for_shut(
    config: MigrationConfig, cloud: LocalCloud
) -> None:
    nobody = AccessKey("AKIANOBODYATALL12345", "x" * 40)
    refused = Clients(key=nobody, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    away = Clients(key=nobody, endpoint="https://127.0.0.1:9", ca_bundle=cloud.ca_bundle).impatient
    names = [role.name(config.names, LOST) for role in ROLES]
    for unable in (refused, away):
        fence = fencing.shut_roles(unable, config, LOST, THROUGH)
        assert (fence.done, list(fence.failed)) == ((), names)
        said = fence.said()
        assert (said["roles"], said["failed"]) == ([], dict(fence.failed))
        assert "eu-west-1 is NOT shut: 4 of its roles" in str(said["warning"])
        assert all(name in fence.warning for name in names)
        with pytest.raises(WorkFailed, match="4 roles of eu-west-1 are still denied") as left:
            fencing.open_roles(unable, config, LOST, THROUGH)
        assert left.value.where == names[0]
        assert names[3] in str(left.value.remedy)


def test_the_newest_run_says_which_regions_are_fenced_and_which_are_not_shut(tmp_path: Path) -> None:
    journal = Journal(open_state(tmp_path.as_uri()), "shop.dev", lambda: datetime.now(UTC))

    def ended(kind: Any, outcome: str, result: dict[str, object]) -> None:
        journal.start(kind, {}).close(outcome, result, failed=outcome == "failed")

    assert (fencing.fenced_regions(journal), fencing.not_shut(journal)) == ((), {})
    ended(
        "promotion",
        "promoted",
        {"fenced": [LOST, "sa-east-1"], fencing.NOT_SHUT: {LOST: ["r1"], "x": ["r2"]}},
    )
    ended("deployment", "succeeded", {"regions": {}})
    assert fencing.fenced_regions(journal) == (LOST, "sa-east-1")
    assert fencing.not_shut(journal) == {LOST: ("r1",)}
    deployed = fencing.with_fenced(DeployedReleases({THROUGH: RegionState("1")}, None), journal)
    assert deployed.regions == {
        THROUGH: RegionState("1"),
        LOST: RegionState(
            None,
            False,
            "NOT SHUT (r1): regionshift up tries again; fenced; when it is back: regionshift up --rejoin eu-west-1",
        ),
        "sa-east-1": RegionState(None, False, "fenced; when it is back: regionshift up --rejoin sa-east-1"),
    }
    ended("fence", "succeeded", {fencing.NOT_SHUT: {LOST: []}})
    assert fencing.not_shut(journal) == {}
    ended("destroy", "failed", {})
    assert fencing.fenced_regions(journal) == (LOST, "sa-east-1")
    ended("destroy", "succeeded", {})
    assert fencing.fenced_regions(journal) == ()


class Returning(RejoinRun):
    """Notes the steps in place of doing them; one of them fails."""

    done: ClassVar[list[str]] = []
    wrong: ClassVar[dict[str, Exception]] = {}

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> dict[str, Any]:
        assert self.run_id and not doubt and not state.failed
        self.done.append(step.name)
        if step.name in self.wrong:
            raise self.wrong[step.name]
        return {"said": self.region}


@pytest.fixture
def returning(tmp_path: Path, config: MigrationConfig, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two regions are fenced, and one of them is back."""
    journal = Journal(open_state(tmp_path.as_uri()), "shop.dev", lambda: datetime.now(UTC))
    journal.start("promotion", {}).close("promoted", {"fenced": ["af-south-1", LOST, "sa-east-1"]})
    monkeypatch.setattr(Returning, "done", [])
    monkeypatch.setattr(Returning, "wrong", {})
    release = SimpleNamespace(digest="2")
    environment = SimpleNamespace(config=config, regions=(THROUGH, LOST), release=lambda: release)
    catalog = SimpleNamespace(keep=lambda *_: None)
    monkeypatch.setattr(rejoining, "RejoinRun", Returning)
    return SimpleNamespace(
        environment=environment,
        catalog=catalog,
        journal=journal,
        carrying=lambda: nullcontext(None),
        clock=lambda: 0.0,
    )


def test_a_region_that_returns_is_shut_and_looked_at_before_anything_opens(returning: Any) -> None:
    steps = ["shut", "look", "open-roles", "turn", "copy-back", "validate"]
    assert rejoining.rejoin(returning, LOST) == {step: {"said": LOST} for step in steps}
    assert Returning.done == steps
    run = returning.journal.history()[0]
    assert [event.phase for event in returning.journal.events(run.run_id) if event.step in steps] == [
        "before",
        "after",
    ] * 6
    assert fencing.fenced_regions(returning.journal) == ("af-south-1", "sa-east-1")
    regions = {region: {"release": "2", "settled": True, "note": ""} for region in (THROUGH, LOST)}
    assert (run.outcome, run.result["regions"], run.result["links"]) == ("succeeded", regions, "2")


@pytest.mark.parametrize(
    "wrong",
    [
        WorkFailed("no"),
        OSError("broken"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutBucketPolicy"),
        EndpointConnectionError(endpoint_url="https://nowhere"),
    ],
    ids=lambda wrong: type(wrong).__name__,
)
def test_a_region_whose_return_fails_stays_fenced_and_is_told_what_goes_on(
    wrong: Exception, returning: Any
) -> None:
    Returning.wrong["look"] = wrong
    with pytest.raises(WorkFailed) as failed:
        rejoining.rejoin(returning, LOST)
    assert Returning.done == ["shut", "look"]
    assert failed.value.remedy == f"regionshift up --rejoin {LOST}"
    assert str(wrong) in failed.value.message
    assert failed.value.where == (None if isinstance(wrong, WorkFailed) else LOST)
    run = returning.journal.history()[0]
    assert run.outcome == "failed"
    (event,) = (
        each
        for each in returning.journal.events(run.run_id)
        if each.step == "look" and each.phase == "failed"
    )
    assert event.data == {"error": str(wrong)}
    assert LOST in fencing.fenced_regions(returning.journal)
