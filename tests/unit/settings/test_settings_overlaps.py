"""Entries of `carry` that could write one thing are refused, and those that cannot are not."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.settings.config import MigrationConfig
from regionshift.settings.overlaps import can_meet, covers, tokens
from regionshift.settings.rules import broken_rules


def refused(kind: str, *entries: dict[str, Any]) -> bool:
    config = MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "111122223333",
            "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1"]},
            "network": {"vpc_cidr": "10.0.0.0/16"},
            "carry": {kind: list(entries)},
        }
    )
    return any(path[:2] == ("carry", kind) for path, _ in broken_rules(config))


M = {"bucket": "media-{region}"}
OWN = "shop-dev-us-east-1-111122223333"


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("s3", [M, {**M, "prefix": "a/"}]),
        ("s3", [{**M, "prefix": "a/"}, M]),
        ("s3", [M, M]),
        ("s3", [{**M, "prefix": "a/", "target_prefix": "x/"}, {**M, "prefix": "b/", "target_prefix": "x/"}]),
        ("s3", [{**M, "prefix": "a/", "target_prefix": "x/"}, {**M, "prefix": "b/", "target_prefix": "x/y"}]),
        ("s3", [{**M, "include": ["*.jpg"]}, {**M, "include": ["in/*"]}]),
        ("s3", [{"prefix": "up/"}, {"bucket": "b-{region}", "target_bucket": "media-{region}"}, M]),
        ("s3", [M, {"bucket": "b-{region}", "target_bucket": "media-eu-west-1"}]),
        ("s3", [{**M, "exclude": ["a/*.tmp"]}, {**M, "prefix": "a/"}]),
        ("s3", [{}, {"prefix": "up"}]),
        ("s3", [{**M, "prefix": "a"}, {**M, "prefix": "a/b"}]),
        ("ssm", [{"path": "/shop"}, {"path": "/shop/"}]),
        ("ssm", [{"path": "/shop"}, {"path": "/shop/prod"}]),
        ("ssm", [{"path": "/a", "target_path": "/x"}, {"path": "/b", "target_path": "/x"}]),
        ("ssm", [{"path": "/a/{region}"}, {"path": "/a/eu-west-1"}]),
        ("ssm", [{"path": "/a"}, {"path": "/b", "target_path": "/a/us-east-1"}]),
        ("secrets", [{"name": "shop"}, {"name": "shop/"}]),
        ("secrets", [{"name": "a", "target_name": "x"}, {"name": "b", "target_name": "x/y"}]),
        ("secrets", [{"tags": {"team": "a"}}, {"name": "shop/"}]),
        ("secrets", [{"tags": {"team": "a"}}, {"tags": {"stage": "b"}}]),
    ],
)
def test_what_can_write_one_thing_is_refused(kind: str, entries: list[dict[str, Any]]) -> None:
    assert refused(kind, *entries)


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("s3", [M, {"bucket": "more-{region}"}, {"prefix": "a/"}, {"prefix": "b/"}]),
        ("s3", [{**M, "exclude": ["logs/*"]}, {**M, "prefix": "logs/"}]),
        ("s3", [{**M, "prefix": "logs/"}, {**M, "exclude": ["log*"]}]),
        ("s3", [{**M, "include": ["*.jpg"]}, {**M, "include": ["*.png"]}]),
        ("s3", [{**M, "exclude": ["*.jpg"]}, {**M, "include": ["*.jpg"]}]),
        ("s3", [{**M, "prefix": "a", "target_prefix": "x/"}, {**M, "prefix": "a", "target_prefix": "y/"}]),
        ("s3", [{**M, "prefix": "[a]"}, {**M, "prefix": "a"}]),
        ("ssm", [{"path": "/shop"}, {"path": "/shop-a"}]),
        ("ssm", [{"path": "/a/{region}/x"}, {"path": "/a/ap-south-1/x"}]),
        ("secrets", [{"name": "shop/"}, {"name": "shop-"}]),
        ("secrets", [{"tags": {"team": "a"}}, {"tags": {"team": "b"}}]),
        ("secrets", [{"tags": {"team": "a"}, "exclude": ["shop/*"]}, {"name": "shop/"}]),
    ],
)
def test_what_cannot_is_not(kind: str, entries: list[dict[str, Any]]) -> None:
    assert not refused(kind, *entries)


PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "["]), max_size=5).map("".join)
TEXTS = st.text("ab[", max_size=5)


@given(one=PATTERNS, other=PATTERNS, text=TEXTS)
def test_patterns_agree_with_what_they_select(one: str, other: str, text: str) -> None:
    fits, also = fnmatch.fnmatchcase(text, one), fnmatch.fnmatchcase(text, other)
    if fits and also:
        assert can_meet(tokens(one), tokens(other))
    if also and not fits:
        assert not covers(tokens(one), tokens(other))


@given(text=TEXTS.filter(lambda text: "[" not in text), pattern=PATTERNS)
def test_a_text_without_signs_is_met_by_just_what_selects_it(text: str, pattern: str) -> None:
    assert can_meet(tokens(text), tokens(pattern)) == fnmatch.fnmatchcase(text, pattern)
    assert covers(tokens(pattern), tokens(text)) == fnmatch.fnmatchcase(text, pattern)
