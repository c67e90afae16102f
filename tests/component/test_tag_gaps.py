"""The embedded AWS refuses tags as AWS does; whether it still needs our help for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.tag_gaps import CODES, fault

REGION = "eu-west-1"


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


MAKING: dict[str, Callable[[Any, str, dict[str, str]], Any]] = {
    "kms": lambda client, _, tags: client.create_key(
        Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()]
    ),
    "iam": lambda client, name, tags: client.create_role(
        RoleName=name, AssumeRolePolicyDocument='{"Statement": []}', Tags=listed(tags)
    ),
    "sns": lambda client, name, tags: client.create_topic(Name=name, Tags=listed(tags)),
    "sqs": lambda client, name, tags: client.create_queue(QueueName=name, tags=tags),
    "ssm": lambda client, name, tags: client.put_parameter(
        Name=name, Value="x", Type="String", Tags=listed(tags)
    ),
    "secretsmanager": lambda client, name, tags: client.create_secret(Name=name, Tags=listed(tags)),
    "logs": lambda client, name, tags: client.create_log_group(logGroupName=name, tags=tags),
    "ec2": lambda client, _, tags: client.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": listed(tags)}]
    ),
}


@pytest.mark.parametrize("service", MAKING)
def test_a_reserved_key_is_refused_in_the_services_own_words(clients: Clients, service: str) -> None:
    client: Any = clients.get(service, REGION)  # type: ignore[call-overload]
    MAKING[service](client, f"n-{uuid.uuid4().hex[:8]}", {"Team a/b": "Größe +-=._:/@", "k" * 128: "v" * 256})
    with pytest.raises(ClientError, match=f"\\({CODES[service]}\\).*aws: are reserved"):
        MAKING[service](client, f"n-{uuid.uuid4().hex[:8]}", {"AWS:x": "y"})


def test_an_event_of_a_function_may_call_anything_tags(clients: Clients) -> None:
    functions = clients.get("lambda", REGION)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):  # so it was not refused for its tags
        functions.invoke(FunctionName="nobody", Payload=b'{"tags": {"aws:x": "#"}}')


@pytest.mark.parametrize(
    ("tags", "is_refused"),
    [
        ([("k", "")], False),
        ([("awsome", "aws:x")], False),
        ([("", "v")], True),
        ([("k" * 129, "v")], True),
        ([("k", "v" * 257)], True),
        ([("k", "a*")], True),
        ([("k\n", "v")], True),
        ([("k", "1"), ("K", "2")], False),
        ([("k", "1"), ("k", "2")], True),
    ],
)
def test_what_a_tag_may_be(tags: list[tuple[str, str]], is_refused: bool) -> None:
    assert bool(fault(tags)) is is_refused


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that service's line can go."""
    sns, secrets = (pytest.importorskip(f"ministack.services.{name}") for name in ("sns", "secretsmanager"))
    name = f"n{uuid.uuid4().hex[:8]}"
    assert secrets._create_secret({"Name": name, "Tags": listed({"aws:x": "y"})})[0] == 200
    assert (
        sns._create_topic({"Name": name, "Tags.member.1.Key": "aws:x", "Tags.member.1.Value": "y"})[0] == 200
    )
