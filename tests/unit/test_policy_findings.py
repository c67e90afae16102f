"""What the policies of a plan come to: once for all regions, waived by the settings, and written for code scanning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sarif_schema import check

from regionshift.engine.events import UNKNOWN, ResourceStep
from regionshift.iam.findings import RULES
from regionshift.operations.policy_findings import policy_findings
from regionshift.report.sarif import write_sarif
from regionshift.report.values import PolicyFinding, exit_code_of
from regionshift.settings.config import MigrationConfig

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
TODAY = date(2026, 6, 1)
SETTINGS = {
    "project": "shop",
    "environment": "dev",
    "account": "012345678901",
    "regions": {"primary": REGIONS[0], "secondaries": REGIONS[1:]},
    "network": {"vpc_cidr": "10.0.0.0/16"},
}
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
WILD = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::ours/*", "Sid": "Read"}
FINE = {**WILD, "Action": "s3:GetObject"}


def made(*waivers: Mapping[str, Any]) -> MigrationConfig:
    return MigrationConfig.model_validate({**SETTINGS, "waivers": waivers})


def text(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def step(
    kind: str, thing: str, region: str = "us-east-1", /, *, op: str = "same", **inputs: Any
) -> ResourceStep:
    return ResourceStep(op, f"urn:pulumi:dev::shop::{kind}::{thing}-{region}", kind, region, new=inputs)


def worker(
    *statements: Mapping[str, Any], regions: tuple[str, ...] = REGIONS, name: str = "worker-objects-policy"
) -> list[ResourceStep]:
    return [
        step(ROLE_POLICY, name, region, role=f"worker-{region}", policy=text(*statements))
        for region in regions
    ]


def found(steps: list[ResourceStep], today: date = TODAY, *waivers: Mapping[str, str]) -> list[PolicyFinding]:
    return policy_findings(made(*waivers), steps, today)


def waiver(**changes: str) -> dict[str, str]:
    return {"id": "RS-IAM-001", "of": "*", "reason": "agreed", "until": "2026-06-01", **changes}


def test_a_fault_is_told_once_for_all_regions_and_stops_as_a_refusal() -> None:
    (one,) = found(worker(WILD))
    assert (one.code, one.severity, one.region, one.regions) == ("RS-IAM-001", "error", None, REGIONS)
    assert (one.document, one.statement) == ("worker-objects-policy-{region}", "Read")
    assert one.setting == ("carry", "s3")
    assert "3 regions" in one.message
    assert exit_code_of([one]) == 3
    apart = found([*worker(WILD, regions=REGIONS[:1]), *worker(FINE, regions=REGIONS[1:])])
    assert [(each.region, "regions" in each.message) for each in apart] == [("us-east-1", False)]


@pytest.mark.parametrize("op", ["same", "create", "update", "replace"])
def test_every_document_that_will_stand_is_judged(op: str) -> None:
    policy = step(ROLE_POLICY, "p", op=op, role="r", policy=text(WILD))
    assert [each.code for each in found([policy])] == ["RS-IAM-001"]


def test_what_goes_or_is_not_known_yet_is_not_judged() -> None:
    gone = ResourceStep("delete", "urn::p", ROLE_POLICY, "us-east-1", old={"role": "r", "policy": text(WILD)})
    assert found([gone, step(ROLE_POLICY, "p", op="create", role="r", policy=UNKNOWN)]) == []


def test_ways_to_more_rights_are_found_over_all_policies_of_a_role() -> None:
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
    making = {
        "Effect": "Allow",
        "Action": "lambda:CreateFunction",
        "Resource": "arn:aws:lambda:us-east-1:1:function:x",
    }
    inline = step(ROLE_POLICY, "inline", role="r", policy=text(passing))
    managed = step("aws:iam/policy:Policy", "managed", name="more", policy=text(making))
    attached = step(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "a",
        role="r",
        policyArn="arn:aws:iam::1:policy/more",
    )
    assert "RS-IAM-009" in {each.code for each in found([inline, managed, attached])}
    assert "RS-IAM-009" not in {each.code for each in found([inline, managed])}


def test_what_another_wrote_is_told_as_not_judged() -> None:
    admin = step(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "a",
        role="r",
        policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )
    (one,) = found([admin])
    assert one.code == "RS-DOCUMENT-001"
    assert "AdministratorAccess" in one.message


def test_a_managed_policy_that_bounds_a_role_is_judged_as_a_boundary() -> None:
    wide = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = step("aws:iam/policy:Policy", "b", name="bounds", policy=text(wide))
    role = step("aws:iam/role:Role", "r", name="r", permissionsBoundary="arn:aws:iam::1:policy/bounds")
    assert {each.code for each in found([policy, role])} == {"RS-IAM-016"}


BLOCK = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)


@pytest.mark.parametrize(
    ("block", "codes"),
    [(BLOCK, []), ({**BLOCK, "restrictPublicBuckets": False}, ["RS-DATA-003"]), (None, ["RS-DATA-003"])],
)
def test_a_bucket_blocks_public_access(block: dict[str, bool] | None, codes: list[str]) -> None:
    refusal = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    steps = [
        step("aws:s3/bucket:Bucket", "b", bucket="ours"),
        step("aws:s3/bucketPolicy:BucketPolicy", "p", bucket="ours", policy=text(refusal)),
    ]
    if block:
        steps.append(
            step("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "a", bucket="ours", **block)
        )
    assert [each.code for each in found(steps)] == codes
    assert [each.code for each in found([each for each in steps if "Policy" not in each.type])] == [
        *codes,
        "RS-DATA-002",
    ]


def test_a_waiver_takes_a_fault_for_right_until_its_last_day_is_over() -> None:
    steps = worker(WILD)
    (waived,) = found(steps, date(2026, 6, 1), waiver())
    assert (waived.severity, waived.waived) == ("info", "until 2026-06-01: agreed")
    assert waived.setting == ("waivers", 0)
    assert exit_code_of([waived]) == 0
    after = found(steps, date(2026, 6, 2), waiver())
    assert [(each.code, each.severity) for each in after] == [
        ("RS-IAM-001", "error"),
        ("RS-WAIVER-001", "warning"),
    ]


@pytest.mark.parametrize(
    ("until", "counts"), [("2027-06-02", True), ("2027-06-03", False), ("9999-12-31", False)]
)
def test_a_waiver_ends_within_a_year(until: str, counts: bool) -> None:
    told = [(each.code, each.severity) for each in found(worker(WILD), TODAY, waiver(until=until))]
    late = [("RS-IAM-001", "error"), ("RS-WAIVER-003", "warning")]
    assert told == ([("RS-IAM-001", "info")] if counts else late)


def test_a_waiver_is_about_its_policies_alone() -> None:
    one_region = found(worker(WILD), TODAY, waiver(of="worker-*-eu-west-1"))
    assert {(each.severity, each.regions) for each in one_region} == {
        ("info", ("eu-west-1",)),
        ("error", ("us-east-1", "ap-southeast-2")),
    }
    other = found(worker(WILD), TODAY, waiver(of="function-*"))
    assert {(each.code, each.severity) for each in other} == {
        ("RS-IAM-001", "error"),
        ("RS-WAIVER-002", "warning"),
    }


@pytest.mark.parametrize("changes", [{}, {"id": "RS-IAM-999"}])
def test_a_waiver_that_is_about_nothing_is_told(changes: dict[str, str]) -> None:
    (one,) = found(worker(FINE), TODAY, waiver(**changes))
    assert (one.code, one.setting) == ("RS-WAIVER-002", ("waivers", 0))


def test_a_waiver_may_be_about_what_is_not_known_yet_or_left_out() -> None:
    unknown = step(ROLE_POLICY, "p", op="create", role="r", policy=UNKNOWN)
    assert found([*worker(FINE), unknown], TODAY, waiver()) == []
    assert policy_findings(made(waiver()), worker(FINE), TODAY, is_whole=False) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": ""}, "reason"),
        ({"until": "soon"}, "until"),
        ({"until": 20270131}, "until"),
        ({"id": "rs-iam-1"}, "id"),
        ({"of": ""}, "of"),
        ({"of": None}, "of"),
    ],
)
def test_a_waiver_needs_a_reason_and_a_day(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=rf"waivers\.0\.{field}"):
        made({name: value for name, value in {**waiver(), **changes}.items() if value is not None})


def _lines(setting: tuple[str | int, ...]) -> int:
    return {("carry", "s3"): 7, ("waivers", 0): 12}.get(setting, 1)


def _written(folder: Path, findings: list[PolicyFinding]) -> dict[str, Any]:
    path = folder / "out" / "findings.sarif"
    write_sarif(path, findings, settings="env/regionshift.yaml", line_of=_lines, version="1.2.3")
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check(written)
    return written


def test_findings_are_results_at_the_line_of_their_setting(tmp_path: Path) -> None:
    named = worker(WILD, name="other-policy", regions=REGIONS[:1])
    findings = found([*worker({**WILD, "Resource": "*", "Action": ["s3:Get*", "s3:GetObject"]}), *named])
    (run,) = _written(tmp_path, findings)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["RS-IAM-001", "RS-IAM-003"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [
        each["ruleId"] for each in run["results"]
    ]
    places = [each["locations"][0]["physicalLocation"] for each in run["results"]]
    assert {each["artifactLocation"]["uri"] for each in places} == {"env/regionshift.yaml"}
    assert [each["region"]["startLine"] for each in places] == [7, 7, 1]
    assert {each["level"] for each in run["results"]} == {"error"}
    prints = [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_outlives_a_region_and_a_line(tmp_path: Path) -> None:
    def prints(steps: list[ResourceStep]) -> list[str]:
        return [
            each["partialFingerprints"]["primaryLocationLineHash"]
            for each in _written(tmp_path, found(steps))["runs"][0]["results"]
        ]

    assert prints(worker(WILD)) == prints(worker(WILD, regions=REGIONS[:2]))


def test_what_is_waived_is_a_note_of_the_run(tmp_path: Path) -> None:
    (run,) = _written(tmp_path, found(worker(WILD), TODAY, waiver()))["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "agreed" in note["message"]["text"]


def test_every_rule_can_be_written(tmp_path: Path) -> None:
    findings = [PolicyFinding(code, rule.severity, "m", None, rule.remedy) for code, rule in RULES.items()]
    (run,) = _written(tmp_path, findings)["runs"]
    assert len(run["tool"]["driver"]["rules"]) == len(run["results"]) == len(RULES)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda run: run["results"][0].pop("message"),
        lambda run: run["results"][0].update(level="bad"),
        lambda run: run["results"][0].update(strange=1),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
        lambda run: run.pop("tool"),
    ],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, break_it: Any) -> None:
    written = _written(tmp_path, found(worker(WILD)))
    break_it(written["runs"][0])
    with pytest.raises(AssertionError):
        check(written)
