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
from regionshift.operations.costs import cost_of
from regionshift.operations.destroy import propose_destroy
from regionshift.operations.planning import losses_of, value_changes, wait_findings
from regionshift.report.plan_view import plan_parts
from regionshift.report.printer import Screen
from regionshift.report.terminal import findings_table
from regionshift.report.values import LOSS, Change, Finding, Growth, Loss, MonthlyCost, Plan, ValueChange

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
    wants = Finding("growth", "error", "more", None, "look")
    plan = Plan("dev", ("us-east-1", "eu-west-1"), (), (wants,), growth=lines)
    assert _parts(plan)[1] == [
        "What it opens:",
        "role worker-{region}  in all 2 regions  --allow-broadening 0123456789abcdef",
        "may s3:* on *",
        "role worker-eu-west-1  in eu-west-1  as in the other regions",
        r"may \x1b[31m on b-eu-west-1",
        "role worker-eu-west-1  in eu-west-1  allowed",
        "may s3:* on *",
    ]
    # A command that goes by no leave, as a rollback, names none.
    assert "--allow-broadening" not in str(_parts(replace(plan, findings=())))


def _parts(plan: Plan, width: int = 120) -> list[list[str]]:
    """The lines of each section at a terminal of ``width`` columns."""
    screen, found = Screen(width=width), []
    for part in plan_parts(plan):
        with screen.capture() as taken:
            screen.print(part)
        found.append([line.strip() for line in taken.get().splitlines()])
    return found


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
        (
            {"policy": _policy("s3:Get*"), "inlinePolicies": []},
            {"inlinePolicies": [{"name": "x", "policy": _policy("s3:Get*")}]},
            ["policy"],
            [
                ("policy.Statement[0]", "Allow s3:Get*", None),
                ("inlinePolicies[]", None, {"name": "x", "policy": _policy("s3:Get*")}),
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
    for part in plan_parts(Plan("dev", regions, changes, (), 7), whole=whole):
        screen.print(part)
    return cast(io.StringIO, screen.file).getvalue()


def _in(region: str, op: str = "update", name: str = "role", **more: Any) -> Change:
    return Change(op, POLICY, f"{name}-{region}", region, f"urn::{name}-{region}", **more)


def test_a_standing_environment_hides_neither_creations_nor_values() -> None:
    said = _shown(
        *(_in(r, values=(ValueChange(f"arn.{r}", f"a:{r}", f"b:{r}"),)) for r in ("us-east-1", "eu-west-1")),
        *(_in(r, "create", "queue") for r in ("us-east-1", "eu-west-1")),
        _in("us-east-1", "create", "alone"),
    )
    assert "update   role-{region}  in all 2 regions  iam/policy" in said
    assert "arn.{region}: a:{region} → b:{region}" in said
    assert "create   queue-{region}" in said
    assert "create   alone-us-east-1" in said
    assert "more" not in said


def test_regions_that_differ_are_told_apart() -> None:
    said = _shown(
        _in("us-east-1", values=(ValueChange("memory", 1, 2),)),
        _in("eu-west-1", values=(ValueChange("memory", 1, 3),)),
    )
    assert "role-{region}" in said
    assert "memory: 1 → 2  in us-east-1" in said
    assert "memory: 1 → 3  in eu-west-1" in said
    other = _shown(_in("us-east-1"), _in("eu-west-1", "replace"))
    assert "update   role-us-east-1" in other
    assert "replace  role-eu-west-1" in other


def test_one_change_of_many_resources_is_one_entry() -> None:
    """Such as the tag that says which region is the primary."""
    places = {"us-east-1": (True, False), "eu-west-1": (False, True)}
    many = [
        _in(region, name=f"n{number}", values=(ValueChange("tags.IsPrimary", *turn),))
        for number in range(38)
        for region, turn in places.items()
    ]
    other = _in("us-east-1", name="bucket", values=(ValueChange("tags.IsPrimary", 1, 2),))
    said = _shown(*many, other)
    assert "and 37 more with the same change: --verbose names them" in said
    assert said.count("IsPrimary") == 3 and "bucket-us-east-1" in said and "…" not in said
    assert all(f"n{number}-" in _shown(*many, whole=True) for number in range(38))
    few = _shown(*(each for each in many if each.name[:2] in ("n1", "n2") and each.name[2] == "-"))
    assert "more with" not in few and few.count("IsPrimary") == 4


def test_what_is_not_named_is_counted_and_verbose_names_it() -> None:
    many = [_in("us-east-1", name=f"n{number}") for number in range(50)]
    long = _in("us-east-1", values=(ValueChange("text", "x" * 500, "y"),))
    assert "… and 10 more: --verbose names them" in _shown(*many)
    made = _shown(*(_in("us-east-1", "create", f"n{number}") for number in range(50)))
    assert "  create   50 iam/policy: --verbose names them" in made.splitlines() and "more" not in made
    assert all(f"n{number}-us-east-1" in _shown(*many, whole=True) for number in range(50))
    assert "x" * 500 not in _shown(long)
    assert "x… (500 characters; --verbose shows all) → y" in _shown(long)
    assert "x" * 500 in _shown(long, whole=True)
    # Where both are long it is the place that differs which is shown.
    late = _shown(_in("us-east-1", values=(ValueChange("text", "x" * 500 + "old", "x" * 500 + "new"),)))
    assert f"…{'x' * 20}old (503 characters" in late and f"…{'x' * 20}new (503 characters" in late


THIRTY = tuple(
    f"{area}-{side}-{n}" for area in ("us", "eu", "ap") for side in ("east", "west") for n in range(1, 6)
)


def test_thirty_regions_are_told_in_a_few_lines() -> None:
    memory = (ValueChange("memorySize", 512, 1024),)
    changes = tuple(_in(region, values=memory) for region in THIRTY)
    others = (_in("us-east-1", "delete", "more"), *(_in(region, name="part") for region in THIRTY[2:]))
    plan = Plan("dev", THIRTY, (*changes, *others), (), 7)
    lines = [line for part in _parts(plan, 80) for line in part]
    assert len(lines) < 20
    assert any(line.startswith("us-east-3 and 27 more, each") for line in lines)
    assert "memorySize: 512 → 1024" in lines
    text = " ".join(lines)
    assert "role-{region}  in all 30 regions  iam/policy" in text
    assert "the same in 28 regions: all but us-east-1, us-east-2" in text


def test_the_sections_are_in_one_order_and_so_is_the_json() -> None:
    plan = Plan(
        "dev",
        ("us-east-1", "eu-west-1"),
        tuple(_in(region, "delete") for region in ("us-east-1", "eu-west-1")),
        (Finding("x", "info", "noted", None, "nothing"), Finding(LOSS, "error", "lost", None, "no")),
        growth=(Growth("1", "role r", ("us-east-1",), ("may a:B",), True),),
        losses=tuple(
            Loss(f"logs-{region}", "aws:s3/bucket:Bucket", region, "every object", "--allow-data-loss")
            for region in ("us-east-1", "eu-west-1")
        ),
        cost=MonthlyCost(23.5, 1029.5, "by list"),
    )
    parts = _parts(plan)
    assert [part[0] for part in parts] == [
        "Plan for dev",
        "What it opens:",
        "What is lost:",
        "What it costs a month:",
        "What changes:",
        "Findings:",
    ]
    assert parts[2][1:] == [
        "logs-{region}  in all 2 regions  s3/bucket",
        "every object  only with --allow-data-loss",
    ]
    assert parts[3][1:] == ["23.50 → 1,029.50 US dollars on AWS (+1,006.00)", "by list"]
    assert parts[5][1:] == ["info    noted", "→ nothing"]
    order = ["growth", "losses", "cost", "changes", "findings"]
    assert [name for name in plan.as_data() if name in order] == order
    assert len(plan.as_data()["changes"]) == 2 and plan.as_data()["errors"] == 1


def test_what_goes_for_good_is_told_with_what_it_needs_and_how_long_it_is_kept() -> None:
    def step(op: str, kind: str, **old: Any) -> ResourceStep:
        return ResourceStep(op, f"urn::{kind}-{op}", kind, "eu-west-1", old=old)

    key, bucket, queue = "aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:sqs/queue:Queue"
    steps = (
        step("delete", key, deletionWindowInDays=7),
        step("replace", bucket),
        step("delete", queue),
        step("update", bucket),
        step("delete", POLICY),
    )
    found = {each.type: each for each in losses_of(steps, leave="--allow-data-loss")}
    assert set(found) == {key, bucket, queue}
    assert found[key].holds.endswith("AWS keeps it for 7 days")
    assert (found[bucket].leave, found[bucket].is_allowed) == ("--allow-data-loss", False)
    assert (found[queue].leave, found[queue].is_allowed) == ("", False)
    given_up = losses_of(steps, leave="--allow-data-loss", given_up=["eu-west-1"])
    assert all(each.is_allowed == bool(each.leave) for each in given_up)


def test_a_month_costs_what_stands_before_and_after() -> None:
    endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
    interface = {"vpcEndpointType": "Interface", "subnetIds": ["a", UNKNOWN]}
    steps = (
        ResourceStep("same", "1", "aws:kms/key:Key", "eu-west-1", old={"a": 1}, new={"a": 1}),
        ResourceStep("create", "2", endpoint, "eu-west-1", new=interface),
        ResourceStep("create", "3", endpoint, "eu-west-1", new={**interface, "subnetIds": UNKNOWN}),
        ResourceStep("delete", "4", "aws:cloudwatch/dashboard:Dashboard", "eu-west-1", old={"a": 1}),
        ResourceStep(
            "replace", "5", "aws:cloudwatch/metricAlarm:MetricAlarm", "eu-west-1", old={"a": 1}, new={"b": 1}
        ),
    )
    cost = cost_of(steps)
    assert (cost.before, cost.after) == (4.10, 15.70)


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


def test_a_long_value_goes_on_below_its_own_beginning() -> None:
    listed = ValueChange("actions", None, " ".join(f"s3:Action{number}" for number in range(20)))
    plan = Plan("dev", ("us-east-1",), (_in("us-east-1", values=(listed,)),), ())
    screen = Screen(width=80, force_terminal=True, color_system=None)
    with screen.capture() as taken:
        for part in plan_parts(plan, whole=True):
            screen.print(part)
    first, *rest = [line.rstrip() for line in taken.get().splitlines() if "s3:" in line]
    assert first.startswith(" " * 13 + "actions: + s3:Action0")
    assert len(rest) > 1
    assert all(line.startswith(" " * 15 + "s3:") and len(line) <= 80 for line in rest)
    assert " ".join((first, *rest)).count("s3:Action") == 20
