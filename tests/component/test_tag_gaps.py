"""The embedded AWS refuses tags as AWS does; whether it still needs our help for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

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


IN_S3 = [
    ({"Key1,Key2": "Val1"}, "The TagKey you have provided is invalid"),
    ({"Key1": "Val1,Val2"}, "The TagValue you have provided is invalid"),
    ({"k" * 129: "v"}, "The TagKey you have provided is invalid"),
    ({"k": "v" * 257}, "The TagValue you have provided is invalid"),
]


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"tags-{uuid.uuid4().hex}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return name


@pytest.mark.parametrize(("tags", "says"), [*IN_S3, ({"aws:prefixed": "Val1"}, "prefixed with aws:")])
def test_s3_refuses_tags_of_objects_however_they_come(
    clients: Clients, bucket: str, tags: dict[str, str], says: str
) -> None:
    s3, found = clients.get("s3", REGION), rf"\(InvalidTag\).*{says}"
    told = {"Bucket": bucket, "Key": "one"}
    s3.put_object(**told, Tagging=urlencode({"a/b": "Größe +-=._:/@", "k" * 128: "v" * 256}))
    with pytest.raises(ClientError, match=found):
        s3.put_object_tagging(**told, Tagging={"TagSet": listed(tags)})  # type: ignore[typeddict-item]
    for make in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(ClientError, match=found):
            make(**told, Tagging=urlencode(tags))
    copy: Any = {**told, "CopySource": told, "Tagging": urlencode(tags)}
    with pytest.raises(ClientError, match=found):
        s3.copy_object(**copy, TaggingDirective="REPLACE")
    s3.copy_object(**copy, MetadataDirective="REPLACE")  # then the header says nothing
    assert len(s3.get_object_tagging(**told)["TagSet"]) == 2


@pytest.mark.parametrize(
    ("tags", "says"), [*IN_S3, ({"aws:prefixed": "Val1"}, "System tags cannot be added/updated by requester")]
)
def test_s3_refuses_tags_of_buckets(clients: Clients, bucket: str, tags: dict[str, str], says: str) -> None:
    s3 = clients.get("s3", REGION)
    with pytest.raises(ClientError, match=rf"\(InvalidTag\).*{says}"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": listed(tags)})  # type: ignore[typeddict-item]


def test_s3_takes_no_key_twice_and_ten_tags_an_object(clients: Clients, bucket: str) -> None:
    s3, told = clients.get("s3", REGION), {"Bucket": bucket, "Key": "one"}
    ten = {f"k{number}": "v" for number in range(10)}
    s3.put_object(**told, Tagging=urlencode(ten))
    twice: Any = {"TagSet": [{"Key": "Key1", "Value": "Val1"}] * 2}
    for put, what in ((s3.put_object_tagging, told), (s3.put_bucket_tagging, {"Bucket": bucket})):
        with pytest.raises(ClientError, match="Cannot provide multiple Tags with the same key"):
            put(**what, Tagging=twice)  # type: ignore[operator]
    for make in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(ClientError, match=r"\(BadRequest\).*Object tags cannot be greater than 10"):
            make(**told, Tagging=urlencode({**ten, "more": "v"}))
        for text in ("key1=val1&key1=val2", "key1=val1,key2=val2"):
            with pytest.raises(ClientError, match=r"\(InvalidArgument\).*without tag name duplicates"):
                make(**told, Tagging=text)
    assert len(s3.get_object_tagging(**told)["TagSet"]) == 10


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
    s3 = pytest.importorskip("ministack.services.s3")
    s3._create_bucket(name, b"", {})
    tags = b"<Tagging><TagSet>" + b"<Tag><Key>aws:x</Key><Value>,</Value></Tag>" * 2 + b"</TagSet></Tagging>"
    assert s3._put_bucket_tagging(name, tags)[0] == 204
    assert (
        sns._create_topic({"Name": name, "Tags.member.1.Key": "aws:x", "Tags.member.1.Value": "y"})[0] == 200
    )
