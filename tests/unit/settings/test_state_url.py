"""A state URL says where its bucket is, so that a change of primary does not lose it."""

from __future__ import annotations

import pytest

from regionshift.settings.state_url import BucketUrl, parse_key_url, parse_state_url


@pytest.mark.parametrize(
    ("text", "bucket", "prefix", "region", "engine"),
    [
        ("s3://b/p", "b", "p", None, "s3://b/p/engine?region=us-east-1"),
        ("s3://b/p/?region=eu-west-1", "b", "p", "eu-west-1", "s3://b/p/engine?region=eu-west-1"),
        ("s3://b?region=eu-west-1", "b", "", "eu-west-1", "s3://b/engine?region=eu-west-1"),
    ],
)
def test_the_url_of_a_bucket(text: str, bucket: str, prefix: str, region: str | None, engine: str) -> None:
    url = parse_state_url(text)
    assert isinstance(url, BucketUrl) and url.problem is None and url.folder is None
    assert (url.bucket, url.prefix, url.region) == (bucket, prefix, region)
    assert url.follows_primary == (region is None)
    assert url.engine_url("engine", "us-east-1") == engine
    local = url.engine_url("engine", "us-east-1", "https://127.0.0.1:1")
    assert local == f"{engine}&endpoint=https://127.0.0.1:1&s3ForcePathStyle=true"


@pytest.mark.parametrize(
    ("text", "problem", "nearest"),
    [
        ("", "file://DIRECTORY or s3://BUCKET/PREFIX", "file://"),
        ("a/b", "file://DIRECTORY or s3://BUCKET/PREFIX", "file://a/b"),
        ("gs://b/p", "file://DIRECTORY or s3://BUCKET/PREFIX", None),
        ("s3:///p", "file://DIRECTORY or s3://BUCKET/PREFIX", None),
        ("file://a/b", "file:///ABSOLUTE/DIRECTORY", None),
        ("s3://b/ü", "s3://BUCKET/PREFIX with a prefix of letters, digits and ! _ . * ' ( ) / -", None),
        ("s3://b/p?region=eu-wst-1", "s3://BUCKET/PREFIX?region=REGION", "s3://b/p?region=eu-west-1"),
        ("s3://b/p?region=eu-west-1&x=1", "s3://BUCKET/PREFIX?region=REGION", "s3://b/p?region=eu-west-1"),
        ("file:///a/b?c", None, None),
    ],
)
def test_what_a_state_url_should_be_instead(text: str, problem: str | None, nearest: str | None) -> None:
    url = parse_state_url(text)
    found = url.problem
    assert found == problem or (found and found.removesuffix(" with the bucket's own region") == problem)
    assert url.nearest == nearest
    assert not url.follows_primary or url.bucket


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
