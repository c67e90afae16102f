"""What a person reads when AWS, or the way to it, said no."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.aws.outside import tells_of_outside
from regionshift.errors import EXIT_FAILED


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
    assert tells_of_outside(message) is outside
