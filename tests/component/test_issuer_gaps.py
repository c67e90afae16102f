"""Who may take the roles of a pipeline: asked of the embedded AWS with tokens as GitHub writes them.

Its STS looks at issuer, audience and claims, and at no signature; whether it still needs our help for that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.bootstrap import AUDIENCE, GITHUB, github_trust, issuer_host, job_trust
from regionshift.local.emulator import LocalCloud
from regionshift.local.iam_gaps import of_known_issuers
from regionshift.operations.policy_findings import policy_findings
from regionshift.settings.components import PipelineRole
from regionshift.settings.config import MigrationConfig

REGION = "us-east-1"
REPOSITORY = "octo-org@123456/orders@456789"
DEPLOY, OPERATE = "shop.dev.deploy", "shop.dev.operate"


def settings(account: str, **changes: Any) -> MigrationConfig:
    values: dict[str, Any] = {
        "project": "shop",
        "environment": "dev",
        "account": account,
        "regions": {"primary": REGION},
        "network": {"vpc_cidr": "10.0.0.0/16"},
        "pipeline": {"repository": REPOSITORY, "branch": "main"},
        **changes,
    }
    return MigrationConfig.model_validate(values)


GITLAB = {"gitlab": "https://gitlab.example.com/lab", "repository": "group/sub/orders", "branch": "main"}
LAB = "gitlab.example.com/lab"
PROJECT = "project_path:group/sub/orders:ref_type"


def token(
    subject: str, *, ref: str = "refs/heads/main", audience: str = AUDIENCE, issuer: str = GITHUB, **more: str
) -> str:
    """A token of a job; its signature is nobody's."""
    claims = {"iss": f"https://{issuer}", "aud": audience, "sub": subject, "ref": ref, **more}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


Take = Callable[[PipelineRole, str], str]


def _asked(cloud: LocalCloud, config: MigrationConfig, role: PipelineRole, given: str) -> str:
    sts = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=cloud.endpoint,
        verify=str(cloud.ca_bundle),
        config=Config(signature_version=UNSIGNED),
    )
    answer = sts.assume_role_with_web_identity(
        RoleArn=role.arn(config), RoleSessionName="job", WebIdentityToken=given
    )
    return str(answer["AssumedRoleUser"]["Arn"])


def _trusting(cloud: LocalCloud, clients: Clients, config: MigrationConfig) -> Iterator[Take]:
    """The issuer of these settings and their roles; yields what takes a role with a token and no other credentials.

    It returns who one is then.
    """
    iam = clients.get("iam", REGION)
    made = iam.create_open_id_connect_provider(Url=f"https://{issuer_host(config)}", ClientIDList=[AUDIENCE])
    for role in PipelineRole:
        iam.create_role(RoleName=role.role_name(config), AssumeRolePolicyDocument=job_trust(config, role))
    yield partial(_asked, cloud, config)
    for role in PipelineRole:
        iam.delete_role(RoleName=role.role_name(config))
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=made["OpenIDConnectProviderArn"])


@pytest.fixture(scope="module")
def take(cloud: LocalCloud, clients: Clients) -> Iterator[Take]:
    """With the roles of a repository on GitHub."""
    yield from _trusting(cloud, clients, settings(cloud.account))


@pytest.fixture(scope="module")
def take_on_gitlab(cloud: LocalCloud, clients: Clients) -> Iterator[Take]:
    """With the roles of a project on a GitLab of one's own."""
    yield from _trusting(cloud, clients, settings(cloud.account, project="lab", pipeline=GITLAB))


MAY = {
    "preview of a pull request": (
        PipelineRole.PREVIEW,
        token(f"repo:{REPOSITORY}:pull_request", ref="refs/pull/7/merge"),
    ),
    "preview of the branch at night": (
        PipelineRole.PREVIEW,
        token(f"repo:{REPOSITORY}:ref:refs/heads/main"),
    ),
    "deploy of a wave": (PipelineRole.DEPLOY, token(f"repo:{REPOSITORY}:environment:{DEPLOY}")),
    "operate by hand": (PipelineRole.OPERATE, token(f"repo:{REPOSITORY}:environment:{OPERATE}")),
}
MAY_NOT = {
    "preview of another repository": (
        PipelineRole.PREVIEW,
        token("repo:octo-org@123456/others@1:pull_request"),
    ),
    "preview of another branch": (
        PipelineRole.PREVIEW,
        token(f"repo:{REPOSITORY}:ref:refs/heads/feature", ref="refs/heads/feature"),
    ),
    "preview of a repository that took the name over": (
        PipelineRole.PREVIEW,
        token("repo:octo-org@123456/orders@1:pull_request"),
    ),
    "preview of the name without ids": (PipelineRole.PREVIEW, token("repo:octo-org/orders:pull_request")),
    "deploy of a pull request": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:pull_request", ref="refs/pull/7/merge"),
    ),
    "deploy of the branch past its environment": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:ref:refs/heads/main"),
    ),
    "deploy of another branch in the environment": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:environment:{DEPLOY}", ref="refs/heads/feature"),
    ),
    "deploy of a tag that is called like the branch": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:environment:{DEPLOY}", ref="refs/tags/main"),
    ),
    "deploy of another environment": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:environment:{OPERATE}"),
    ),
    "deploy for another audience": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:environment:{DEPLOY}", audience="https://github.com/octo-org"),
    ),
    "deploy by another issuer": (
        PipelineRole.DEPLOY,
        token(f"repo:{REPOSITORY}:environment:{DEPLOY}", issuer="github.example.com"),
    ),
    "operate by a job that deploys": (
        PipelineRole.OPERATE,
        token(f"repo:{REPOSITORY}:environment:{DEPLOY}"),
    ),
}


@pytest.mark.parametrize(("role", "given"), MAY.values(), ids=list(MAY))
def test_a_job_of_the_repository_takes_its_role(take: Take, role: PipelineRole, given: str) -> None:
    assert f":assumed-role/shop.dev.{role.value}/" in take(role, given)


@pytest.mark.parametrize(("role", "given"), MAY_NOT.values(), ids=list(MAY_NOT))
def test_nobody_else_takes_it(take: Take, role: PipelineRole, given: str) -> None:
    with pytest.raises(ClientError) as refused:
        take(role, given)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def lab_token(subject: str, **more: str) -> str:
    return token(f"{PROJECT}:{subject}", **{"ref": "main", "issuer": LAB, **more})


ON_GITLAB_MAY = {
    "preview of a merge request": (PipelineRole.PREVIEW, lab_token("branch:ref:feature/7", ref="feature/7")),
    "preview of the branch at night": (PipelineRole.PREVIEW, lab_token("branch:ref:main")),
    "deploy of the branch": (PipelineRole.DEPLOY, lab_token("branch:ref:main", environment="lab.dev.deploy")),
    "operate of the branch": (PipelineRole.OPERATE, lab_token("branch:ref:main")),
}
ON_GITLAB_MAY_NOT = {
    "preview of a tag": (PipelineRole.PREVIEW, lab_token("tag:ref:v1", ref="v1")),
    "preview of a project that begins alike": (
        PipelineRole.PREVIEW,
        token("project_path:group/sub/orders-2:ref_type:branch:ref:main", ref="main", issuer=LAB),
    ),
    "preview of a fork": (
        PipelineRole.PREVIEW,
        token("project_path:somebody/orders:ref_type:branch:ref:main", ref="main", issuer=LAB),
    ),
    "preview by another GitLab": (PipelineRole.PREVIEW, lab_token("branch:ref:main", issuer="gitlab.com")),
    "deploy of a merge request": (PipelineRole.DEPLOY, lab_token("branch:ref:feature", ref="feature")),
    "deploy of a branch that begins alike": (
        PipelineRole.DEPLOY,
        lab_token("branch:ref:main-2", ref="main-2"),
    ),
    "deploy of a tag that is called like the branch": (PipelineRole.DEPLOY, lab_token("tag:ref:main")),
    "deploy for another audience": (
        PipelineRole.DEPLOY,
        lab_token("branch:ref:main", audience=f"https://{LAB}"),
    ),
    "operate of another branch": (PipelineRole.OPERATE, lab_token("branch:ref:feature", ref="feature")),
    "operate by a job of GitHub": (PipelineRole.OPERATE, token(f"{PROJECT}:branch:ref:main")),
}


@pytest.mark.parametrize(("role", "given"), ON_GITLAB_MAY.values(), ids=list(ON_GITLAB_MAY))
def test_a_job_of_the_project_on_gitlab_takes_its_role(
    take_on_gitlab: Take, role: PipelineRole, given: str
) -> None:
    assert f":assumed-role/lab.dev.{role.value}/" in take_on_gitlab(role, given)


@pytest.mark.usefixtures("take")
@pytest.mark.parametrize(("role", "given"), ON_GITLAB_MAY_NOT.values(), ids=list(ON_GITLAB_MAY_NOT))
def test_nobody_else_on_gitlab_takes_it(take_on_gitlab: Take, role: PipelineRole, given: str) -> None:
    with pytest.raises(ClientError) as refused:
        take_on_gitlab(role, given)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_the_trust_of_a_project_on_gitlab_is_judged_as_that_of_a_repository() -> None:
    config = settings("123456789012", pipeline=GITLAB)
    roles = [
        ResourceStep(
            "create",
            f"urn::{role}",
            "aws:iam/role:Role",
            REGION,
            new={"name": role.role_name(config), "assumeRolePolicy": job_trust(config, role)},
        )
        for role in PipelineRole
    ]
    assert policy_findings(config, roles, date(2026, 11, 30)) == []


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_where_sts_knows_no_branch_the_environment_alone_binds(region: str) -> None:
    (statement,) = json.loads(
        github_trust(settings("123456789012", regions={"primary": region}), PipelineRole.DEPLOY)
    )["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            f"{GITHUB}:aud": AUDIENCE,
            f"{GITHUB}:sub": [f"repo:{REPOSITORY}:environment:{DEPLOY}"],
        }
    }


def test_an_issuer_takes_tokens_for_its_audiences_alone(clients: Clients, take: Take) -> None:
    del take
    iam = clients.get("iam", REGION)
    (known,) = [
        each["Arn"]
        for each in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        if each["Arn"].endswith(GITHUB)
    ]
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=known)["Url"] == GITHUB


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that part of `local/iam_gaps.py` can go."""
    iam = pytest.importorskip("ministack.services.iam")
    sts = pytest.importorskip("ministack.services.sts")
    assert "TagOpenIDConnectProvider" not in iam._IAM_HANDLERS
    asked = (token("repo:a/b:pull_request"), "", "arn:aws:iam::123456789012:role/r")
    provider, keys = sts._web_identity_principal(*asked)
    assert provider.endswith(f":oidc-provider/{GITHUB}"), "of an account that has no such issuer"
    assert f"{GITHUB}:ref" not in keys
    known = of_known_issuers(sts._web_identity_principal, {provider: {"ClientIDList": [AUDIENCE]}}.get)
    assert known(*asked) == (provider, keys | {f"{GITHUB}:ref": "refs/heads/main"})
    assert of_known_issuers(sts._web_identity_principal, {}.get)(*asked) == ("", {})
