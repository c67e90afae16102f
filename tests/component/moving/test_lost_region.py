"""A region that was given up: roles that cannot be shut, what refuses while it is fenced, and how it comes back.

Here the region still answers, so that what was done to it can be looked at; that it gets no call is e2e.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from primary_site import Site

from regionshift.local.state import ADMIN

pytestmark = pytest.mark.component


@contextmanager
def _may_not_change_role(site: Site, role: str) -> Iterator[None]:
    """Whoever runs the command has no right to the role's policies."""
    iam = site.clients.get("iam", "us-east-1")
    statement = {"Effect": "Deny", "Action": "iam:*RolePolicy", "Resource": f"*role/{role}"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=ADMIN, PolicyName="no-fence", PolicyDocument=json.dumps(policy))
    try:
        yield
    finally:
        iam.delete_user_policy(UserName=ADMIN, PolicyName="no-fence")


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    """All that was printed since, as one line."""
    out, err = capsys.readouterr()
    return " ".join((out + err).split())


@pytest.mark.thorough
def test_a_primary_that_was_given_up_is_the_primary_again_when_a_step_fails(site: Site) -> None:
    before = site.look()
    site.fates.left = {"validate-all": "fails"}
    assert site.run("promote", site.secondary, "--source-lost", "--yes") == 1
    assert site.look() == before
    assert before.fences == []
    assert site.run("status") == 0


def test_a_role_that_cannot_be_shut_is_told_remembered_and_shut_by_a_later_up(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = site.primary, site.secondary
    role = next(name for name in site.roles(old) if "replication" in name)
    with _may_not_change_role(site, role):
        for step in ("fence", "settings", "turn"):
            site.fates.left = {step: "killed after"}
            site.runs_until_killed("promote", new, "--source-lost", "--yes")
        assert site.run("promote", new, "--source-lost", "--yes") == 0
        assert f"{old} is NOT shut" in _said(capsys)
        assert site.look().fences == sorted(set(site.roles(old)) - {role})
        assert site.run("status") == 1
        told = _said(capsys)
        assert f"NOT SHUT ({role})" in told and told.count("NOT SHUT") == 2, "in its row too"
        assert "next: regionshift up" in told and "next: regionshift up --" not in told, "which tries again"
        assert "Not checked since" not in told, "the change of primary checked the regions that there are"
        assert site.run("up", "--yes", "--no-validate") == 0
        assert f"{old} is NOT shut" in _said(capsys)
    assert site.run("up", "--yes", "--no-validate") == 0
    assert f"{old} is fenced now" in _said(capsys)
    assert site.look().fences == sorted(site.roles(old))
    assert site.run("status", "--json") == 1
    status = json.loads(capsys.readouterr().out)
    regions = status["regions"]
    assert (status["next"], status["health"][old]["health"]) == (f"regionshift up --rejoin {old}", "fenced")
    assert regions[old]["note"] == f"fenced; when it is back: regionshift up --rejoin {old}"
    assert regions[new]["settled"]


def test_what_needs_the_region_refuses_while_it_is_fenced(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    old = site.secondary
    before = site.look()
    for command in (("destroy", "--yes"), ("promote", old, "--yes")):
        assert site.run(*command) in (2, 3)
        assert f"up --rejoin {old}" in _said(capsys), command
    assert site.run("rollback", "--yes") in (2, 3)
    assert "No deployment in waves was ever finished" in _said(capsys)
    assert site.look() == before


def test_a_return_carries_nothing_else_and_says_what_it_changes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    old, text, before = site.secondary, site.file.read_text(), site.look()
    for option in ("--no-validate", "--allow-data-loss", "--despite-alarms"):
        assert site.run("up", "--rejoin", old, option, "--yes") == 2
        assert option in _said(capsys)
    site.file.write_text(text + "function: {memory: 640}\n")
    assert site.run("up", "--rejoin", old, "--yes") == 3
    said = _said(capsys)
    assert "function.memory" in said and "run `regionshift up` first" in said
    site.file.write_text(text)
    assert site.run("up", "--rejoin", old) == 3, "nobody is there to be asked"
    assert "Plan for dev" in _said(capsys)
    assert site.look() == before
    assert site.run("up", "--rejoin", old, "--refresh", "--yes") == 0
    assert site.look().fences == []
    site.require_whole()
    assert site.run("status") == 0
