"""The metric, the lines and the notifications of every action; and that none of them can spoil an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from function_caller import Caller
from function_region import ENVIRONMENT, Region

from regionshift.function import migration_worker

FORMAT = {
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


def caller(region: Region) -> Caller:
    return Caller(region.variables, region.clients_with(region.least_privilege()))


def told(messages: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(one["event"], one["status"], one["migration_id"]) for one in messages]


def test_validate_is_counted_written_down_and_told(secondary: Region) -> None:
    call = caller(secondary)
    with secondary.counted("validate", "success"):
        assert call({})[0] == 200
    lines = secondary.lines(secondary.variables.validation_log_group)
    assert [(line["action"], line["status"], line["request_id"]) for line in lines] == [
        ("validate", "success", "request-1")
    ]
    assert lines[0]["validation_results"]["s3_bucket"] is True
    messages = secondary.messages()
    assert sorted(told(messages)) == [("validate", "started", None), ("validate", "success", None)]
    for message in messages:
        assert set(message) == FORMAT
        assert (message["environment"], message["region"]) == (ENVIRONMENT, secondary.name)
        assert datetime.fromisoformat(message["time"]).tzinfo is not None
        assert message["summary"]
        assert message["link"].startswith("https://eu-west-1.console.aws.amazon.com/")


def test_a_failed_validate_counts_as_an_error(secondary: Region) -> None:
    secondary.put_configuration_text("")
    with secondary.counted("validate", "error"):
        assert caller(secondary)({})[0] == 500
    assert sorted(told(secondary.messages())) == [("validate", "error", None), ("validate", "started", None)]


def test_two_environments_of_a_region_are_counted_apart(secondary: Region) -> None:
    rights = secondary.clients_with(secondary.least_privilege())
    for name in ("one", "two"):
        variables = replace(secondary.variables, function_name=name)
        with secondary.counted("validate", "success"):
            assert Caller(variables, rights)({})[0] == 200
    assert [secondary.count("validate", "success", name) for name in ("one", "two")] == [1, 1]


@pytest.mark.parametrize("action", ["migrate", "rollback"])
def test_what_is_carried_or_taken_back_is_reported(action: str, secondary: Region) -> None:
    if action == "rollback":
        assert caller(secondary)({"action": "migrate", "migration_id": "m-1"})[0] == 200
        secondary.messages()
    with secondary.counted(action, "success"):
        status, body = caller(secondary)({"action": action, "migration_id": "m-1"})
    assert (status, body["migration_id"]) == (200, "m-1"), body
    lines = [line["action"] for line in secondary.lines(secondary.variables.deployment_log_group)]
    assert lines == (["migrate", "rollback"] if action == "rollback" else ["migrate"])
    assert secondary.lines(secondary.variables.validation_log_group) == []
    assert sorted(told(secondary.messages())) == [(action, "started", "m-1"), (action, "success", "m-1")]


def test_a_rollback_without_a_record_is_not_found_by_name(secondary: Region) -> None:
    status, body = caller(secondary)({"action": "rollback", "migration_id": "nobody.made-this_1"})
    assert (status, body["code"]) == (404, "NoSuchMigration")
    assert "nobody.made-this_1" in body["error"]
    assert told(secondary.messages()) == [("rollback", "error", "nobody.made-this_1")]


def test_a_record_that_may_not_be_seen_is_no_missing_one(secondary: Region) -> None:
    statements = secondary.without("s3:ListBucket", "s3:GetObject")
    call = Caller(secondary.variables, secondary.clients_with(statements))
    status, body = call({"action": "rollback", "migration_id": "m-1"})
    assert (status, body["code"]) == (500, "AwsError")


@pytest.mark.parametrize(
    ("event", "action", "migration_id"),
    [
        ("validate", "unknown", None),
        ({"action": "launch", "migration_id": "m-2"}, "unknown", "m-2"),
        ({"action": "migrate", "migration_id": "../up"}, "migrate", "../up"),
        ({"action": "rollback", "migration_id": 5}, "rollback", None),
    ],
)
def test_a_refused_request_is_reported_with_its_id(
    event: object, action: str, migration_id: str | None, secondary: Region
) -> None:
    with secondary.counted(action, "error"):
        status, body = caller(secondary)(event)
    assert (status, body["action"]) == (400, action)
    assert [line["code"] for line in secondary.lines(secondary.variables.deployment_log_group)] == [
        body["code"]
    ]
    assert told(secondary.messages()) == [(action, "error", migration_id)]


@pytest.mark.parametrize(
    "right", ["cloudwatch:PutMetricData", "logs:PutLogEvents", "logs:CreateLogStream", "sns:Publish"]
)
@pytest.mark.parametrize("event", [{"action": "migrate", "migration_id": "m-1"}, {"action": "x"}])
def test_a_report_that_fails_changes_no_answer(event: object, right: str, secondary: Region) -> None:
    full, less = (
        caller(secondary),
        Caller(secondary.variables, secondary.clients_with(secondary.without(right))),
    )
    answers = [call(event) for call in (full, less)]
    for _, body in answers:
        for varies in ("timestamp", "started", "ended"):
            body.pop(varies, None)
    if right == "logs:CreateLogStream":
        assert secondary.lines(secondary.variables.deployment_log_group)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("right", ["cloudwatch:PutMetricData", "logs:PutLogEvents"])
def test_validate_stays_true_when_a_report_fails_and_the_log_says_which(
    right: str, secondary: Region
) -> None:
    call = Caller(secondary.variables, secondary.clients_with(secondary.without(right)))
    with secondary.counted("validate", "success", times=0 if "cloudwatch" in right else 1):
        assert call({})[0] == 200
    failures = [line for line in call.logged() if line["level"] == "ERROR"]
    assert len(failures) == 1
    assert "could not be sent" in failures[0]["message"]


def test_a_group_that_is_not_there_is_not_made(secondary: Region) -> None:
    elsewhere = secondary.with_variables(deployment_log_group=f"/{secondary.prefix}/nowhere")
    status, _ = caller(elsewhere)({"action": "migrate", "migration_id": "m-1"})
    assert status == 200
    found = secondary.make("logs").describe_log_groups(logGroupNamePrefix=f"/{secondary.prefix}/nowhere")
    assert found["logGroups"] == []


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
def test_the_line_of_an_action_is_logged_whatever_the_level(level: str, secondary: Region) -> None:
    secondary.change_configuration(log_level=level)
    call = caller(secondary)
    for _ in range(2):
        assert call({})[0] == 200
    assert [line["status"] for line in call.logged()] == ["success", "success"]


def test_every_action_has_its_line_in_the_functions_own_log(secondary: Region) -> None:
    call = caller(secondary)
    call({})
    call({"action": "migrate", "migration_id": "m-1"})
    call([])
    found = [(line["action"], line["status"], line["status_code"]) for line in call.logged()]
    assert found == [("validate", "success", 200), ("migrate", "success", 200), ("unknown", "error", 400)]
    json.dumps(call.logged())


@pytest.mark.parametrize(
    ("end", "status", "summary"),
    [
        (("migrate", "completed", ""), "success", "The migration m-1 in eu-west-1 ended as completed."),
        (("migrate", "refused", "why"), "error", "The migration m-1 in eu-west-1 was refused: why."),
        (("rollback", "failed", "why"), "error", "The rollback of m-1 in eu-west-1 failed: why."),
        (
            ("rollback", "partly", "2 left"),
            "error",
            "The rollback of m-1 in eu-west-1 left something: 2 left.",
        ),
    ],
)
def test_the_worker_tells_the_end_of_a_migration(
    end: tuple[str, str, str], status: str, summary: str, secondary: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_worker, "_topics", lambda _: secondary.make("sns"))
    told = {"NOTIFICATION_TOPIC": secondary.variables.notification_topic, "ENVIRONMENT": "pr-42"}
    group = {"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/worker"}
    event, ended, why = end
    migration_worker._teller("eu-west-1", {**told, **group})(event, "m-1", ended, {"written": 2}, why)
    (message,) = secondary.messages()
    assert datetime.fromisoformat(message.pop("time")).tzinfo is not None
    assert message.pop("link").endswith("log-groups/log-group/$252Faws$252Flambda$252Fworker")
    assert message == {
        "event": event,
        "environment": "pr-42",
        "region": "eu-west-1",
        "deployment_id": None,
        "migration_id": "m-1",
        "status": status,
        "summary": summary,
        "counts": {"written": 2},
    }


def test_a_worker_whose_topic_is_gone_or_not_named_goes_on(
    secondary: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_worker, "_topics", lambda _: secondary.make("sns"))
    gone = {"NOTIFICATION_TOPIC": f"{secondary.variables.notification_topic}-gone"}
    for env in ({}, gone):
        migration_worker._teller("eu-west-1", env)("migrate", "m-1", "completed", {})
    assert secondary.messages() == []
