"""The embedded AWS asks policies about log streams as AWS does; whether it still needs our help for it."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.emulator import LocalCloud
from regionshift.local.monitoring_gaps import as_aws_asks

REGION = "eu-west-1"


@pytest.fixture
def group(clients: Clients) -> Iterator[str]:
    name = f"/gap/{uuid.uuid4().hex}"
    logs = clients.get("logs", REGION)
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


@pytest.fixture
def logs_of(user: Callable[..., Clients]) -> Callable[[str], Any]:
    """Logs as a new user who may do everything to a resource."""
    return lambda resource: user({"Effect": "Allow", "Action": "logs:*", "Resource": resource}).get(
        "logs", REGION
    )


def write(logs: Any, group: str, stream: str) -> None:
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=at(0))


def at(*hours: float) -> list[Any]:
    """Events at so many hours from now."""
    now = time.time()
    return [{"timestamp": int((now + hour * 3600) * 1000), "message": str(hour)} for hour in hours]


def test_a_right_on_the_groups_streams_is_enough(
    cloud: LocalCloud, logs_of: Callable[[str], Any], group: str
) -> None:
    logs = logs_of(f"arn:aws:logs:{REGION}:{cloud.account}:log-group:{group}:*")
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    logs.describe_log_streams(logGroupName=group)
    write(logs, group, "one")


def test_a_right_on_one_stream_is_for_that_one(
    cloud: LocalCloud, clients: Clients, logs_of: Callable[[str], Any], group: str
) -> None:
    for stream in ("one", "other"):
        clients.get("logs", REGION).create_log_stream(logGroupName=group, logStreamName=stream)
    resource = f"arn:aws:logs:{REGION}:{cloud.account}:log-group:{group}:log-stream:one"
    logs = logs_of(resource)
    write(logs, group, "one")
    with pytest.raises(ClientError, match="AccessDenied"):
        write(logs, group, "other")


def test_a_right_on_the_bare_group_is_for_tagging(
    cloud: LocalCloud, logs_of: Callable[[str], Any], group: str
) -> None:
    arn = f"arn:aws:logs:{REGION}:{cloud.account}:log-group:{group}"
    logs = logs_of(arn)
    logs.tag_resource(resourceArn=arn, tags={"a": "b"})
    with pytest.raises(ClientError, match="AccessDenied"):
        logs.describe_log_streams(logGroupName=group)


@pytest.mark.parametrize("hours", [(0, -1), (-25, -0.5)])
def test_events_in_disorder_or_too_far_apart_are_refused(
    clients: Clients, group: str, hours: tuple[float, ...]
) -> None:
    logs = clients.get("logs", REGION)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=at(*hours))


def test_events_too_old_or_too_new_are_not_kept(clients: Clients, group: str) -> None:
    logs = clients.get("logs", REGION)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    answer = logs.put_log_events(
        logGroupName=group, logStreamName="one", logEvents=at(-24 * 15, -24 * 14.5, -1, 0, 3)
    )
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    kept = logs.get_log_events(logGroupName=group, logStreamName="one", startFromHead=True)["events"]
    assert [each["message"] for each in kept] == ["-1", "0"]


def test_the_emulator_still_needs_it() -> None:
    """When this fails, the part of ``local/monitoring_gaps.py`` about logs can go."""
    service = pytest.importorskip("ministack.services.cloudwatch_logs")
    assert "chronological order" not in inspect.getsource(service)
    iam_actions = pytest.importorskip("ministack.core.iam_actions")
    request = (
        "logs",
        "POST",
        "/",
        {"x-amz-target": "Logs_20140328.PutLogEvents"},
        b'{"logGroupName": "g", "logStreamName": "s"}',
        {},
        REGION,
        "123456789012",
    )
    bare = f"arn:aws:logs:{REGION}:123456789012:log-group:g"
    assert iam_actions.extract_resource_arn(*request) == bare
    assert as_aws_asks(iam_actions.extract_resource_arn)(*request) == f"{bare}:log-stream:s"
