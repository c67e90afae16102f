"""What `bootstrap` makes: a private place for states, and roles that are no wider than their policies."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import botocore.session
import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)
from recorder import Recorder, Run, config, record

from regionshift.infrastructure.bootstrap import (
    AUDIENCE,
    GITHUB,
    account_stack,
    pipeline_stack,
    taking_over,
)
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.program import ProviderSettings
from regionshift.infrastructure.site import Site
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.operations.bootstrap import account_settings, settings_after, with_values
from regionshift.settings.components import PipelineRole, boundary_arn
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import MANAGED_POLICIES, MANAGED_POLICY, TRUST_POLICY
from regionshift.settings.regions import REGIONS

pytestmark = pytest.mark.component
HERE = "eu-central-1"
PIPELINE = {"repository": "octo-org/orders"}


def of_account(settings: MigrationConfig, region: str = HERE, *, with_issuer: bool = True) -> Run:
    site = Site.by_settings(account_settings(settings, region), region)
    return recorded(partial(account_stack, site, ProviderSettings(), with_issuer=with_issuer))


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
    assert not of_account(config(), with_issuer=False).of("iam/openIdConnectProvider:OpenIdConnectProvider")


def test_the_issuer_needs_no_thumbprint() -> None:
    (issuer,) = of_account(config()).of("iam/openIdConnectProvider:OpenIdConnectProvider")
    assert issuer.inputs["clientIdLists"] == [AUDIENCE]
    assert issuer.inputs["url"] == f"https://{GITHUB}"
    assert not issuer.inputs.get("thumbprintLists")


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
    program = partial(account_stack, site, ProviderSettings(), with_issuer=True)
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
