"""What the protocol asks of the provider as a whole, whatever the type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from provider_cases.identities import new_role, trust
from provider_cases.kms import policy
from provider_lab import Lab, RefusedError, opened
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto import provider_pb2_grpc

from regionshift.errors import Refused
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.failures import message_without_secrets
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.server import serve
from regionshift.local.provider.wire import UNKNOWN, decode, encode

pytestmark = pytest.mark.provider

_KEY = "aws:kms/key:Key"
_ROLE = "aws:iam/role:Role"


@contextmanager
def _stub(cloud: LocalCloud) -> Iterator[Any]:
    with serve(cloud) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def test_an_endpoint_elsewhere_is_refused(cloud: LocalCloud) -> None:
    with (
        pytest.raises(Refused),
        serve(replace(cloud, endpoint="https://example.com")),
    ):
        pass


@pytest.mark.parametrize("call", ["CheckConfig", "Configure"])
def test_a_provider_that_names_an_endpoint_elsewhere_is_refused(cloud: LocalCloud, call: str) -> None:
    endpoints = json.dumps([{"s3": "https://s3.amazonaws.com"}])
    arguments = encode({"region": "eu-west-1", "endpoints": endpoints})
    with _stub(cloud) as stub, pytest.raises(grpc.RpcError, match="this machine"):
        if call == "CheckConfig":
            stub.CheckConfig(messages.CheckRequest(news=arguments))
        else:
            stub.Configure(messages.ConfigureRequest(args=arguments))


def test_a_provider_without_a_region_is_refused(cloud: LocalCloud) -> None:
    with _stub(cloud) as stub, pytest.raises(grpc.RpcError, match="region"):
        stub.Configure(messages.ConfigureRequest(args=encode({})))


def test_another_region_replaces_the_provider_and_so_all_it_made(lab: Lab) -> None:
    answer = lab.stub.DiffConfig(
        messages.DiffRequest(old_inputs=encode({"region": "eu-west-1"}), news=encode({"region": "us-east-1"}))
    )
    assert list(answer.replaces) == ["region"]


def test_a_type_and_an_input_it_does_not_know_are_named(lab: Lab) -> None:
    with pytest.raises(grpc.RpcError, match="aws:rds/instance:Instance"):
        lab.check(lab.urn("aws:rds/instance:Instance", "it"), {})
    with pytest.raises(RefusedError, match="xksKeyId is not supported"):
        lab.check(lab.urn(_KEY, "it"), {"xksKeyId": "one"})


def test_two_instances_each_have_their_region_and_tags(lab: Lab, cloud: LocalCloud, tmp_path: Path) -> None:
    with opened(cloud, "us-west-2", tmp_path, {"Region": "us-west-2"}) as other:
        there = other.create(_KEY, {})
        here = lab.create(_KEY, {})
    assert ":us-west-2:" in there.properties["arn"]
    assert there.properties["tagsAll"] == {"Region": "us-west-2"}
    assert f":{lab.region}:" in here.properties["arn"]


def test_a_lost_connection_does_not_lose_the_region_of_what_exists(lab: Lab, cloud: LocalCloud) -> None:
    made = lab.create(_KEY, {})
    with _stub(cloud) as again:
        read = again.Read(
            messages.ReadRequest(
                id=made.identity,
                urn=made.urn,
                inputs=encode(made.inputs),
                properties=encode(made.properties),
            )
        )
        assert read.id == made.identity
        with pytest.raises(grpc.RpcError, match="connection"):
            again.Check(messages.CheckRequest(urn=made.urn, news=encode({})))


def test_a_default_tag_shows_in_tags_all_and_gives_way_to_a_tag(
    lab: Lab, cloud: LocalCloud, tmp_path: Path
) -> None:
    with opened(cloud, lab.region, tmp_path, {"Owner": "default", "Project": "p"}) as tagged:
        made = tagged.create(_KEY, {"tags": {"Owner": "own"}})
        assert made.properties["tagsAll"] == {"Owner": "own", "Project": "p"}
        assert made.properties["tags"] == {"Owner": "own"}
        assert not tagged.plan(made, {"tags": {"Owner": "own"}}).changes


def test_a_generated_name_is_the_same_in_every_run_and_fits(lab: Lab) -> None:
    urn = lab.urn(_ROLE, "r" * 80)
    first, again = (lab.check(urn, {"assumeRolePolicy": trust()}) for _ in range(2))
    assert first["name"] == again["name"]
    assert len(first["name"]) <= 64
    assert lab.check(lab.urn(_ROLE, "r" * 81), {"assumeRolePolicy": trust()})["name"] != first["name"]


def test_a_generated_name_survives_a_new_urn(lab: Lab) -> None:
    olds = lab.check(lab.urn(_ROLE, "before"), {"assumeRolePolicy": trust()})
    news = lab.check(lab.urn(_ROLE, "after"), {"assumeRolePolicy": trust()}, olds)
    assert news["name"] == olds["name"]


def test_the_old_one_goes_first_only_when_its_name_stays(lab: Lab) -> None:
    made = new_role(lab)
    inputs = {"name": made.identity, "assumeRolePolicy": trust()}
    assert lab.plan(made, {**inputs, "path": "/teams/"}).delete_first
    assert not lab.plan(made, {**inputs, "name": "another", "path": "/teams/"}).delete_first


def test_what_is_not_known_yet_is_a_change_and_no_mistake(lab: Lab) -> None:
    made = new_role(lab)
    planned = lab.plan(made, {"name": made.identity, "assumeRolePolicy": UNKNOWN})
    assert planned.names == {"assumeRolePolicy"}
    assert not planned.replaces


def test_an_update_previews_what_it_may_change_as_unknown(lab: Lab) -> None:
    olds = {"name": "one", "code": None, "timeout": 3, "version": "$LATEST", "arn": "arn:aws:lambda:one"}
    answer = lab.stub.Update(
        messages.UpdateRequest(
            urn=lab.urn("aws:lambda/function:Function", "it"),
            olds=encode(olds),
            old_inputs=encode({"name": "one", "timeout": 3}),
            news=encode({"name": "one", "timeout": 4}),
            preview=True,
        )
    )
    previewed = decode(answer.properties)
    assert previewed["timeout"] == 4
    assert previewed["lastModified"] is UNKNOWN
    assert previewed["arn"] == "arn:aws:lambda:one"


def test_a_policy_written_otherwise_is_no_change(lab: Lab) -> None:
    made = lab.create(_KEY, {"policy": policy()})
    document = json.loads(policy())
    document["Statement"][0]["Action"] = ["kms:*"]
    same = json.dumps(dict(reversed(document.items())), indent=2)
    assert not lab.plan(made, {"policy": same}).changes


def test_what_a_killed_run_made_otherwise_is_made_anew(lab: Lab, cloud: LocalCloud, tmp_path: Path) -> None:
    lost = lab.create(_KEY, {"multiRegion": False})
    with opened(cloud, lab.region, tmp_path) as after:
        after.unique = lab.unique
        found = after.create(_KEY, {"multiRegion": True})
    assert found.identity != lost.identity
    assert lab.refresh(lost) is None


def test_what_a_killed_run_made_is_brought_up_to_date(lab: Lab, cloud: LocalCloud, tmp_path: Path) -> None:
    lost = lab.create(_KEY, {"description": "before", "tags": {"Old": "1"}})
    with opened(cloud, lab.region, tmp_path) as after:
        after.unique = lab.unique
        found = after.create(_KEY, {"description": "after", "tags": {"New": "1"}})
    assert found.identity == lost.identity
    assert found.properties["description"] == "after"
    assert found.properties["tags"] == {"New": "1"}
    refreshed = lab.refresh(found)
    assert refreshed is not None
    assert "Old" not in refreshed.properties["tagsAll"]


def test_a_secret_is_taken_as_its_value_and_unknown_marks_as_unknown() -> None:
    struct = encode({"plain": "a", "number": 3, "unknown": UNKNOWN})
    struct.update({"secret": {rpc._special_sig_key: rpc._special_secret_sig, "value": {"in": "hidden"}}})
    found = decode(struct)
    assert found["unknown"] is UNKNOWN
    assert found["secret"] == {"in": "hidden"}
    assert (found["plain"], found["number"]) == ("a", 3)


def test_an_error_of_aws_is_told_without_secret_values() -> None:
    function = BY_TOKEN["aws:lambda/function:Function"]
    variables = {"TOKEN": "hidden-value", "REGION": "eu-west-1", "LIMIT": "2", "IS_ON": "true"}
    inputs = {"environment": {"variables": variables}, "region": "eu-west-1"}
    text = "Value 'hidden-value' is too short in eu-west-1: 20261130T203012Z, so it is true"
    refused = {"Error": {"Code": "ValidationException", "Message": text}}
    message = message_without_secrets(ClientError(refused, "CreateFunction"), function, inputs)
    assert "is too short in eu-west-1: 20261130T203012Z, so it is true" in message
    assert "hidden-value" not in message
    shell = {**inputs, "environment": {"variables": {"TOKEN": "a<b&c", "STAGE": "dev"}}}
    refused = {
        "Error": {"Code": "ValidationException", "Message": r"a developer's a\u003cb\u0026c, a%3Cb%26c"}
    }
    message = message_without_secrets(ClientError(refused, "CreateFunction"), function, shell)
    assert message.endswith("a developer's [secret], [secret]")


def test_an_error_about_a_parameter_is_told_without_its_value(lab: Lab) -> None:
    with pytest.raises(ParamValidationError) as raised:
        lab.client("ssm").put_parameter(Name="one", Value=["hidden-value"], Type="SecureString")
    message = message_without_secrets(raised.value, None, {})
    assert "Value" in message
    assert "hidden-value" not in message
