"""A state URL says where its bucket is, so that a change of primary does not lose it."""

from __future__ import annotations

import pytest

from regionshift.settings.state_url import StateUrl, parse_key_url, parse_state_url


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", StateUrl("")),
        ("file:///a/b?c", StateUrl("file:///a/b?c")),
        ("s3://b/p", StateUrl("s3://b/p")),
        ("s3://b/p/?region=eu-west-1", StateUrl("s3://b/p/", "eu-west-1")),
        ("s3://b?region=eu-west-1&x=1", StateUrl("s3://b", "eu-west-1", ("x",))),
    ],
)
def test_a_state_url_comes_apart(text: str, parts: StateUrl) -> None:
    assert parse_state_url(text) == parts


ARN = "arn:aws:kms:us-east-1:123456789012:key/0f0b53f3-5cf7-4f96-ba72-3dc94c04f29c"


@pytest.mark.parametrize(
    ("text", "key", "region"),
    [
        ("awskms://alias/state", "alias/state", None),
        ("awskms://alias/state?region=eu-west-1", "alias/state", "eu-west-1"),
        ("awskms://0f0b53f3-5cf7?region=eu-west-1&context_a=b", "0f0b53f3-5cf7", "eu-west-1"),
        (f"awskms:///{ARN}", ARN, "us-east-1"),
        (f"awskms:///{ARN}?region=eu-west-1", ARN, "us-east-1"),  # the key is where its ARN says
    ],
)
def test_a_key_of_kms(text: str, key: str, region: str | None) -> None:
    found = parse_key_url(text)
    assert found is not None
    assert (found.key, found.region) == (key, region)
    again = parse_key_url(found.text("ap-south-1", awssdk="v2"))
    assert again is not None
    assert (again.key, again.region) == (key, region or "ap-south-1")
    assert dict(again.options) == {**dict(found.options), "region": region or "ap-south-1", "awssdk": "v2"}


@pytest.mark.parametrize("text", [None, "", "gcpkms://projects/p/key", "passphrase"])
def test_no_key_of_kms(text: str | None) -> None:
    assert parse_key_url(text) is None
