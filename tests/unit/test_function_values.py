"""Variables, configuration, answers, verdicts and messages, each by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.function.actions.validate import DOES_NOT_APPLY, verdict
from regionshift.function.answer import Answer
from regionshift.function.checks import CheckAnswer, is_whole
from regionshift.function.configuration import ConfigurationError, parse_configuration
from regionshift.function.notification import Notification, log_group_link
from regionshift.function.reporter import stream_name
from regionshift.function.surroundings import MisconfiguredError, Variables

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ENV = {
    "REGION": "eu-west-1",
    "ACCOUNT": "123456789012",
    "ENVIRONMENT": "dev",
    "ENVIRONMENT_SUFFIX": "pr-42",
    "DEPLOYMENT_BUCKET": "bucket",
    "CONFIG_PARAMETER": "/p/dev/eu-west-1/deployment-config",
    "NOTIFICATION_TOPIC": "arn:aws:sns:eu-west-1:123456789012:topic",
}


def test_the_suffix_names_the_environment() -> None:
    assert Variables.read(ENV).environment_name == "pr-42"
    assert Variables.read(ENV | {"ENVIRONMENT_SUFFIX": ""}).environment_name == "dev"


@pytest.mark.parametrize("name", sorted(set(ENV) - {"ENVIRONMENT_SUFFIX"}))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(MisconfiguredError, match=name):
        Variables.read(ENV | {name: ""})


def test_an_unknown_store_is_refused() -> None:
    with pytest.raises(MisconfiguredError, match="CONFIG_STORE"):
        Variables.read(ENV | {"CONFIG_STORE": "vault"})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "3", '"s3cret"', "null"])
def test_a_configuration_that_is_no_object_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text)
    assert caught.value.reached
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers() | st.text())))
def test_any_object_is_a_configuration(document: dict[str, object]) -> None:
    parse_configuration(json.dumps(document))


def test_odd_destinations_are_left_out() -> None:
    found = parse_configuration(
        '{"is_primary": "yes", "secondary_regions": ["a", 3], "replication_destinations": {"a": "b", "c": 1}}'
    )
    assert found.is_primary is None
    assert found.secondary_regions == ("a",)
    assert found.replication_destinations == {"a": "b"}


def test_an_answer_of_error_says_why() -> None:
    response = Answer(404, "rollback", "migration_id m has no record.", code="NoSuchMigration").response(
        "r", NOW
    )
    assert response["statusCode"] == 404
    assert json.loads(response["body"]) == {
        "status": "error",
        "action": "rollback",
        "region": "r",
        "timestamp": "2030-01-02T03:04:05+00:00",
        "error": "migration_id m has no record.",
        "code": "NoSuchMigration",
    }


def test_an_answers_own_fields_never_hide_the_common_ones() -> None:
    body = Answer(200, "validate", "fine", fields={"status": "?", "counts": 1}).body("r", NOW)
    assert (body["status"], body["counts"]) == ("success", 1)
    assert "error" not in body


@pytest.mark.parametrize(
    ("oks", "expected"),
    [
        ([True, True], True),
        ([True, False], False),
        ([None, False], False),
        ([None, True], True),
        ([None], DOES_NOT_APPLY),
    ],
)
def test_the_verdict(oks: list[bool | None], expected: bool | str) -> None:
    assert verdict([CheckAnswer("a", "b", ok) for ok in oks]) == expected


@pytest.mark.parametrize(
    ("rule", "whole"),
    [
        ({}, True),
        ({"Prefix": ""}, True),
        ({"Filter": {}}, True),
        ({"Filter": {"Prefix": ""}}, True),
        ({"Filter": {"And": {"Prefix": ""}}}, True),
        ({"Prefix": "a/"}, False),
        ({"Filter": {"Prefix": "a/"}}, False),
        ({"Filter": {"Tag": {"Key": "k", "Value": "v"}}}, False),
        ({"Filter": {"And": {"Prefix": "", "Tags": [{"Key": "k", "Value": "v"}]}}}, False),
    ],
)
def test_a_narrowed_replication_rule_is_not_for_the_whole_bucket(
    rule: dict[str, object], whole: bool
) -> None:
    assert is_whole(rule) is whole


def test_the_message_has_every_documented_field() -> None:
    message = Notification(
        event="migrate",
        environment="dév" * 100,
        region="eu-west-1",
        status="started",
        time=NOW.isoformat(),
        summary="x" * 5000,
        link="",
        migration_id="m-1",
    )
    assert set(json.loads(message.to_json())) == {
        "event",
        "environment",
        "region",
        "deployment_id",
        "migration_id",
        "status",
        "time",
        "summary",
        "link",
        "counts",
    }
    assert message.subject.isascii()
    assert len(message.subject) < 100


def test_the_link_is_the_consoles() -> None:
    assert log_group_link("eu-west-1", "/p/dev") == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logsV2:log-groups/log-group/$252Fp$252Fdev"
    )
    assert log_group_link("cn-north-1", "/p").startswith("https://cn-north-1.console.amazonaws.cn/")
    assert log_group_link("us-iso-east-1", "/p") == ""
    assert log_group_link("eu-west-1", "") == ""


def test_a_stream_is_named_as_the_functions_own() -> None:
    assert stream_name("2030/01/02/[$LATEST]abc", "r", NOW) == "2030/01/02/[$LATEST]abc"
    assert stream_name("", "r-1", NOW) == "2030/01/02/r-1"
    assert stream_name("", "", NOW) == "2030/01/02/direct"
    assert stream_name("a:b*c", "", NOW) == "a-b-c"
