"""The program of `bootstrap`: what an account needs once (a place for states), and an environment's pipeline (its
roles).

These are two stacks, because several environments of an account share the first. Neither has a secret in its state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.boundary import boundary_statements
from regionshift.infrastructure.operator_rights import operator_policies
from regionshift.infrastructure.policies.resources import by_iam_alone, tls_only_bucket
from regionshift.infrastructure.policies.statement import Statement, document, policy
from regionshift.infrastructure.program import AWSProviderManager, ProviderSettings
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.infrastructure.storage import (
    BucketEncryption,
    PrivateBuckets,
    aborted_uploads,
    old_versions,
)
from regionshift.settings.components import (
    PIPELINE_SESSION,
    STATE_KEY_ALIAS,
    PipelineRole,
    boundary_arn,
    state_bucket,
)
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import partition_of

GITHUB = "token.actions.githubusercontent.com"
"""The host of the issuer of the tokens of GitHub's jobs (GitHub Docs, "OpenID Connect reference")."""
AUDIENCE = "sts.amazonaws.com"
"""The audience of a job's token (GitHub Docs, "Configuring OpenID Connect in Amazon Web Services"). A job on GitLab
names it itself (GitLab Docs, "OpenID Connect (OIDC) Authentication Using ID Tokens")."""
MADE = "made"
"""The output that a pipeline's stack has once all of it was created."""
DEPLOYER_ON_EVERYTHING: Mapping[str, str] = MappingProxyType(
    {
        "cloudwatch:GetMetricData": "of metrics only OTLP datasets are resources (Service Authorization Reference)",
        "kms:TagResource": (
            "a new key has no ARN yet; the right holds for no key with an alias or other tags (KMS Developer"
            " Guide, 'Controlling access to tags')"
        ),
    }
)
"""Actions of the pipeline's roles that AWS cannot limit to a resource, each with its reason."""
DEPLOYER_MEANT: Mapping[str, str] = MappingProxyType(
    {
        "RS-IAM-006": "it creates the environment's roles, which the boundary limits",
        "RS-IAM-010": "it passes the roles that it creates to the environment's functions",
        "RS-IAM-012": "it uploads the code of the environment's functions",
        "RS-IAM-014": "creating a key needs the right to change its policy later (KMS API Reference, CreateKey)",
    }
)
"""Rules of `iam.findings` that the deploy role breaks because it deploys, each with its reason."""
_KEPT_DAYS = 90
_UPLOADS_DAYS = 7
Imports = Mapping[str, str]
"""{logical name: id} of existing resources that are taken over."""


def account_stack(site: Site, settings: ProviderSettings, *, issuers: Collection[str]) -> None:
    """Create what the account needs once: the bucket of states, its key, the issuers of jobs' identities.

    Args:
        issuers: the hosts of the issuers: of every environment so far, without those that somebody else created.
    """
    provider = AWSProviderManager(settings, {site.region: site}).get_provider(site.region)
    StateStack(site, pulumi.ResourceOptions(providers={"aws": provider}))
    if issuers:
        _Issuers(site, pulumi.ResourceOptions(providers={"aws": provider}), issuers)


def issuer_host(config: MigrationConfig) -> str:
    """Return the issuer of the tokens of the pipeline's jobs, as IAM names it: its address without the scheme."""
    return (config.pipeline.gitlab or f"https://{GITHUB}").removeprefix("https://")


def pipeline_stack(site: Site, settings: ProviderSettings) -> None:
    """Create what the site's environment has of its own: the boundary of its roles, and the roles of its pipeline.

    The site's region is that of the state bucket, so another primary renames nothing.
    """
    provider = AWSProviderManager(settings, {site.region: site}).get_provider(site.region)
    stack = PipelineStack(site, pulumi.ResourceOptions(providers={"aws": provider}))
    # Known only after the last of them: a run that is killed, or fails, leaves the output unchanged.
    pulumi.export(MADE, pulumi.Output.all(*stack.ids).apply(lambda _: True))


class StateStack(PrivateBuckets):
    """The bucket of states, versioned and encrypted with its own key."""

    def __init__(self, site: Site, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "State", opts)
        key = aws.kms.Key(
            site.label("state-key"),
            description="Everything in the bucket of regionshift's states, and the secrets in them",
            enable_key_rotation=True,
            deletion_window_in_days=site.config.retention.key_deletion,
            policy=document(by_iam_alone(site.arn("iam", "root", regional=False))),
            tags=site.tags("state-key", "encryption of the states"),
            opts=self.child(),
        )
        aws.kms.Alias(
            site.label("state-key-alias"),
            name=STATE_KEY_ALIAS,
            target_key_id=key.key_id,
            opts=self.child(),
        )
        bucket = self._bucket("state-bucket", state_bucket(site.config.account), "states of environments")
        self._configure(
            "state-bucket",
            bucket,
            BucketEncryption("aws:kms", key.arn),
            [old_versions(_KEPT_DAYS), aborted_uploads(_UPLOADS_DAYS)],
        )
        self._policy("state-bucket", bucket, policy(tls_only_bucket, bucket=bucket.arn))
        self.register_outputs({})


class _Issuers(RegionComponent):
    """GitHub, or a GitLab, as an issuer of identities.

    It has no thumbprint. IAM checks the certificate's authority itself if it knows that authority, and uses no
    thumbprint then. For any other issuer, IAM reads the thumbprint when the issuer is created (IAM API Reference,
    "CreateOpenIDConnectProvider", ThumbprintList).
    """

    def __init__(self, site: Site, opts: pulumi.ResourceOptions, hosts: Collection[str]) -> None:
        super().__init__(site, "Issuer", opts)
        for host in sorted(hosts):
            thing = "github" if host == GITHUB else "issuer-" + re.sub(r"[^a-z0-9]+", "-", host.lower())
            aws.iam.OpenIdConnectProvider(
                site.label(thing),
                url=f"https://{host}",
                client_id_lists=[AUDIENCE],
                tags=site.tags(thing, "identities of jobs on " + ("GitHub" if host == GITHUB else host)),
                opts=self.child(),
            )
        self.register_outputs({})


class PipelineStack(RegionComponent):
    """The permissions boundary, and, where the settings name a repository, the roles of its jobs with their
    policies.
    """

    def __init__(self, site: Site, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "Pipeline", opts)
        config = site.config
        self.ids: list[pulumi.Output[str]] = []
        self._policy(boundary_arn(config).rpartition("/")[2], "boundary", boundary_statements(config))
        for role in PipelineRole if config.pipeline.repository else ():
            self._role(role)
        self.register_outputs({})

    def _role(self, role: PipelineRole) -> None:
        site, purpose = self.site, f"{role.value} by the pipeline"
        name = role.role_name(site.config)
        made = aws.iam.Role(
            site.label(f"{role.value}-role"),
            name=name,
            description=site.about(purpose),
            assume_role_policy=job_trust(site.config, role),
            max_session_duration=PIPELINE_SESSION,
            tags=site.tags(f"{role.value}-role", purpose),
            opts=self.child(),
        )
        for number, each in enumerate(operator_policies(site.config, role), start=1):
            statements = [explained.statement for explained in each.statements]
            given = self._policy(each.name, f"{role.value}-{number}", statements)
            attached = aws.iam.RolePolicyAttachment(
                site.label(f"{role.value}-{number}-attachment"),
                role=made.name,
                policy_arn=given.arn,
                opts=self.child(),
            )
            self.ids.append(attached.id)

    def _policy(self, name: str, thing: str, statements: Sequence[Statement]) -> aws.iam.Policy:
        made = aws.iam.Policy(
            self.site.label(f"{thing}-policy"),
            name=name,
            policy=document(statements),
            tags=self.site.tags(f"{thing}-policy", f"{thing} of the pipeline"),
            opts=self.child(),
        )
        self.ids.append(made.id)
        return made


def job_trust(config: MigrationConfig, role: PipelineRole) -> str:
    """Return which jobs may assume ``role``, where the settings say that the pipeline runs."""
    return (gitlab_trust if config.pipeline.gitlab else github_trust)(config, role)


def gitlab_trust(config: MigrationConfig, role: PipelineRole) -> str:
    """Return which jobs may assume ``role``: those of the project, and except for the preview role those of the branch.

    The subject of a merge request's job has its own branch. Its ref_type is always branch or tag (GitLab Docs, "OpenID
    Connect (OIDC) Authentication Using ID Tokens", "Token payload"). The subject names no environment, and STS checks
    no other claim of GitLab's (IAM User Guide, "Available keys for AWS OIDC federation").
    """
    host = issuer_host(config)
    subject = f"project_path:{config.pipeline.repository}:ref_type:branch:ref:"
    if role is PipelineRole.PREVIEW:
        return _trust(config, {}, {f"{host}:sub": f"{subject}*"})
    return _trust(config, {f"{host}:sub": f"{subject}{config.pipeline.branch}"})


def _trust(
    config: MigrationConfig, equals: Mapping[str, str | list[str]], like: Mapping[str, str | list[str]] = {}
) -> str:
    host = issuer_host(config)
    partition = partition_of(config.regions.primary)
    condition = {
        "StringEquals": {f"{host}:aud": AUDIENCE, **equals},
        **({"StringLike": {**like}} if like else {}),
    }
    return document(
        [
            {
                "Sid": "Assume",
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:{partition}:iam::{config.account}:oidc-provider/{host}"},
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": condition,
            }
        ]
    )


def github_trust(config: MigrationConfig, role: PipelineRole) -> str:
    """Return which jobs may assume ``role``: those of the repository, and of the branch or the role's GitHub
    environment.

    The subject of a job with an environment names it, and no branch (GitHub Docs, "OpenID Connect reference",
    "Filtering for a specific environment"). In the partition aws, STS checks the claim ``ref`` too (IAM User Guide,
    "Available keys for AWS OIDC federation"). See AWS What's New, 2 February 2026, "AWS STS now supports validation of
    select identity provider specific claims": "all AWS commercial Regions".
    """
    partition = partition_of(config.regions.primary)
    repository, branch = f"repo:{config.pipeline.repository}", f"refs/heads/{config.pipeline.branch}"
    environment = role.github_environment(config)
    if environment is None:
        subjects, more = [f"{repository}:pull_request", f"{repository}:ref:{branch}"], {}
    else:
        subjects = [f"{repository}:environment:{environment}"]
        more = {f"{GITHUB}:ref": branch} if partition == "aws" else {}
    return _trust(config, {f"{GITHUB}:sub": subjects, **more})


def taking_over(program: Callable[[], None], imports: Imports) -> Callable[[], None]:
    """Return ``program`` for a run that imports existing resources unchanged. The next run brings them to the
    settings.
    """

    def run() -> None:
        pulumi.runtime.register_stack_transformation(partial(_imported, imports))
        program()

    return run if imports else program


def _imported(
    imports: Imports, args: pulumi.ResourceTransformationArgs
) -> pulumi.ResourceTransformationResult | None:
    identity = imports.get(args.name)
    if identity is None or not args.type_.startswith("aws:"):
        return None
    # The engine refuses an import that differs from the program and the default tags. So they are ignored here.
    as_it_is = pulumi.ResourceOptions(import_=identity, ignore_changes=[*args.props, "tags_all"])
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, as_it_is))
