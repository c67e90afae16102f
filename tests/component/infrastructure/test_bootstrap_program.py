"""What `bootstrap` makes: a private place for states, and roles that are no wider than their policies."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import date
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import botocore.session
import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)
from recorder import Recorder, Run, config, record

from regionshift.aws.clients import Clients
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.bootstrap import (
    AUDIENCE,
    DEPLOYER_MEANT,
    DEPLOYER_ON_EVERYTHING,
    GITHUB,
    account_stack,
    pipeline_stack,
    taking_over,
)
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE
from regionshift.infrastructure.program import ProviderSettings
from regionshift.infrastructure.site import Site
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.operations.bootstrap import (
    BootstrapPart,
    PartPlan,
    account_settings,
    default_region,
    doomed,
    kept,
    plan_of,
    plan_part,
    settings_after,
    with_values,
)
from regionshift.operations.policy_findings import policy_findings
from regionshift.report.plan_view import plan_parts
from regionshift.report.printer import Screen
from regionshift.settings.components import PipelineRole, boundary_arn
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import MANAGED_POLICIES, MANAGED_POLICY, TRUST_POLICY
from regionshift.settings.regions import REGIONS

pytestmark = pytest.mark.component
HERE = "eu-central-1"
PIPELINE = {"repository": "octo-org/orders"}


def of_account(settings: MigrationConfig, region: str = HERE, *, issuers: Collection[str] = (GITHUB,)) -> Run:
    site = Site.by_settings(account_settings(settings, region), region)
    return recorded(partial(account_stack, site, ProviderSettings(), issuers=issuers))


def of_pipeline(settings: MigrationConfig, region: str = HERE) -> Run:
    made = with_values(settings, settings_after(settings, region))
    return recorded(partial(pipeline_stack, Site.by_settings(made, region), ProviderSettings()))


def recorded(program: Any) -> Run:
    def build() -> dict[str, Any]:
        program()
        return {}

    return record(build)


def test_the_bucket_of_states_is_private_versioned_and_under_its_own_key() -> None:
    run = of_account(config())
    (bucket,) = run.of("s3/bucket:Bucket")
    assert bucket.inputs["bucket"] == "regionshift-state-111122223333"
    assert run.one(f"state-bucket-versioning-{HERE}").inputs["versioningConfiguration"] == {
        "status": "Enabled"
    }
    block = run.one(f"state-bucket-public-access-{HERE}").inputs
    assert all(block[name] for name in block if name.startswith(("block", "ignore", "restrict")))
    (rule,) = run.one(f"state-bucket-encryption-{HERE}").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    assert "state-key" in rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
    (statement,) = run.one(f"state-bucket-policy-{HERE}").policy()
    assert (statement["Effect"], statement["Principal"], statement["Sid"]) == ("Deny", "*", "TlsOnly")
    (key,) = run.of("kms/key:Key")
    assert key.inputs["enableKeyRotation"]
    assert {one["Sid"] for one in key.policy()} == {"AccountByIam"}
    assert {one["id"] for one in run.one(f"state-bucket-lifecycle-{HERE}").inputs["rules"]} == {
        "old-versions",
        "aborted-uploads",
    }


def test_it_is_the_same_whichever_environment_is_at_hand() -> None:
    other = config(project="other", environment="prod", tags={"Owner": "me"}, protect=True)
    mine, theirs = (
        {one.name: (one.type, one.inputs) for one in of_account(each).plain} for each in (config(), other)
    )
    assert mine == theirs


@pytest.mark.parametrize(("partition", "regions"), REGIONS.items())
def test_roles_are_there_in_every_partition_within_the_quotas(
    partition: str, regions: tuple[str, ...]
) -> None:
    settings = config(regions={"primary": regions[0]}, pipeline=PIPELINE)
    account, run = of_account(settings, regions[0]), of_pipeline(settings, regions[0])
    told = json.dumps([dict(one.inputs) for one in (*account.plain, *run.plain)], default=str)
    assert {word.split(":")[1] for word in told.split('"') if word.startswith("arn:")} == {partition}
    assert {one.type for one in (*account.plain, *run.plain)} <= set(BY_TOKEN)
    roles = {one.inputs["name"]: one for one in run.of("iam/role:Role")}
    assert set(roles) == {"shop.dev.preview", "shop.dev.deploy", "shop.dev.operate"}
    for role in roles.values():
        assert len(role.inputs["assumeRolePolicy"]) <= TRUST_POLICY.most
    for one in run.of("iam/policy:Policy"):
        assert length(one.policy()) <= MANAGED_POLICY.most, one.name
    attached = Counter(one.inputs["role"] for one in run.of("iam/rolePolicyAttachment:RolePolicyAttachment"))
    assert attached.keys() == roles.keys()
    assert all(count <= MANAGED_POLICIES.most for count in attached.values())


@pytest.mark.parametrize("role", PipelineRole)
def test_a_role_trusts_jobs_of_the_repository_alone(role: PipelineRole) -> None:
    run = of_pipeline(config(pipeline=PIPELINE))
    (statement,) = run.one(f"{role.value}-role-{HERE}").policy("assumeRolePolicy")
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"}
    assert statement["Condition"].keys() == {"StringEquals"}, "no pattern stands for another subject"
    equals = statement["Condition"]["StringEquals"]
    assert equals[f"{GITHUB}:aud"] == AUDIENCE
    assert all(one.startswith("repo:octo-org/orders:") for one in equals[f"{GITHUB}:sub"])
    assert not any("*" in one for one in equals[f"{GITHUB}:sub"])


def test_without_a_repository_there_is_a_boundary_and_nobody_who_is_trusted() -> None:
    run = of_pipeline(config())
    assert [one.inputs["name"] for one in run.of("iam/policy:Policy")] == ["shop.dev.boundary"]
    assert not run.of("iam/role:Role")
    assert not of_account(config(), issuers=()).of("iam/openIdConnectProvider:OpenIdConnectProvider")


def test_the_issuer_needs_no_thumbprint() -> None:
    (issuer,) = of_account(config()).of("iam/openIdConnectProvider:OpenIdConnectProvider")
    assert issuer.inputs["clientIdLists"] == [AUDIENCE]
    assert issuer.inputs["url"] == f"https://{GITHUB}"
    assert not issuer.inputs.get("thumbprintLists")


def test_the_issuers_of_other_environments_stay_beside_a_new_one() -> None:
    before = of_account(config()).of("iam/openIdConnectProvider:OpenIdConnectProvider")
    run = of_account(config(), issuers=(GITHUB, "git.example.com/lab"))
    issuers = run.of("iam/openIdConnectProvider:OpenIdConnectProvider")
    assert before[0] in issuers, "the same resource, by the same name"
    assert [one.inputs["url"] for one in issuers] == ["https://git.example.com/lab", f"https://{GITHUB}"]
    assert len({one.name for one in issuers}) == len(issuers)


def test_another_primary_changes_no_name() -> None:
    here = config(pipeline=PIPELINE)
    there = config(
        pipeline=PIPELINE, regions={"primary": "us-west-2", "secondaries": ["eu-west-1", "us-east-1"]}
    )
    first, second = of_pipeline(here), of_pipeline(there)
    names = [{one.name: one.inputs.get("name") for one in run.plain} for run in (first, second)]
    assert names[0] == names[1]


def test_what_the_settings_say_already_is_kept() -> None:
    own = {"state": "s3://mine/here", "access": {"boundary": "arn:aws:iam::111122223333:policy/mine"}}
    assert settings_after(config(**own), HERE) == {}
    given = settings_after(config(), HERE)
    assert given == {
        "state": f"s3://regionshift-state-111122223333/environments?region={HERE}",
        "state_secrets": f"awskms://alias/regionshift-state?region={HERE}",
        "access.boundary": boundary_arn(config()),
    }
    after = with_values(config(), given)
    assert (after.state, after.access.boundary) == (given["state"], given["access.boundary"])
    assert settings_after(after, HERE) == {}


def test_what_is_taken_over_is_imported_as_it_is() -> None:
    site = Site.by_settings(account_settings(config(), HERE), HERE)
    program = partial(account_stack, site, ProviderSettings(), issuers=[GITHUB])
    recorder = Imports()
    record(lambda: taking_over(program, {f"state-bucket-{HERE}": "theirs"})() or {}, recorder)
    assert recorder.imported == {f"state-bucket-{HERE}": "theirs"}


class Imports(Recorder):
    """Also keeps what is imported."""

    def __init__(self) -> None:
        super().__init__()
        self.imported: dict[str, str] = {}

    def new_resource(self, args: Any) -> Any:
        if getattr(args, "import_id", None):
            self.imported[args.name] = args.import_id
        elif args.resource_id:
            self.imported[args.name] = args.resource_id
        return super().new_resource(args)


OWN_THINGS = (
    "role/shop.dev.deploy",
    "role/shop.dev.preview",
    "policy/shop.dev.boundary",
    "policy/shop.dev.deploy-1",
)


def plain_steps(run: Run, op: str = "create") -> list[ResourceStep]:
    """What the engine says of the run's resources."""
    old = op != "create"
    return [
        ResourceStep(
            op,
            f"urn::{one.name}",
            one.type,
            HERE,
            old=dict(one.inputs) if old else {},
            new=dict(one.inputs),
        )
        for one in run.plain
    ]


def bootstrapped(**changes: Any) -> MigrationConfig:
    settings = config(pipeline=PIPELINE, **changes)
    return with_values(settings, settings_after(settings, HERE))


def planned(
    clients: Clients, settings: MigrationConfig, steps: list[ResourceStep], **outputs: Any
) -> PartPlan:
    """The plan of the pipeline's part, whose engine says ``steps`` and has ``outputs``."""
    record_ = SimpleNamespace(outcomes=steps)
    engine = SimpleNamespace(preview=lambda _: record_, outputs=lambda: outputs)
    part = BootstrapPart(settings, HERE, clients, cast(Any, engine), cast(Any, lambda _: None))
    return plan_part(part, date(2026, 11, 30), take_over=False)


def test_its_policies_are_judged_and_what_deploying_is_for_is_told_once_a_rule(clients: Clients) -> None:
    carry = {"s3": [{"prefix": "uploads/"}], "ssm": [{"path": "/shop"}], "secrets": [{"name": "shop/"}]}
    settings = bootstrapped(carry=carry)
    steps = plain_steps(of_pipeline(settings), "same")
    found = planned(clients, settings, steps, made=True).findings
    assert {each.severity for each in found} == {"info"}
    assert Counter(each.code for each in found) == Counter(DEPLOYER_MEANT.keys())
    for action in DEPLOYER_ON_EVERYTHING:
        less = [each for each in (*WITHOUT_RESOURCE, *DEPLOYER_ON_EVERYTHING) if each != action]
        told = policy_findings(settings, steps, date(2026, 11, 30), is_whole=False, on_everything=less)
        assert {action in each.message for each in told if each.severity == "error"} == {True}, action
    assert not policy_findings(
        settings, plain_steps(of_account(settings), "same"), date(2026, 11, 30), is_whole=False
    )


def test_a_first_bootstrap_says_what_it_makes_and_a_change_that_opens_more_wants_leave(
    clients: Clients,
) -> None:
    settings = bootstrapped(project="growing")
    first = plan_of(settings, HERE, [planned(clients, settings, plain_steps(of_pipeline(settings)))])
    assert (first.growth, first.errors) == ((), ())
    (cost, lost) = (first.cost, first.losses)
    assert cost is not None and (cost.before, cost.after, lost) == (0.0, 0.0, ())
    (made,) = [each for each in first.findings if each.code == "rights"]
    assert made.message.startswith("3 new roles with ")

    more = settings.model_copy(
        update={"carry": bootstrapped(carry={"s3": [{"bucket": "media-{region}"}]}).carry}
    )
    before = {each.name: each for each in plain_steps(of_pipeline(settings))}
    steps = [
        replace(each, op="update", old=before[each.name].new) if each.name in before else each
        for each in plain_steps(of_pipeline(more))
    ]
    for outputs in (
        {"made": True},
        {},
    ):  # a change of what was made, and of what a killed run had made so far
        part = planned(clients, more, steps, **outputs)
        refused = plan_of(more, HERE, [part])
        assert [each.code for each in refused.errors] == ["growth"], outputs
        assert any("media-" in said for each in refused.growth for said in each.opens)
        ids = [each.id for each in refused.growth if each.is_counted]
        assert plan_of(more, HERE, [part], allow_broadening=ids).errors == ()
    # What a killed first run had not made yet is no more than the first run was to make.
    rest = [
        replace(each, op="same" if number % 2 else "create") for number, each in enumerate(before.values())
    ]
    assert plan_of(settings, HERE, [planned(clients, settings, rest)]).errors == ()
    assert plan_of(settings, HERE, [planned(clients, settings, rest, made=True)]).errors != ()


def test_what_the_account_has_is_priced_and_its_end_says_what_is_lost(clients: Clients) -> None:
    settings = bootstrapped(project="priced")
    steps = plain_steps(of_account(settings))
    first = plan_of(settings, HERE, [planned(clients, settings, steps)])
    assert first.cost is not None
    assert (first.cost.before, first.cost.after) == (0.0, 1.0), "the key, though a first run opens nothing"
    shown = Screen(file=io.StringIO(), width=120)
    for section in plan_parts(first, changes=False):
        shown.print(section)
    assert "0.00 → 1.00 US dollars" in cast(io.StringIO, shown.file).getvalue()

    resources = [{"urn": each.urn, "type": each.type, "inputs": each.new, "id": "x"} for each in steps]
    engine = SimpleNamespace(resources=lambda: resources)
    part = BootstrapPart(settings, HERE, clients, cast(Any, engine), cast(Any, None))
    stays = plan_of(settings, HERE, [kept(part)])
    assert (stays.changes, stays.unchanged) == ((), len(steps))
    assert stays.cost is not None and (stays.cost.before, stays.cost.after) == (1.0, 1.0)
    ends = plan_of(settings, HERE, [doomed(part)])
    assert ends.cost is not None and (ends.cost.before, ends.cost.after) == (1.0, 0.0)
    assert {each.type.rpartition(":")[2] for each in ends.losses} == {"Bucket", "Key"}
    assert len(ends.changes) == len(steps)


@pytest.mark.parametrize("role", PipelineRole)
def test_no_role_of_the_pipeline_can_change_the_pipeline(role: PipelineRole) -> None:
    """Not its roles, their policies and the boundary, nor GitHub as an issuer; asked of the emulator's evaluator."""
    run = of_pipeline(config(pipeline=PIPELINE))
    policies = [
        parse_policy_document({"Statement": one.policy()})
        for one in run.of("iam/policy:Policy")
        if one.inputs["name"].startswith(f"shop.dev.{role.value}-")
    ]
    assert policies
    writes = ("Attach", "Create", "Delete", "Detach", "Put", "Tag", "Untag", "Update", "Add", "Pass", "Set")
    actions = [
        f"iam:{operation}"
        for operation in botocore.session.get_session().get_service_model("iam").operation_names
        if operation.startswith(writes)
    ]
    things = [f"arn:aws:iam::111122223333:{each}" for each in (*OWN_THINGS, f"oidc-provider/{GITHUB}")]
    for action in [*actions, "iam:PassRole"]:
        for thing in things:
            asked = EvalContext(
                "arn:aws:sts::111122223333:assumed-role/r/job",
                "AssumedRole",
                "111122223333",
                action,
                thing,
                HERE,
                service_context={"iam:permissionsboundary": boundary_arn(config())},
            )
            assert evaluate(asked, policies).decision != "Allow", (action, thing)


@pytest.mark.parametrize(
    ("primary", "others", "region"),
    [
        ("us-east-1", ["eu-west-1"], "us-east-2"),
        ("us-east-1", ["us-east-2"], "us-west-2"),
        ("eu-west-1", ["us-east-1"], "eu-central-1"),
        ("ap-southeast-2", ["us-east-1"], "ap-southeast-2"),
        ("cn-north-1", [], "cn-northwest-1"),
    ],
)
def test_the_state_lies_near_the_primary_and_in_no_region_of_the_environment(
    primary: str, others: list[str], region: str
) -> None:
    assert default_region(config(regions={"primary": primary, "secondaries": others})) == region
