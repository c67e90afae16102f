"""What the function accepts, and how it refuses the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.function.request import ACTION_NAMES, FunctionRequest, MigrationEnd, RefusedError, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
good_ids = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True).filter(lambda text: text.strip("."))


def refusal(event: object) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parse(event)
    return caught.value


def test_an_empty_event_validates() -> None:
    assert parse({}) == FunctionRequest("validate")


def test_validate_ignores_fields_that_are_not_its_own() -> None:
    assert parse({"action": "validate", "migration_id": 7, "more": []}) == FunctionRequest("validate")


def test_validate_can_be_asked_before_the_regions_are_linked() -> None:
    assert parse({"action": "validate", "linked": False}) == FunctionRequest("validate", linked=False)
    with pytest.raises(RefusedError, match="linked must be a boolean"):
        parse({"linked": "no"})


@pytest.mark.parametrize("event", [None, [], "validate", 3, True])
def test_an_event_that_is_no_object_is_refused(event: object) -> None:
    found = refusal(event)
    assert (found.status_code, found.action, found.migration_id) == (400, "unknown", None)
    assert "event" in found.sentence


@pytest.mark.parametrize("action", ["", "Validate", "deploy", "validate ", "x" * 10_000, "\ud800"])
def test_an_unknown_action_is_refused_by_name(action: str) -> None:
    found = refusal({"action": action, "migration_id": "m-1"})
    assert (found.status_code, found.code) == (400, "UnknownAction")
    assert "action" in found.sentence
    assert len(found.sentence) < 200
    assert found.migration_id == "m-1"


@pytest.mark.parametrize("action", [None, 1, [], {}, True])
def test_an_action_of_another_type_is_refused(action: object) -> None:
    found = refusal({"action": action})
    assert (found.status_code, found.code) == (400, "InvalidField")
    assert found.sentence.startswith("action must be a string")


@pytest.mark.parametrize("action", ["migrate", "rollback"])
@pytest.mark.parametrize(
    "migration_id",
    [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "../x",
        "a b",
        "a\n",
        "é",
        "\u0661",
        "a" * 129,
        "a\x00",
        None,
        1,
        [],
        {},
        True,
    ],
)
def test_an_unsafe_id_is_refused(action: str, migration_id: object) -> None:
    found = refusal({"action": action, "migration_id": migration_id})
    assert found.status_code == 400
    assert found.sentence.startswith("migration_id")
    assert found.action == action


@pytest.mark.parametrize("action", ["migrate", "rollback"])
def test_a_missing_id_is_refused(action: str) -> None:
    found = refusal({"action": action})
    assert (found.code, found.sentence) == ("MissingField", "migration_id is missing.")


@given(good_ids)
def test_every_safe_id_is_taken(migration_id: str) -> None:
    assert parse({"action": "rollback", "migration_id": migration_id}).migration_id == migration_id


@given(st.text(max_size=140))
def test_an_id_that_is_taken_cannot_leave_its_folder(migration_id: str) -> None:
    try:
        request = parse({"action": "migrate", "migration_id": migration_id})
    except RefusedError:
        return
    assert request.migration_id == migration_id
    assert "/" not in migration_id
    assert migration_id.strip(".")
    assert 0 < len(migration_id) <= 128


@given(json_values)
def test_any_event_is_taken_or_refused_and_nothing_else(event: Any) -> None:
    try:
        request = parse(event)
    except RefusedError as refused:
        assert 400 <= refused.status_code < 500
        json.dumps([refused.sentence, refused.action, refused.migration_id])
    else:
        assert request.action in ACTION_NAMES


@given(st.dictionaries(st.text(), json_values, max_size=4), good_ids)
def test_unknown_fields_change_nothing(more: dict[str, Any], migration_id: str) -> None:
    known = {"action", "migration_id", "source", "target", "source_prefix", "target_prefix", "config_key"}
    unknown = {name: value for name, value in more.items() if name not in known}
    event = {"action": "migrate", "migration_id": migration_id}
    assert parse(unknown | event) == parse(event)


def test_a_migration_names_its_ends() -> None:
    request = parse(
        {
            "action": "migrate",
            "migration_id": "m-1",
            "source": {"bucket": "b", "prefix": "", "region": "us-east-1"},
            "target": "label",
            "target_prefix": "new/",
            "config_key": "plans/one.json",
        }
    )
    assert request.source == MigrationEnd(bucket="b", prefix="", region="us-east-1")
    assert request.target == MigrationEnd(label="label", prefix="new/")
    assert request.config_key == "plans/one.json"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("source", 3, "source"),
        ("source", None, "source"),
        ("target", [], "target"),
        ("source", {"bucket": 3}, "source.bucket"),
        ("source", {"bucket": ""}, "source.bucket"),
        ("target", {"prefix": None}, "target.prefix"),
        ("target", {"region": ["eu-west-1"]}, "target.region"),
        ("source_prefix", 1, "source_prefix"),
        ("target_prefix", {}, "target_prefix"),
        ("config_key", "", "config_key"),
        ("config_key", False, "config_key"),
        ("source", "\ud800", "source"),
        ("source_prefix", "a\udfff", "source_prefix"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, named: str) -> None:
    found = refusal({"action": "migrate", "migration_id": "m-1", field: value})
    assert found.status_code == 400
    assert found.sentence.startswith(f"{named} ")
    assert (found.action, found.migration_id) == ("migrate", "m-1")


def test_two_spellings_of_one_prefix_must_agree() -> None:
    event = {"action": "migrate", "migration_id": "m", "source": {"prefix": "a"}}
    assert parse(event | {"source_prefix": "a"}).source.prefix == "a"
    assert "source_prefix" in refusal(event | {"source_prefix": "b"}).sentence


def test_a_rollback_may_give_a_reason() -> None:
    event = {"action": "rollback", "migration_id": "m"}
    assert parse(event | {"reason": "broken"}).reason == "broken"
    assert "reason" in refusal(event | {"reason": 1}).sentence


@pytest.mark.parametrize(
    "keys",
    [["k" * 1025], ["é" * 513], ["a"] * 10_001, ["k" * 1000] * 1001],
    ids=["long", "long in bytes", "many", "many bytes"],
)
def test_more_than_one_migration_can_name_is_refused_in_one_sentence(keys: list[str]) -> None:
    found = refusal({"action": "migrate", "migration_id": "m", "source": {"keys": keys}})
    assert (found.status_code, found.code) == (400, "InvalidField")
    assert found.sentence.startswith("source.keys has") and len(found.sentence) < 300


def test_as_many_keys_as_can_be_named_are_taken() -> None:
    keys = [f"{number:05}" + "k" * 95 for number in range(10_000)]
    found = parse({"action": "migrate", "migration_id": "m", "source": {"keys": keys}})
    assert found.keys == tuple(keys)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "rollback", "reason": "x" * 1025},
        {"action": "migrate", "source": "x" * 1025},
        {"action": "migrate", "source_prefix": "x" * 1025},
        {"action": "migrate", "config_key": "x" * 1025},
        {"action": "migrate", "target": {"bucket": "x" * 1025}},
    ],
)
def test_a_text_that_is_longer_than_any_key_is_refused(fields: dict[str, Any]) -> None:
    found = refusal({"migration_id": "m", **fields})
    assert (found.status_code, found.code) == (400, "InvalidField")
    assert "1,025 bytes" in found.sentence
