"""The embedded AWS ends pages early where AWS may; whether it still needs our help for it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.local.page_gaps import members

REGION = "eu-west-1"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture
def name() -> str:
    return f"pages-{uuid.uuid4().hex}"


def pages(client: Any, listing: str, path: str, size: int | None = None, **asked: Any) -> list[list[Any]]:
    """What each page of a listing holds, by following its token."""
    size_of = {"PaginationConfig": {"PageSize": size}} if size else {}
    found: Iterator[Any] = client.get_paginator(listing).paginate(**asked, **size_of)
    return [page[path] for page in found]


def test_the_first_page_of_events_is_empty_and_no_page_is_longer_than_asked(
    clients: Clients, name: str
) -> None:
    logs = clients.get("logs", REGION)
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="one")
    now = int(time.time() * 1000)
    events: Any = [{"timestamp": now + number, "message": str(number)} for number in range(5)]
    logs.put_log_events(logGroupName=name, logStreamName="one", logEvents=events)
    found = pages(logs, "filter_log_events", "events", 2, logGroupName=name)
    assert [[each["message"] for each in page] for page in found] == [[], ["0", "1"], ["2", "3"], ["4"]]


def test_the_first_pages_of_secrets_and_of_tagged_resources_are_empty(clients: Clients, name: str) -> None:
    vault, index = clients.get("secretsmanager", REGION), clients.get("resourcegroupstaggingapi", REGION)
    for number in range(3):
        vault.create_secret(Name=f"{name}-{number}", SecretString="x")
        clients.get("sns", REGION).create_topic(Name=f"{name}-{number}", Tags=[{"Key": name, "Value": "x"}])
    named: Any = [{"Key": "name", "Values": [name]}]
    found = pages(vault, "list_secrets", "SecretList", 2, Filters=named)
    assert [len(page) for page in found] == [0, 2, 1]
    tagged = pages(index, "get_resources", "ResourceTagMappingList", 2, TagFilters=[{"Key": name}])
    assert [len(page) for page in tagged] == [0, 2, 1]
    arns = [each["ResourceARN"] for page in tagged for each in page]
    # Those that are named come on no pages.
    assert len(index.get_resources(ResourceARNList=arns)["ResourceTagMappingList"]) == 3


def test_a_list_of_iam_is_short_of_what_there_is(clients: Clients, name: str) -> None:
    iam = clients.get("iam", REGION)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    assert pages(iam, "list_role_policies", "PolicyNames", RoleName=name) == [[]]
    for number in "abc":
        iam.put_role_policy(RoleName=name, PolicyName=number, PolicyDocument=document)
    assert pages(iam, "list_role_policies", "PolicyNames", RoleName=name) == [["a", "b"], ["c"]]
    assert pages(iam, "list_role_policies", "PolicyNames", 1, RoleName=name) == [["a"], ["b"], ["c"]]
    first = iam.list_policies(Scope="Local")
    for number in "abc":
        iam.create_policy(
            PolicyName=f"{name}-{number}", PolicyDocument=document, Tags=[{"Key": "k", "Value": "v"}]
        )
    every = [
        each["PolicyName"] for page in pages(iam, "list_policies", "Policies", Scope="Local") for each in page
    ]
    assert [each for each in every if each.startswith(name)] == [f"{name}-{number}" for number in "abc"]
    assert len(every) == len(set(every))
    assert len(first["Policies"]) < len(every)


def test_members_of_members_are_not_divided() -> None:
    one = b"<member><Tags><member>t</member></Tags></member>"
    body = b"<R>" + one + b"<member>2</member></R>"
    assert [body[start:end] for start, end in members(body)] == [one, b"<member>2</member>"]


def test_the_emulator_still_needs_it(name: str) -> None:
    """On the emulator as its authors ship it; when this fails, that list's line can go."""
    modules = ("cloudwatch_logs", "iam", "secretsmanager", "tagging")
    logs, iam, vault, index = (pytest.importorskip(f"ministack.services.{each}") for each in modules)
    vault._create_secret({"Name": name})
    assert json.loads(vault._list_secrets({})[2])["SecretList"]
    topics = pytest.importorskip("ministack.services.sns")
    topics._create_topic({"Name": name, "Tags.member.1.Key": "a", "Tags.member.1.Value": "b"})
    assert json.loads(index._get_resources({})[2])["ResourceTagMappingList"]
    logs._create_log_group({"logGroupName": name})
    logs._create_log_stream({"logGroupName": name, "logStreamName": "one"})
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": each} for each in "ab"]
    logs._put_log_events({"logGroupName": name, "logStreamName": "one", "logEvents": events})
    told = json.loads(logs._filter_log_events({"logGroupName": name, "limit": 1})[2])
    assert (len(told["events"]), "nextToken" in told) == (1, False)
    assert b"<IsTruncated>false" in iam._list_policies({"MaxItems": ["1"], "Scope": ["AWS"]})[2]
