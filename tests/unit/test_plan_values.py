"""A plan names every change, with old and new values, once for regions that are alike; secrets stay unseen."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi.runtime.rpc import UNKNOWN, _special_secret_sig, _special_sig_key

from regionshift.engine.events import ResourceStep
from regionshift.operations.destroy import propose_destroy
from regionshift.operations.planning import value_changes, wait_findings
from regionshift.report.printer import Screen
from regionshift.report.terminal import findings_table, growth_table, plan_table
from regionshift.report.values import Change, Finding, Growth, Plan, ValueChange

POLICY = "aws:iam/policy:Policy"


def test_what_a_plan_opens_is_told_once_for_all_regions_with_what_allows_it() -> None:
    same = Growth(
        "0123456789abcdef", "role worker-{region}", ("us-east-1", "eu-west-1"), ("may s3:* on *",), True
    )
    lines = (
        same,
        replace(same, id="1", regions=("eu-west-1",), is_allowed=True),
        replace(
            same,
            id="2",
            regions=("eu-west-1",),
            is_counted=False,
            why="as in the other regions",
            opens=("may \x1b[31m on b-{region}",),
        ),
    )
    shown = io.StringIO()
    wants = Finding("growth", "error", "more", None, "look")
    plan = Plan("dev", ("us-east-1", "eu-west-1"), (), (wants,), growth=lines)
    Screen(file=shown, width=120).print(growth_table(plan))
    assert [line.strip() for line in shown.getvalue().splitlines()] == [
        "What it opens:",
        "role worker-{region}  in all 2 regions  --allow-broadening 0123456789abcdef",
        "may s3:* on *",
        "role worker-eu-west-1  in eu-west-1  as in the other regions",
        r"may \x1b[31m on b-eu-west-1",
        "role worker-eu-west-1  in eu-west-1  allowed",
        "may s3:* on *",
    ]
    # A command that goes by no leave, as a rollback, names none.
    shown = io.StringIO()
    Screen(file=shown, width=120).print(growth_table(replace(plan, findings=())))
    assert "--allow-broadening" not in shown.getvalue()


def _step(old: dict[str, Any], new: dict[str, Any], *changed: str, type_: str = POLICY) -> ResourceStep:
    return ResourceStep("update", "urn:x::y", type_, "us-east-1", changed=changed, old=old, new=new)


def _policy(*actions: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions)}], "Version": "2012-10-17"})


@pytest.mark.parametrize(
    ("old", "new", "changed", "found"),
    [
        ({"memory": 128}, {"memory": 256}, ["memory"], [("memory", 128, 256)]),
        (
            {"policy": _policy("s3:Get*")},
            {"policy": _policy("s3:Get*", "s3:Put*")},
            ["policy"],
            [("policy.Statement[0].Action[]", None, "s3:Put*")],
        ),
        (
            {"policy": '{"Statement": [{"Sid": "A", "Action": "a"}, {"Sid": "B", "Action": "b"}]}'},
            {"policy": '{"Statement": [{"Sid": "B", "Action": "c"}]}'},
            ["policy"],
            [
                ("policy.Statement[A]", {"Sid": "A", "Action": "a"}, None),
                ("policy.Statement[B].Action", "b", "c"),
            ],
        ),
        ({"rules": [{"n": 1}, {"n": 2}]}, {"rules": [{"n": 1}, {"n": 3}]}, [], [("rules[1].n", 2, 3)]),
        ({"zones": ["a", "b"]}, {"zones": ["b", "a"]}, [], [("zones", ["a", "b"], ["b", "a"])]),
        # Another order of keys or other blanks are the same document.
        ({"policy": '{"a":1,"b":2}'}, {"policy": '{ "b": 2, "a": 1 }'}, [], []),
        (
            {"tags": {"a": "1"}},
            {"tags": {"b": "2"}},
            ["tags"],
            [("tags.a", "1", None), ("tags.b", None, "2")],
        ),
        ({"arn": "x"}, {"arn": UNKNOWN}, ["arn"], [("arn", "x", "(known when it is made)")]),
        ({"key": "[secret]"}, {"key": "[secret]"}, ["key"], [("key", None, None)]),
        ({"__defaults": []}, {"__defaults": ["x"]}, [], []),
    ],
)
def test_an_update_tells_its_values(
    old: dict[str, Any], new: dict[str, Any], changed: list[str], found: list[tuple[str, Any, Any]]
) -> None:
    assert [
        (each.path, each.before, each.after) for each in value_changes(_step(old, new, *changed))
    ] == found


@pytest.mark.parametrize(
    ("type_", "old", "new"),
    [
        (
            POLICY,
            {"env": {"a": {_special_sig_key: _special_secret_sig, "plaintext": "s3ntinel"}}},
            {"env": {}},
        ),
        (POLICY, {"env": "x"}, {"env": [{_special_sig_key: _special_secret_sig, "value": "s3ntinel"}]}),
        (
            "aws:secretsmanager/secretVersion:SecretVersion",
            {"secretString": "s3ntinel"},
            {"secretString": "b"},
        ),
        ("aws:secretsmanager/secretVersion:SecretVersion", {"secretString": '{"a":"s3ntinel"}'}, {}),
        ("aws:ssm/parameter:Parameter", {"value": "s3ntinel"}, {"value": "b"}),
    ],
)
def test_no_secret_is_shown(type_: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    found = value_changes(_step(old, new, type_=type_))
    assert found
    assert "s3ntinel" not in repr(found)


def _shown(*changes: Change, whole: bool = False) -> str:
    screen = Screen(file=io.StringIO())
    regions = ("us-east-1", "eu-west-1")
    screen.print(plan_table(Plan("dev", regions, changes, (), 7), whole=whole))
    return cast(io.StringIO, screen.file).getvalue()


def _in(region: str, op: str = "update", name: str = "role", **more: Any) -> Change:
    return Change(op, POLICY, f"{name}-{region}", region, f"urn::{name}-{region}", **more)


def test_a_standing_environment_hides_neither_creations_nor_values() -> None:
    said = _shown(
        *(_in(r, values=(ValueChange(f"arn.{r}", f"a:{r}", f"b:{r}"),)) for r in ("us-east-1", "eu-west-1")),
        *(_in(r, "create", "queue") for r in ("us-east-1", "eu-west-1")),
        _in("us-east-1", "create", "alone"),
    )
    assert f"update   role-{{region}}  {POLICY}  in all 2 regions" in said
    assert "arn.{region}: a:{region} → b:{region}" in said
    assert "create   queue-{region}" in said
    assert "create   alone-us-east-1" in said
    assert "more" not in said


def test_regions_that_differ_are_told_apart() -> None:
    said = _shown(
        _in("us-east-1", values=(ValueChange("memory", 1, 2),)),
        _in("eu-west-1", values=(ValueChange("memory", 1, 3),)),
    )
    assert "role-us-east-1" in said
    assert "memory: 1 → 2" in said
    assert "role-eu-west-1" in said
    assert "memory: 1 → 3" in said


def test_what_is_not_named_is_counted_and_verbose_names_it() -> None:
    many = [_in("us-east-1", name=f"n{number}") for number in range(50)]
    long = _in("us-east-1", values=(ValueChange("text", "x" * 500, "y"),))
    assert "… and 10 more: --verbose names them" in _shown(*many)
    made = _shown(*(_in("us-east-1", "create", f"n{number}") for number in range(50)))
    assert "  50 of them: --verbose names them" in made.splitlines() and "more" not in made
    assert all(f"n{number}-us-east-1" in _shown(*many, whole=True) for number in range(50))
    assert "x" * 500 not in _shown(long)
    assert "x" * 500 in _shown(long, whole=True)


_GROUP, _SUBNET = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/subnet:Subnet"


@pytest.mark.parametrize(
    ("op", "kind", "name", "target", "waits"),
    [
        ("delete", _GROUP, "function-security-group-eu-west-1", "aws", True),
        ("replace", _GROUP, "function-security-group-eu-west-1", "aws", True),
        ("delete", _GROUP, "function-security-group-eu-west-1", "local", False),
        ("update", _GROUP, "function-security-group-eu-west-1", "aws", False),
        ("delete", _GROUP, "endpoints-security-group-eu-west-1", "aws", False),
        ("delete", _SUBNET, "private-subnet-a-eu-west-1", "aws", False),
    ],
)
def test_a_plan_says_what_a_function_that_leaves_its_vpc_waits_for_and_how_long(
    op: str, kind: str, name: str, target: str, waits: bool
) -> None:
    environment = cast(Any, SimpleNamespace(config=SimpleNamespace(target=target)))
    found = wait_findings(environment, [Change(op, kind, name, "eu-west-1", f"urn:x::{name}")])
    assert bool(found) == waits
    assert all("45 minutes" in each.message and "eu-west-1" in each.message for each in found)


def test_the_plan_of_a_destroy_says_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regionshift.operations.destroy.permission_findings", lambda *_: [])
    urn = f"urn:pulumi:dev::shop::{_GROUP}::function-security-group-eu-west-1"
    state = SimpleNamespace(
        resources=lambda: [{"urn": urn, "type": _GROUP, "inputs": {"region": "eu-west-1"}}]
    )
    environment: Any = SimpleNamespace(
        name="dev",
        regions=("eu-west-1",),
        engine=state,
        scope=SimpleNamespace(fenced=()),
        config=SimpleNamespace(target="aws", is_protected=False, access=SimpleNamespace(operators=())),
    )
    (finding,) = propose_destroy(environment).findings
    assert (finding.code, finding.severity) == ("interfaces", "info")


def test_findings_that_are_alike_are_told_once_for_their_regions() -> None:
    regions = ("us-east-1", "eu-west-1")
    found = [Finding("gone", "error", f"no bucket in {each}", each, f"look at {each}") for each in regions]
    found.append(Finding("gone", "error", "no bucket in eu-north-1", "eu-north-1", "look elsewhere"))
    found.append(Finding("other", "warning", "no boundary", None, "set one"))
    screen = Screen(width=200)
    with screen.capture() as said:
        screen.print(findings_table(found))
    assert [line.rstrip() for line in said.get().splitlines()] == [
        "error   no bucket in {region} [us-east-1, eu-west-1]",
        "        → look at {region}",
        "error   no bucket in eu-north-1 [eu-north-1]",
        "        → look elsewhere",
        "warning no boundary",
        "        → set one",
    ]
