"""The local provider under the real engine: one program in two regions, from nothing to nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError
from provider_cases.identities import trust

from plain_engine import engine_settings
from planted_values import Search, planted
from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, EngineFailed
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.handler import URN_TAG, Context, Handler
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.handlers.iam import RoleHandler
from regionshift.local.provider.handlers.ssm import ParameterHandler
from regionshift.local.provider.server import serve
from regionshift.local.provider.wire import Properties

pytestmark = [pytest.mark.provider, pytest.mark.component]

REGIONS = ("eu-central-1", "eu-west-1")
_SECRET = planted("engine")


@dataclass(frozen=True)
class Wanted:
    """What the program shall make; each test has names of its own."""

    name: str
    cidr: str = "10.0.0.0/16"
    description: str = "first"
    tags: tuple[tuple[str, str], ...] = (("Owner", "lab"),)
    parameter: str = _SECRET


@dataclass(frozen=True)
class Bench:
    """An engine over one state folder, attached to a provider of its own."""

    engine: Engine
    cloud: LocalCloud

    def program(self, wanted: Wanted) -> Callable[[], None]:
        def run() -> None:
            for region in REGIONS:
                _region(wanted, region, self.cloud)

        return run


def _region(wanted: Wanted, region: str, cloud: LocalCloud) -> None:
    provider = aws.Provider(
        f"aws-{region}",
        region=region,
        access_key=cloud.access_key,
        secret_key=cloud.secret_key,
        default_tags={"tags": {"Region": region, **dict(wanted.tags)}},
        endpoints=[{"s3": cloud.endpoint, "ec2": cloud.endpoint}],
        skip_credentials_validation=True,
        skip_requesting_account_id=True,
    )
    opts = pulumi.ResourceOptions(provider=provider)
    key = aws.kms.Key(f"key-{region}", description=wanted.description, deletion_window_in_days=7, opts=opts)
    bucket = aws.s3.Bucket(
        f"files-{region}", bucket=f"{wanted.name}-{region}-123456789012", force_destroy=True, opts=opts
    )
    aws.s3.BucketVersioning(
        f"versions-{region}",
        bucket=bucket.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=opts,
    )
    role = aws.iam.Role(f"{wanted.name}-role-{region}", assume_role_policy=trust(), opts=opts)
    aws.iam.RolePolicy(
        f"{wanted.name}-rights-{region}",
        role=role.name,
        policy=bucket.arn.apply(lambda arn: json.dumps(_reads(arn))),
        opts=opts,
    )
    vpc = aws.ec2.Vpc(f"vpc-{region}", cidr_block=wanted.cidr, opts=opts)
    aws.ssm.Parameter(
        f"settings-{region}",
        name=f"/{wanted.name}/settings",
        type="SecureString",
        value=pulumi.Output.secret(wanted.parameter),
        key_id=key.arn,
        opts=opts,
    )
    pulumi.export(f"bucket_{region}", bucket.bucket_regional_domain_name)
    pulumi.export(f"vpc_{region}", vpc.id)
    pulumi.export(f"key_{region}", key.arn)


def _reads(arn: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@contextmanager
def _bench(
    cloud: LocalCloud, folder: Path, stack: str, handlers: Mapping[str, Handler] = BY_TOKEN
) -> Iterator[Bench]:
    with serve(cloud, handlers) as port:
        yield Bench(Engine(engine_settings(folder, stack=stack, port=port)), cloud)


@pytest.fixture
def bench(cloud: LocalCloud, tmp_path: Path) -> Iterator[Bench]:
    with _bench(cloud, tmp_path, tmp_path.name[-20:].strip("_").replace("_", "-")) as bench:
        yield bench


def _ops(steps: list[Any]) -> set[tuple[str, str]]:
    return {(step.op, step.type) for step in steps if not step.type.startswith("pulumi:")}


def test_a_run_tells_the_outputs_that_the_state_has_after_it(bench: Bench) -> None:
    def program(description: str, *, hidden: bool = False) -> Callable[[], None]:
        def run() -> None:
            bench.program(Wanted("told", description=description))()
            pulumi.export("listed", ["one", {"two": description}])
            if hidden:
                pulumi.export("hidden", {"in": pulumi.Output.secret(_SECRET)})

        return run

    one_key = ["urn:pulumi:**::aws:kms/key:Key::key-eu-west-1"]
    made = bench.engine.up(program("first"))
    assert made.outputs == bench.engine.outputs()
    assert made.outputs is not None and made.outputs["listed"] == ["one", {"two": "first"}]
    assert bench.engine.up(program("second"), target=one_key).outputs == bench.engine.outputs()
    assert bench.engine.up(program("second"), target=one_key).outputs == bench.engine.outputs()
    # What is secret looks otherwise in an event than in an answer of the CLI, which is then asked.
    assert bench.engine.up(program("second", hidden=True)).outputs is None


def test_up_again_nothing_drift_repaired_and_nothing_left(bench: Bench, clients: Clients) -> None:
    wanted = Wanted("drift")
    made = bench.engine.up(bench.program(wanted))
    assert {op for op, _ in _ops(made.changes)} == {"create"}
    outputs = bench.engine.outputs()
    assert outputs["bucket_eu-west-1"] == "drift-eu-west-1-123456789012.s3.eu-west-1.amazonaws.com"
    assert outputs["key_eu-west-1"].startswith("arn:aws:kms:eu-west-1:123456789012:key/")

    assert not _ops(bench.engine.up(bench.program(wanted)).changes)
    assert not _ops(bench.engine.up(bench.program(wanted), refresh=True).changes)

    s3 = clients.get("s3", REGIONS[1])
    bucket = f"drift-{REGIONS[1]}-123456789012"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    clients.get("ec2", REGIONS[0]).delete_vpc(VpcId=outputs[f"vpc_{REGIONS[0]}"])
    bench.engine.refresh(bench.program(wanted))
    repaired = bench.engine.up(bench.program(wanted))
    assert _ops(repaired.changes) == {
        ("update", "aws:s3/bucketVersioning:BucketVersioning"),
        ("create", "aws:ec2/vpc:Vpc"),
    }
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="one")
    bench.engine.destroy(bench.program(wanted))
    assert not [found for found in bench.engine.resources() if found["type"] != "pulumi:pulumi:Stack"]
    names = [found["Name"] for found in s3.list_buckets()["Buckets"]]
    assert not [name for name in names if name.startswith("drift-")]


def test_default_tags_reach_everything_and_change_in_place(bench: Bench, clients: Clients) -> None:
    bench.engine.up(bench.program(Wanted("tagged")))
    changed = bench.engine.up(bench.program(Wanted("tagged", tags=(("Owner", "other"),))))
    assert {op for op, _ in _ops(changed.changes)} == {"update"}
    region = REGIONS[0]
    found = clients.get("s3", region).get_bucket_tagging(Bucket=f"tagged-{region}-123456789012")["TagSet"]
    visible = {tag["Key"]: tag["Value"] for tag in found if tag["Key"] != URN_TAG}
    assert visible == {"Region": region, "Owner": "other"}


def test_a_replacement_makes_the_new_one_beside_the_old_one(bench: Bench, clients: Clients) -> None:
    bench.engine.up(bench.program(Wanted("replaced")))
    before = bench.engine.outputs()
    bench.engine.up(bench.program(Wanted("replaced", cidr="10.9.0.0/16")))
    after = bench.engine.outputs()
    for region in REGIONS:
        old, new = before[f"vpc_{region}"], after[f"vpc_{region}"]
        assert old != new
        ids = {vpc["VpcId"] for vpc in clients.get("ec2", region).describe_vpcs()["Vpcs"]}
        assert new in ids
        assert old not in ids


def test_a_run_whose_state_is_lost_is_taken_over(cloud: LocalCloud, tmp_path: Path) -> None:
    wanted = Wanted("adopted")
    with _bench(cloud, tmp_path / "first", "adopt") as lost:
        lost.engine.up(lost.program(wanted))
        before = lost.engine.outputs()
    with _bench(cloud, tmp_path / "second", "adopt") as found:
        found.engine.up(found.program(wanted))
        assert found.engine.outputs() == before
        assert not _ops(found.engine.up(found.program(wanted), refresh=True).changes)
        found.engine.destroy(found.program(wanted))


class _Interrupted(RoleHandler):
    """Made, but a step after it fails as long as the file is there."""

    def __init__(self, trouble: Path) -> None:
        self._trouble = trouble

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:  # noqa: ARG002
        if self._trouble.exists():
            raise ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "TagRole")


def test_what_was_made_but_not_finished_is_finished_by_the_next_run(
    cloud: LocalCloud, clients: Clients, tmp_path: Path
) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    handlers = {**BY_TOKEN, RoleHandler.token: _Interrupted(trouble)}
    wanted = Wanted("half")
    with _bench(cloud, tmp_path, "half", handlers) as bench:
        with pytest.raises(EngineFailed, match="Rate exceeded"):
            bench.engine.up(bench.program(wanted))
        made = [found for found in bench.engine.resources() if found["type"] == RoleHandler.token]
        assert len(made) == len(REGIONS)
        trouble.unlink()
        bench.engine.up(bench.program(wanted))
        assert not _ops(bench.engine.up(bench.program(wanted)).changes)
        roles = (
            clients.get("iam", "us-east-1").get_paginator("list_roles").paginate().search("Roles[].RoleName")
        )
        assert len([role for role in roles if role.startswith("half-role")]) == len(REGIONS)


class _Repeating(ParameterHandler):
    """Refused, with the value in the sentence as others write it: the ordinary plugin's errors are not masked."""

    def create(self, context: Context, inputs: Properties) -> str:  # noqa: ARG002
        value = str(inputs["value"])
        said = f"Value {json.dumps(value)}, or {base64.b64encode(value.encode()).decode()}, failed"
        raise ClientError({"Error": {"Code": "ValidationException", "Message": said}}, "PutParameter")


def test_secrets_are_nowhere_in_the_clear(bench: Bench, cloud: LocalCloud, tmp_path: Path) -> None:
    search = Search()
    bench.engine.up(bench.program(Wanted("secret")))
    with pytest.raises(EngineFailed) as failed:
        bench.engine.up(bench.program(Wanted("secret", parameter=_SECRET * 400)))
    search.look("error", f"{failed.value} {failed.value.record.problems}")
    with _bench(cloud, tmp_path, "repeated", {**BY_TOKEN, ParameterHandler.token: _Repeating()}) as repeating:
        repeating.engine.hide([_SECRET])
        with pytest.raises(EngineFailed, match="ValidationException") as failed:
            repeating.engine.up(repeating.program(Wanted("repeated")))
    search.look("repeated", f"{failed.value} {failed.value.record.problems}")
    search.folder("disk", tmp_path)
    search.require_nothing("error", "repeated", "disk")
