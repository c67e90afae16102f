"""Values of the local provider: on the wire and back, the same or not, and which of them differ."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionshift.local.provider.conversions import from_api, to_api
from regionshift.local.provider.difference import DiffKind, difference, same
from regionshift.local.provider.fields import Field, FieldType, mistakes
from regionshift.local.provider.handlers.iam import RoleHandler
from regionshift.local.provider.handlers.s3 import BucketLifecycleHandler
from regionshift.local.provider.wire import UNKNOWN, decode, encode

_NAMES = st.from_regex(r"[a-z][a-zA-Z0-9]{0,8}", fullmatch=True)
_LEAVES = st.text(max_size=8) | st.booleans() | st.integers(-(2**40), 2**40)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=4)
_RULES = BucketLifecycleHandler.fields["rules"]
_CHOSEN = Field(FieldType.OBJECT, items={"a": Field(), "b": Field(computed=True)})


@given(_OBJECTS)
def test_values_come_back_from_the_wire_as_they_went(values: dict[str, Any]) -> None:
    assert decode(encode(values)) == values


@given(st.dictionaries(_NAMES, _VALUES, max_size=4))
@example({"d": [], "iD": []})
@example({"a": [{"id": "x", "iD": "y"}]})
@example({"Id": "a", "id": "b"})
def test_names_come_back_from_the_api_as_they_went_or_are_refused(values: dict[str, Any]) -> None:
    spelled = None
    with suppress(ValueError):
        spelled = to_api(values, {"id": "ID"})
    if spelled is None:
        assert re.search(r"'(iD|Id)':", str(values))
    else:
        assert from_api(spelled, {"id": "ID"}) == values


@pytest.mark.parametrize("name", ["iD", "Id", "Days", "ßize", "ſize"])
def test_a_name_that_would_come_back_as_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        to_api({"rules": [{name: 1}]}, {"id": "ID"})


@given(st.lists(st.text(min_size=1, max_size=5), max_size=6), st.randoms())
def test_a_set_has_no_order_and_a_list_has(items: list[str], random: Any) -> None:
    shuffled = random.sample(items, len(items))
    assert same(items, shuffled, Field(FieldType.SET))
    assert same(items, shuffled, Field(FieldType.LIST)) == (items == shuffled)


@pytest.mark.parametrize(
    ("one", "other", "of"),
    [
        (None, "", Field()),
        (None, [], Field(FieldType.LIST)),
        (None, 3, Field(FieldType.INTEGER, default=3)),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', Field(FieldType.DOCUMENT)),
        (
            [{"id": "a", "status": "Enabled"}],
            [{"id": "a", "status": "Enabled", "filter": {"prefix": ""}}],
            _RULES,
        ),
        ({"a": "x"}, {"a": "x", "b": "chosen"}, _CHOSEN),
    ],
)
def test_these_mean_the_same(one: Any, other: Any, of: Field) -> None:
    assert same(one, other, of)
    assert same(other, one, of)


@pytest.mark.parametrize(
    ("one", "other", "of"),
    [
        (UNKNOWN, UNKNOWN, Field()),
        ({"a": UNKNOWN}, {"a": UNKNOWN}, Field(FieldType.MAP)),
        (False, None, Field(FieldType.FLAG, default=True)),
        ('["b", "a"]', '["a", "b"]', Field(FieldType.DOCUMENT)),
        ([{"id": "a", "status": "Enabled"}], [{"id": "a", "status": "Disabled"}], _RULES),
        ({"a": "x", "b": "y"}, {"a": "x", "b": "z"}, _CHOSEN),
    ],
)
def test_these_do_not(one: Any, other: Any, of: Field) -> None:
    assert not same(one, other, of)


def _statement(**parts: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", **parts}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Action": "s3:Get"}, {"Action": ["s3:Get"]}),
        ({"Action": ["a", "b"]}, {"Action": ["b", "a"]}),
        ({"Principal": {"Service": "s3"}}, {"Principal": {"Service": ["s3"]}}),
        ({"Condition": {"Bool": {"k": "false"}}}, {"Condition": {"Bool": {"k": [False]}}}),
    ],
)
def test_policies_that_iam_reads_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert same(_statement(**one), _statement(**other), Field(FieldType.POLICY))
    assert not same(_statement(**one), _statement(**other, Sid="more"), Field(FieldType.POLICY))


def test_a_difference_says_where_and_whether_it_replaces() -> None:
    olds = {"name": "one", "path": "/", "tags": {"A": "1", "B": "2"}, "description": "x"}
    news = {"name": "one", "path": "/teams/", "tags": {"A": "1", "B": "3", "a.b": "4"}}
    found = difference(RoleHandler(), olds, news)
    assert found.replaces == {"path"}
    assert found.delete_first
    assert found.details == {
        "description": DiffKind.REMOVED,
        "path": DiffKind.CHANGED,
        "tags.B": DiffKind.CHANGED,
        'tags["a.b"]': DiffKind.ADDED,
    }


def test_what_aws_chose_is_no_difference_when_nobody_asks() -> None:
    key = Field(computed=True)
    handler = type("Any", (RoleHandler,), {"fields": {"chosen": key}})()
    assert not difference(handler, {"chosen": "by AWS"}, {}).change.names
    assert difference(handler, {"chosen": "by AWS"}, {"chosen": "mine"}).change.names


def test_a_mistake_names_its_path_and_never_its_value() -> None:
    rules = [{"id": "a", "status": "hidden-value", "expiration": {"days": "hidden-value"}, "hue": 1}]
    found = {mistake.path: mistake.reason for mistake in mistakes(rules, _RULES, "rules")}
    assert set(found) == {"rules[0].status", "rules[0].expiration.days", "rules[0].hue"}
    assert "hidden-value" not in str(found)
    assert not list(mistakes([UNKNOWN], _RULES, "rules"))
