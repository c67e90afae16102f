"""Who may take the roles of a pipeline: asked of the embedded AWS with tokens as GitHub writes them.

Its STS looks at issuer, audience and claims, and at no signature; whether it still needs our help for that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.infrastructure.bootstrap import AUDIENCE, GITHUB, github_trust
from regionshift.local.emulator import LocalCloud
from regionshift.local.iam_gaps import of_known_issuers
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


def token(
    subject: str, *, ref: str = "refs/heads/main", audience: str = AUDIENCE, issuer: str = GITHUB
) -> str:
    """A token of a job; its signature is nobody's."""
    claims = {"iss": f"https://{issuer}", "aud": audience, "sub": subject, "ref": ref}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


Take = Callable[[PipelineRole, str], str]


@pytest.fixture(scope="module")
def take(cloud: LocalCloud, clients: Clients) -> Iterator[Take]:
    """Takes a role with a token and no other credentials, and tells who one is then."""
    iam, config = clients.get("iam", REGION), settings(cloud.account)
    made = iam.create_open_id_connect_provider(Url=f"https://{GITHUB}", ClientIDList=[AUDIENCE])
    for role in PipelineRole:
        iam.create_role(RoleName=role.role_name(config), AssumeRolePolicyDocument=github_trust(config, role))
    sts = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=cloud.endpoint,
        verify=str(cloud.ca_bundle),
        config=Config(signature_version=UNSIGNED),
    )

    def ask(role: PipelineRole, given: str) -> str:
        answer = sts.assume_role_with_web_identity(
            RoleArn=role.arn(config), RoleSessionName="job", WebIdentityToken=given
        )
        return str(answer["AssumedRoleUser"]["Arn"])

    yield ask
    for role in PipelineRole:
        iam.delete_role(RoleName=role.role_name(config))
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=made["OpenIDConnectProviderArn"])


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
