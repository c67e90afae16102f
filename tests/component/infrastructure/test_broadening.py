"""What a change of the settings opens is told once for all regions, by an id that allows just that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN
from recorder import REGIONS, Run, built, config

from regionshift.engine.events import ResourceStep, region_of
from regionshift.operations.broadening import allowed, growth_of, made_findings
from regionshift.report.values import Growth

POLICIES = ("policy", "assumeRolePolicy")
UPLOADS = {"s3": [{"prefix": "uploads/"}]}
FOUR = {"primary": "us-east-1", "secondaries": ["eu-west-1", "us-west-2", "ap-southeast-2"]}
OPERATORS = {"operators": ["arn:aws:iam::111122223333:role/operators"]}


@pytest.fixture(scope="module")
def run() -> Run:
    return built(config(carry=UPLOADS, access=OPERATORS))


def steps(old: Run | None, new: Run) -> list[ResourceStep]:
    """What the engine would say of a change from one run of the program to another."""
    before = {(one.type, one.name): dict(one.inputs) for one in (old.plain if old else ())}
    after = {(one.type, one.name): dict(one.inputs) for one in new.plain}
    found = []
    for kind, name in {**before, **after}:
        was, will_be = before.get((kind, name)), after.get((kind, name))
        op = (
            "create"
            if was is None
            else "delete"
            if will_be is None
            else "same"
            if was == will_be
            else "update"
        )
        found.append(
            ResourceStep(op, f"urn::{name}", kind, region_of(name), old=was or {}, new=will_be or {})
        )
    return found


def grown(
    old: Run | None, new: Run, regions: Sequence[str] = REGIONS, standing: Sequence[str] = REGIONS
) -> list[Growth]:
    return list(growth_of(steps(old, new), regions, standing, "release"))


def test_a_first_up_opens_nothing_and_says_what_is_made(run: Run) -> None:
    assert grown(None, run, standing=()) == []
    (made,) = made_findings(steps(None, run), ())
    assert made.severity == "info"
    assert re.fullmatch(r"13 new roles with \d+ permissions in 3 regions", made.message)
    assert made_findings(steps(run, run), REGIONS) == []


def test_another_entry_to_carry_is_told_once_for_all_regions(run: Run) -> None:
    more = {"s3": [*UPLOADS["s3"], {"bucket": "media-{region}", "prefix": "x/"}]}
    (growth,) = grown(run, built(config(carry=more, access=OPERATORS)))
    assert (growth.subject, growth.regions, growth.is_counted) == (
        "role shop-worker-{region}-dev",
        REGIONS,
        True,
    )
    assert any(
        said.startswith("may s3:GetObject, ") and "media-{every other region}/x/*" in said
        for said in growth.opens
    )
    assert grown(built(config(carry=more, access=OPERATORS)), run) == []


def test_a_new_region_gives_the_others_no_more_than_they_have_in_one_another(run: Run) -> None:
    four = built(config(carry=UPLOADS, access=OPERATORS, regions=FOUR))
    regions = (*REGIONS, "ap-southeast-2")
    found = grown(run, four, regions)
    assert {(each.subject, len(each.regions)) for each in found} == {
        ("role shop-worker-{region}-dev", 3),
        ("role shop-replication-{region}-dev", 1),
        # Its replication role may write replicas, should it be the primary.
        ("bucket policy shop-deployment-{region}-dev-111122223333", 3),
    }
    assert not any(each.is_counted for each in found)
    assert allowed(found, ()) == (tuple(found), [])
    # With its keys as AWS names them, and as a preview knows them.
    key, later = "0a1b2c3d-0000-1111-2222-333344445555", "${known when made: key}"
    named = [_keys_named(each, key, later) for each in steps(run, four)]
    assert not any(each.is_counted for each in growth_of(named, regions, REGIONS))
    # A right on another key of a standing region is growth, though a region comes with it.
    other = "ffffffff-0000-1111-2222-333344445555"
    more = f"arn:aws:kms:us-west-2:111122223333:key/{other}"
    with_more = [_with_resource(each, "arn:aws:kms:us-west-2:", more) for each in named]
    assert with_more != named
    counted = [each for each in growth_of(with_more, regions, REGIONS) if each.is_counted]
    assert any(other in said for each in counted for said in each.opens)
    # More in the new region than in the others is growth.
    wide = _with(
        four, "worker-objects-policy-us-west-2", lambda text: text.replace("s3:GetBucketVersioning", "s3:*")
    )
    counted = [each for each in grown(run, wide, regions) if each.is_counted]
    assert [each.regions for each in counted] == [("us-west-2",)]


def _keys_named(step: ResourceStep, known: str, later: str) -> ResourceStep:
    def named(inputs: Any) -> Any:
        text = json.dumps({name: value for name, value in inputs.items() if name != "code"})
        for region in (*REGIONS, "ap-southeast-2"):
            key_id = json.dumps(later if region == "ap-southeast-2" else known)[1:-1]
            text = text.replace(
                f"arn:aws:kms:::key-{region}", f"arn:aws:kms:{region}:111122223333:key/{key_id}"
            )
        return json.loads(text)

    return replace(step, old=named(step.old), new=named(step.new))


def _with_resource(step: ResourceStep, beside: str, more: str) -> ResourceStep:
    """With ``more`` in the worker's policies wherever they name something that begins with ``beside``."""
    text = step.new.get("policy")
    if "worker" not in step.name or not isinstance(text, str):
        return step
    document = json.loads(text)
    for statement in document["Statement"]:
        resources = _listed(statement.get("Resource", []))
        if any(each.startswith(beside) for each in resources):
            statement["Resource"] = [*resources, more]
    return replace(step, new={**step.new, "policy": json.dumps(document)})


def _with(run: Run, name: str, change: Callable[[str], str]) -> Run:
    """The same with one policy changed."""
    resources = [
        replace(one, inputs={**one.inputs, "policy": change(one.inputs["policy"])})
        if one.name == name
        else one
        for one in run.resources
    ]
    return replace(run, resources=resources)


def test_another_primary_gives_its_replication_role_to_another_region(run: Run) -> None:
    regions = {"primary": "eu-west-1", "secondaries": ["us-east-1", "us-west-2"]}
    found = grown(run, built(config(carry=UPLOADS, access=OPERATORS, regions=regions)))
    assert {each.subject for each in found} == {
        "role shop-replication-{region}-dev",
        "who may assume the role shop-replication-{region}-dev",
    }
    assert {each.regions for each in found} == {("eu-west-1",)}


def test_a_statement_that_moves_into_a_managed_policy_opens_nothing() -> None:
    few = {"s3": [{"bucket": f"media-{number}-{{region}}"} for number in range(3)]}
    many = {"s3": [{"bucket": f"media-{number}-{{region}}"} for number in range(30)]}
    inline, managed = built(config(carry=few)), built(config(carry=many))
    assert not inline.of("iam/policy:Policy") and managed.of("iam/policy:Policy")
    (growth,) = grown(inline, managed)
    assert growth.subject == "role shop-worker-{region}-dev"
    assert not any("media-2-" in said for said in growth.opens), "that it had before"
    assert grown(managed, inline) == []


def test_a_refusal_that_goes_is_growth_and_one_that_comes_is_none(run: Run) -> None:
    without = built(config(carry=UPLOADS))
    (growth,) = grown(run, without)
    assert (growth.subject, growth.regions) == (
        "bucket policy shop-deployment-{region}-dev-111122223333",
        REGIONS,
    )
    assert all(said.startswith("no more denied ") for said in growth.opens)
    assert grown(without, run) == []


def test_a_region_that_goes_opens_nothing(run: Run) -> None:
    two = built(
        config(
            carry=UPLOADS, access=OPERATORS, regions={"primary": "us-east-1", "secondaries": ["eu-west-1"]}
        )
    )
    assert grown(run, two, REGIONS[:2]) == [
        each for each in grown(run, two, REGIONS[:2]) if "denied" in each.opens[0]
    ]


def _documents(run: Run) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for place, one in enumerate(run.resources):
        for name in POLICIES:
            if one.inputs.get(name) and region_of(one.name) == "us-east-1":
                yield place, name, json.loads(one.inputs[name])


def _grown_by(run: Run, place: int, name: str, document: dict[str, Any]) -> list[Growth]:
    """What is told when one document of the program is another one."""
    one = run.resources[place]
    inputs = {**one.inputs, name: json.dumps(document)}
    changed = [*run.resources[:place], replace(one, inputs=inputs), *run.resources[place + 1 :]]
    return grown(run, replace(run, resources=changed))


def _rewritten(statement: dict[str, Any]) -> dict[str, Any]:
    """The same in other words."""

    def turned(value: Any) -> Any:
        return (
            value[0]
            if isinstance(value, list) and len(value) == 1
            else value[::-1]
            if isinstance(value, list)
            else [value]
        )

    found = {
        **statement,
        "Sid": "Other",
        "Action": turned([each.swapcase() for each in _listed(statement["Action"])]),
    }
    if "Resource" in found:
        found["Resource"] = turned(found["Resource"])
    if "Condition" in found:
        found["Condition"] = {
            how: {key.upper(): turned(value) for key, value in keys.items()}
            for how, keys in found["Condition"].items()
        }
    return found


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _wider(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Statements that let in more."""
    if statement["Effect"] == "Deny":
        actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
        if actions != ["s3:*"]:
            yield {**statement, "Action": actions[1:] or ["none:none"]}
        yield {**statement, "Resource": resources[1:] or ["none"]}
        yield {
            **statement,
            "Condition": {**statement.get("Condition", {}), "StringEquals": {"aws:PrincipalTag/a": "b"}},
        }
        return
    yield {**statement, "Action": [*_listed(statement["Action"]), "iam:PassRole"]}
    if len(_listed(statement["Action"])) == 1:
        yield {("NotAction" if key == "Action" else key): value for key, value in statement.items()}
    if "Resource" in statement and statement["Resource"] not in ("*", ["*"]):
        yield {**statement, "Resource": "*"}
    if "Condition" in statement:
        yield {key: value for key, value in statement.items() if key != "Condition"}
    if "Principal" in statement:
        yield {**statement, "Principal": "*"}
        yield {**statement, "Principal": {"AWS": "444455556666"}}


@pytest.mark.thorough
def test_whatever_is_added_to_any_statement_is_told_and_other_words_are_not(run: Run) -> None:
    run = replace(run, resources=[one for one in run.plain if region_of(one.name) == "us-east-1"])
    tried = 0
    for place, name, document in _documents(run):
        statements = document["Statement"]
        same = {"Version": "2012-10-17", "Statement": [_rewritten(each) for each in reversed(statements)]}
        assert _grown_by(run, place, name, same) == []
        for number, statement in enumerate(statements):
            rest = [each for at, each in enumerate(statements) if at != number]
            if statement["Effect"] == "Deny":
                assert _grown_by(run, place, name, {**document, "Statement": rest}), statement
            else:
                assert _grown_by(run, place, name, {**document, "Statement": rest}) == [], statement
            for wider in _wider(statement):
                changed = {**document, "Statement": [*rest, wider]}
                assert any(each.is_counted for each in _grown_by(run, place, name, changed)), wider
                tried += 1
    assert tried > 150


def test_an_id_allows_what_it_was_told_of_and_no_more(run: Run) -> None:
    name, region = "function-s3-policy-us-east-1", "us-east-1"
    one = grown(
        run,
        _with(
            run, name, lambda text: text.replace('"s3:ListBucket",', '"s3:ListBucket", "s3:PutBucketAcl",')
        ),
    )
    other = grown(
        run,
        _with(
            run, name, lambda text: text.replace('"s3:ListBucket",', '"s3:ListBucket", "s3:PutBucketPolicy",')
        ),
    )
    (first,), (second,) = one, other
    assert first.regions == second.regions == (region,)
    assert first.id != second.id
    marked, (finding,) = allowed(one, [first.id])
    assert (marked[0].is_allowed, finding.severity) == (True, "warning")
    marked, (finding,) = allowed(one, [second.id])
    assert (marked[0].is_allowed, finding.severity) == (False, "error")
    assert f"--allow-broadening {first.id}" in finding.remedy
    everywhere = run
    for each in REGIONS:
        name = f"function-s3-policy-{each}"
        everywhere = _with(
            everywhere,
            name,
            lambda text: text.replace('"s3:ListBucket",', '"s3:ListBucket", "s3:PutBucketAcl",'),
        )
    (wide,) = grown(run, everywhere)
    assert (wide.subject, wide.opens, wide.regions) == (first.subject, first.opens, REGIONS)
    assert wide.id != first.id, "leave for one region is none for all"
    both = [first, replace(second, subject="role other")]
    _, (finding,) = allowed(both, [first.id])
    assert finding.message == "more rights than before: role other"
    together = finding.remedy.partition("--allow-broadening ")[2][:16]
    assert all(each.is_allowed for each in allowed(both, [together])[0])
    assert not any(each.is_allowed for each in allowed([first, replace(second, id="else")], [together])[0])


def test_what_is_not_known_yet_counts_for_this_release_alone(run: Run) -> None:
    changed = _with(run, "worker-key-policy-us-east-1", lambda _: UNKNOWN)
    told = [growth_of(steps(run, changed), REGIONS, REGIONS, release) for release in ("one", "one", "two")]
    ((one,), (again,), (other,)) = told
    assert one.opens == (
        "what worker-key-policy-us-east-1 allows is not known: it names what is still to be made".replace(
            "us-east-1", "{region}"
        ),
    )
    assert one.id == again.id != other.id
    assert one.is_counted


def test_a_safeguard_that_is_lifted_is_told(run: Run) -> None:
    lifted = deepcopy(run)
    lifted.resources = [
        replace(one, inputs={**one.inputs, "blockPublicPolicy": False})
        if one.type.endswith(":BucketPublicAccessBlock") and "log" in one.name
        else one
        for one in run.resources
    ]
    (growth,) = grown(run, lifted)
    assert growth.opens == ("the public access block's blockPublicPolicy: true → false",)
    assert growth.regions == REGIONS


@pytest.mark.parametrize(
    ("principal", "resource", "is_counted"),
    [
        ({"Service": "cloudwatch.amazonaws.com"}, "${known when made: topic}", False),
        ("*", "${known when made: topic}", True),
        ({"Service": "cloudwatch.amazonaws.com"}, "arn:aws:sns:us-east-1:111122223333:stands", True),
    ],
)
def test_the_policy_of_what_is_made_anew_wants_no_leave(
    principal: object, resource: str, is_counted: bool
) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = [
        ResourceStep("create", "urn::topic-us-east-1", "aws:sns/topic:Topic", "us-east-1", new={"name": "alarms"}),
        ResourceStep(
            "create",
            "urn::topic-policy-us-east-1",
            "aws:sns/topicPolicy:TopicPolicy",
            "us-east-1",
            new={"arn": UNKNOWN, "policy": policy},
        ),
    ]  # fmt: skip
    (growth,) = growth_of(made, REGIONS, REGIONS)
    assert growth.is_counted is is_counted


def _deleted_by_hand(changes: list[ResourceStep], gone: Callable[[ResourceStep], bool]) -> list[ResourceStep]:
    """The same changes, read back after somebody deleted what is ``gone``."""
    return [replace(each, op="create", old={}, stood=each.old) if gone(each) else each for each in changes]


def _is_of_the_worker(step: ResourceStep) -> bool:
    return step.region == "us-east-1" and (
        step.name == "worker-role-us-east-1" or "worker" in str(step.new.get("role"))
    )


def test_what_somebody_deleted_by_hand_is_put_back_without_leave_and_never_with_more(run: Run) -> None:
    again = _deleted_by_hand(steps(run, run), _is_of_the_worker)
    assert sum(each.op == "create" for each in again) > 5
    found = growth_of(again, REGIONS, REGIONS)
    assert {(each.subject, each.is_counted, each.why) for each in found} == {
        ("who may assume the role shop-worker-{region}-dev", False, "put back as the last run left it"),
        ("role shop-worker-{region}-dev", False, "put back as the last run left it"),
    }
    wide = _with(
        run, "worker-objects-policy-us-east-1", lambda text: text.replace("s3:GetBucketVersioning", "s3:*")
    )
    (more,) = [
        each
        for each in growth_of(_deleted_by_hand(steps(run, wide), _is_of_the_worker), REGIONS, REGIONS)
        if each.is_counted
    ]
    assert more.subject == "role shop-worker-{region}-dev"
    assert all("s3:" in said and "kms:" not in said for said in more.opens), "what it had is not told as more"


def test_what_somebody_narrowed_by_hand_is_put_back_as_it_was(run: Run) -> None:
    def narrowed(step: ResourceStep) -> ResourceStep:
        if step.name != "worker-objects-policy-us-east-1":
            return step
        old = {**step.old, "policy": json.dumps({"Version": "2012-10-17", "Statement": []})}
        return replace(step, op="update", old=old, stood=step.old)

    (found,) = growth_of(list(map(narrowed, steps(run, run))), REGIONS, REGIONS)
    assert (found.is_counted, found.why) == (False, "put back as the last run left it")
    rule = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    inputs = {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    made = ResourceStep("create", "urn::rule-us-east-1", rule, "us-east-1", new=inputs)
    (counted,) = growth_of([made], REGIONS, REGIONS)
    (put_back,) = growth_of([replace(made, stood=inputs)], REGIONS, REGIONS)
    assert (counted.is_counted, put_back.is_counted) == (True, False)
    (wider,) = growth_of([replace(made, stood={**inputs, "toPort": 442})], REGIONS, REGIONS)
    assert wider.is_counted
