"""A state URL says where its bucket is, so that a change of primary does not lose it."""

from __future__ import annotations

import pytest

from regionshift.settings.state_url import StateUrl, parse_state_url


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
