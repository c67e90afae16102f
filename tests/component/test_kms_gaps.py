"""S3 of the embedded AWS asks KMS as its caller; whether it still needs our help for it.

The recorded codes are those of localstack's `tests/aws/services/s3/test_s3.snapshot.json` (`test_s3_sse_…`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.kms_gaps import ALGORITHM, KMS_KEY

REGION, OTHER = "eu-west-1", "us-west-2"
KMS: Any = {"ServerSideEncryption": "aws:kms"}


@dataclass(frozen=True)
class Place:
    """A bucket and a key of its own for a test."""

    clients: Clients
    bucket: str
    key: str

    @property
    def s3(self) -> Any:
        return self.clients.get("s3", REGION)

    def put(self, name: str, **more: Any) -> Any:
        return self.s3.put_object(Bucket=self.bucket, Key=name, Body=b"test-sse", **more)

    def get(self, name: str) -> Any:
        return self.s3.get_object(Bucket=self.bucket, Key=name)

    def default(self, **rule: Any) -> None:
        self.s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


@pytest.fixture
def place(clients: Clients) -> Place:
    name = f"gap-{uuid.uuid4().hex}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return Place(clients, name, clients.get("kms", REGION).create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def user_with(user: Callable[..., Clients]) -> Callable[..., Clients]:
    """Clients of a user who may do everything to objects, and these actions to keys."""

    def make(*actions: str, **condition: Any) -> Clients:
        statements: list[Any] = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        if actions:
            statements.append(
                {"Effect": "Allow", "Action": list(actions), "Resource": "*", "Condition": condition}
            )
        return user(*statements)

    return make


def test_answers_name_the_key_by_its_arn_and_the_bucket_key(place: Place) -> None:
    name, alias = place.key.rpartition("/")[2], f"alias/{place.bucket}"
    place.clients.get("kms", REGION).create_alias(AliasName=alias, TargetKeyId=name)
    for named in (name, alias, place.key):
        assert place.put("a", **KMS, SSEKMSKeyId=named)["SSEKMSKeyId"] == place.key
        assert place.get("a")["SSEKMSKeyId"] == place.key
    assert "BucketKeyEnabled" not in place.get("a")
    place.default(
        ApplyServerSideEncryptionByDefault={"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": name},
        BucketKeyEnabled=True,
    )
    for answer in (place.put("b"), place.get("b")):
        assert (answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == (place.key, True)
    assert "BucketKeyEnabled" not in place.put("c", BucketKeyEnabled=False)


def test_etags_are_no_md5_and_another_for_every_version(place: Place) -> None:
    plain = place.put("a")["ETag"]
    first = place.put("a", **KMS, SSEKMSKeyId=place.key)["ETag"]
    copied = place.s3.copy_object(
        Bucket=place.bucket, Key="b", CopySource=f"{place.bucket}/a", **KMS, SSEKMSKeyId=place.key
    )["CopyObjectResult"]["ETag"]
    assert len({plain, first, copied}) == 3
    assert (place.get("a")["ETag"], place.get("b")["ETag"]) == (first, copied)
    back = place.s3.copy_object(Bucket=place.bucket, Key="c", CopySource=f"{place.bucket}/a")
    assert back["CopyObjectResult"]["ETag"] == plain
    given = {"Bucket": place.bucket, "Key": "d"}
    upload = place.s3.create_multipart_upload(**given, **KMS, SSEKMSKeyId=place.key)["UploadId"]
    part = place.s3.upload_part(**given, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    made = place.s3.complete_multipart_upload(
        **given, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    assert made["ETag"].endswith('-1"')
    assert made["ETag"] == place.get("d")["ETag"] != plain


def test_without_a_key_it_is_that_of_aws_which_everybody_may_use(
    place: Place, user_with: Callable[..., Clients]
) -> None:
    theirs = user_with().get("s3", REGION)
    found = theirs.put_object(Bucket=place.bucket, Key="a", Body=b"x", **KMS)["SSEKMSKeyId"]
    assert theirs.get_object(Bucket=place.bucket, Key="a")["SSEKMSKeyId"] == found
    described = place.clients.get("kms", REGION).describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (described["Arn"], described["KeyManager"]) == (found, "AWS")
    place.default(ApplyServerSideEncryptionByDefault={"SSEAlgorithm": "aws:kms"})
    assert place.put("b")["SSEKMSKeyId"] == found


def test_keys_that_cannot_be_used_are_refused_as_recorded(place: Place) -> None:
    kms = place.clients.get("kms", REGION)
    elsewhere = place.clients.get("kms", OTHER).create_key()["KeyMetadata"]["Arn"]
    nobodys = "134f2428-cec1-4b25-a1ae-9048164dba47"
    for named, told in (
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        (nobodys, f"Key '.*{nobodys}' does not exist"),
        (elsewhere, f"Invalid arn {OTHER}"),
        (elsewhere.rpartition("/")[2], "does not exist"),
    ):
        with pytest.raises(ClientError, match=rf"KMS\.NotFoundException.*{told}"):
            place.put("a", **KMS, SSEKMSKeyId=named)
        with pytest.raises(ClientError, match=r"KMS\.NotFoundException"):
            place.s3.create_multipart_upload(Bucket=place.bucket, Key="a", **KMS, SSEKMSKeyId=named)
    place.put("a", **KMS, SSEKMSKeyId=place.key)
    kms.disable_key(KeyId=place.key)
    for use in (lambda: place.get("a"), lambda: place.put("b", **KMS, SSEKMSKeyId=place.key)):
        with pytest.raises(ClientError, match=r"KMS\.DisabledException.*is disabled\."):
            use()
    assert place.s3.head_object(Bucket=place.bucket, Key="a")["SSEKMSKeyId"] == place.key
    kms.schedule_key_deletion(KeyId=place.key)
    with pytest.raises(ClientError, match=r"KMS\.KMSInvalidStateException.*is pending deletion"):
        place.get("a")


def test_who_may_use_objects_needs_the_key_too(place: Place, user_with: Callable[..., Clients]) -> None:
    place.put("a", **KMS, SSEKMSKeyId=place.key)
    under: Any = {**KMS, "SSEKMSKeyId": place.key}
    asked: dict[str, Callable[[Any], Any]] = {
        "kms:GenerateDataKey": lambda s3: s3.put_object(Bucket=place.bucket, Key="b", Body=b"x", **under),
        "kms:Decrypt": lambda s3: s3.get_object(Bucket=place.bucket, Key="a"),
        "kms:Decrypt ": lambda s3: s3.copy_object(
            Bucket=place.bucket, Key="c", CopySource=f"{place.bucket}/a"
        ),
        "kms:Decrypt  ": lambda s3: s3.head_object(Bucket=place.bucket, Key="a", ChecksumMode="ENABLED"),
    }
    for action, use in asked.items():
        for allowed, may in ((("kms:DescribeKey",), False), ((action.strip(),), True)):
            theirs = user_with(*allowed, StringEquals={"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
            if may:
                use(theirs.get("s3", REGION))
            else:
                with pytest.raises(ClientError, match=r"AccessDenied|403"):
                    use(theirs.get("s3", REGION))
    user_with().get("s3", REGION).head_object(Bucket=place.bucket, Key="a")


@pytest.mark.parametrize(
    ("condition", "bucket_key", "may"),
    [
        ({"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::{bucket}/a"}, False, True),
        ({"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::{bucket}"}, True, True),
        ({"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::{bucket}"}, False, False),
        ({"kms:ViaService": f"s3.{OTHER}.amazonaws.com"}, False, False),
        ({"kms:ViaService": f"ssm.{REGION}.amazonaws.com"}, False, False),
        ({"kms:ResourceAliases": "alias/{bucket}"}, False, True),
        ({"kms:ResourceAliases": "alias/of-somebody"}, False, False),
    ],
)
def test_a_key_is_used_under_its_conditions(
    place: Place,
    user_with: Callable[..., Clients],
    condition: dict[str, str],
    bucket_key: bool,
    may: bool,
) -> None:
    place.clients.get("kms", REGION).create_alias(
        AliasName=f"alias/{place.bucket}", TargetKeyId=place.key.rpartition("/")[2]
    )
    wanted = {name: value.format(bucket=place.bucket) for name, value in condition.items()}
    operator = "ForAnyValue:StringEquals" if "kms:ResourceAliases" in wanted else "StringEquals"
    theirs = user_with("kms:GenerateDataKey", **{operator: wanted}).get("s3", REGION)
    given: Any = {**KMS, "SSEKMSKeyId": place.key, "BucketKeyEnabled": bucket_key}
    if may:
        theirs.put_object(Bucket=place.bucket, Key="a", Body=b"x", **given)
    else:
        with pytest.raises(ClientError, match="kms:GenerateDataKey"):
            theirs.put_object(Bucket=place.bucket, Key="a", Body=b"x", **given)


def test_the_policy_of_a_key_of_another_region_counts(
    place: Place, user_with: Callable[..., Clients]
) -> None:
    """A copy between regions decrypts in the source's."""
    source = f"from-{place.bucket}"[:63]
    there, kms = place.clients.get("s3", OTHER), place.clients.get("kms", OTHER)
    there.create_bucket(Bucket=source, CreateBucketConfiguration={"LocationConstraint": OTHER})
    key = kms.create_key()["KeyMetadata"]
    there.put_object(Bucket=source, Key="a", Body=b"x", **KMS, SSEKMSKeyId=key["Arn"])
    theirs = user_with("kms:*", StringEquals={"kms:ViaService": f"s3.{OTHER}.amazonaws.com"}).get(
        "s3", REGION
    )
    theirs.copy_object(Bucket=place.bucket, Key="b", CopySource=f"{source}/a")
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    document = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    document["Statement"] = [*document["Statement"], nobody]
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(document))
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.copy_object(Bucket=place.bucket, Key="b", CopySource=f"{source}/a")


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that part of `local/kms_gaps.py` can go."""
    s3 = pytest.importorskip("ministack.services.s3")
    kms = pytest.importorskip("ministack.services.kms")
    name = f"bare-{uuid.uuid4().hex}"
    s3._create_bucket(name, b"", {})
    _, headers, _ = s3._put_object(name, "a", b"test-sse", {ALGORITHM: "aws:kms", KMS_KEY: "fake-key-id"})
    assert headers[KMS_KEY] == "fake-key-id"
    assert headers["ETag"] == s3._put_object(name, "b", b"test-sse", {})[1]["ETag"]
    assert s3._put_object(name, "a", b"x", {ALGORITHM: "aws:kms"})[0] == 400
    assert s3._get_object(name, "a", {})[0] == 200
    assert kms.key_policy_for_arn(f"arn:aws:kms:{OTHER}:{s3.get_account_id()}:key/one") is None
