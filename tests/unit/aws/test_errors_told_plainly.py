"""What a person reads when AWS, or the way to it, said no."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from regionshift.aws.errors import AwsFailed, is_outage, told_plainly, translate
from regionshift.errors import EXIT_FAILED, Refused


def told(error: Exception, resource: str | None = None) -> AwsFailed:
    with pytest.raises(AwsFailed) as caught, told_plainly("eu-west-1", resource):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PutObject")


def test_the_words_of_aws_are_kept_with_region_and_resource() -> None:
    error = told(refusal("AccessDenied", "User x may not s3:PutObject"), "bucket-1")
    assert error.message == "PutObject: User x may not s3:PutObject (AccessDenied)"
    assert error.where == "eu-west-1, bucket-1"
    assert error.remedy is not None
    assert "permission" in error.remedy
    assert error.exit_code == EXIT_FAILED


def test_without_words_the_code_is_told() -> None:
    assert told(refusal("404")).message == "PutObject: 404 (404)"


@pytest.mark.parametrize(
    ("error", "about_credentials"),
    [
        (refusal("ExpiredToken"), True),
        (refusal("InvalidClientTokenId"), True),
        (NoCredentialsError(), True),
        (ProfileNotFound(profile="prod"), True),
        (refusal("AccessDenied"), False),
        (refusal("SlowDown"), False),
        (EndpointConnectionError(endpoint_url="https://sts.example"), False),
    ],
)
def test_who_asked_is_told_apart_from_what_was_asked(error: Exception, about_credentials: bool) -> None:
    found = told(error)
    assert found.is_about_credentials is about_credentials
    assert found.remedy


def test_other_errors_go_through() -> None:
    with pytest.raises(ZeroDivisionError), told_plainly("eu-west-1"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("message", "outside"),
    [
        ('Post "https://sts.eu-west-1.amazonaws.com/": dial tcp: lookup: no such host', True),
        ('Post "https://lambda.eu-west-1.amazonaws.com/": EOF', True),
        ("SSL validation failed for https://x [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred", True),
        ("dial tcp 1.2.3.4:443: connect: network is unreachable", True),
        ("api error ServiceUnavailable: https response error StatusCode: 503", True),
        ("api error SlowDown: Please reduce your request rate, StatusCode: 503", False),
        ("api error AccessDenied: no; the request timed out before", False),
        ("tls: failed to verify certificate: x509: unknown authority", False),
        ("api error InvalidParameterValueException: memory", False),
    ],
)
def test_what_an_engine_says_is_the_regions_fault_or_ours(message: str, outside: bool) -> None:
    assert is_outage(message) is outside


_SKEWED = "The difference between the request time and the current time is too large."
_OF_S3 = {"Code": "RequestTimeTooSkewed", "Message": _SKEWED}
_EXPIRED = (
    "Signature expired: 20261130T000000Z is now earlier than 20261130T001500Z (20261130T002000Z - 5 min.)"
)
_EARLY = "Signature not yet current: 20261130T050000Z is still later than 20261130T000500Z (20261130T000000Z + 5 min.)"


@pytest.mark.parametrize(
    ("error", "by"),
    [
        ({**_OF_S3, "RequestTime": "20261130T002000Z", "ServerTime": "2026-11-30T00:00:00Z"}, "1200 s ahead"),
        (
            {**_OF_S3, "RequestTime": "Mon, 30 Nov 2026 00:00:00 GMT", "ServerTime": "2026-11-30T01:00:00Z"},
            "3600 s behind",
        ),
        ({"Code": "SignatureDoesNotMatch", "Message": _EXPIRED}, "1200 s behind"),
        ({"Code": "InvalidSignatureException", "Message": _EARLY}, "18000 s ahead"),
        ({"Code": "RequestExpired", "Message": "Request has expired."}, None),
        ({**_OF_S3, "RequestTime": "x", "ServerTime": "y"}, None),
    ],
)
def test_a_clock_that_is_wrong_is_told_as_the_clock_with_its_skew(error: Any, by: str | None) -> None:
    found = translate(ClientError({"Error": error}, "ListRoles"), "eu-west-1")
    known = f", by {by}" if by else ""
    assert (
        found.message
        == f"The clock of this machine is wrong{known}: AWS refused ListRoles ({error['Message']})"
    )
    assert "clock" in str(found.remedy)
    # Else the embedded AWS would be given a new key, and the commands that run would lose theirs.
    assert not found.is_about_credentials


def test_a_wrong_key_is_not_told_as_the_clock() -> None:
    message = "The request signature we calculated does not match the signature you provided."
    error = ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": message}}, "ListRoles")
    assert "clock" not in translate(error, "eu-west-1").message


TOKEN = "FwoGZXIvYXdzEJr//////////wEaDKs+/=="


@pytest.mark.parametrize(
    "sentence",
    [
        # As SSM, KMS, IAM and STS say it.
        "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for"
        f" this request should have been\n'POST\n/\n\nhost:ssm\nx-amz-security-token:{TOKEN}\n\nhost;x-amz-date'",
        f"<Error><Code>InvalidToken</Code><Token-0>{TOKEN}</Token-0></Error>",
        f"GET https://b.s3.amazonaws.com/k?X-Amz-Security-Token={TOKEN}&X-Amz-Signature={TOKEN} failed",
        f"https://b.s3.amazonaws.com/k?X-Amz-Security-Token%3D{TOKEN}",
        f"cannot reach http://user:{TOKEN.replace('/', '%2F')}@proxy.example:3128",
    ],
)
def test_credentials_that_an_error_repeats_are_not_told(sentence: str) -> None:
    said = [told(refusal("SignatureDoesNotMatch", sentence)), Refused("no", where=sentence, remedy=sentence)]
    for error in said:
        shown = f"{error.message} {error} {error.where} {error.remedy}"
        assert TOKEN[:12] not in shown
        assert "[not shown]" in shown


def test_addresses_and_keys_without_credentials_are_told_whole() -> None:
    sentence = "https://127.0.0.1:4566/bucket/a@b s3://bucket/x:y@z arn:aws:iam::1:role/a@b PutObject:k//l:m"
    assert told(refusal("NoSuchKey", sentence)).message == f"PutObject: {sentence} (NoSuchKey)"
