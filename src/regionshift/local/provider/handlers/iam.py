"""IAM roles and their policies, inline and managed. IAM is global: these types have no region."""

from __future__ import annotations

import json
from typing import Any

from regionshift.aws.resource_finders import attached_policies
from regionshift.errors import WorkFailed
from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties


class RoleHandler(Handler):
    """A role. A new name or path replaces it."""

    token = "aws:iam/role:Role"
    name = "name"
    name_limit = 64
    taggable = True
    tag_calls = TagCalls("iam", "RoleName", put="tag_role", take="untag_role")
    regional = False
    fields = {
        "name": Field(required=True, replaces=True),
        "path": Field(default="/", replaces=True),
        "assumeRolePolicy": Field(FieldType.POLICY, required=True),
        "description": Field(),
        "maxSessionDuration": Field(FieldType.INTEGER, default=3600, minimum=3600, maximum=43200),
        "permissionsBoundary": Field(),
        "forceDetachPolicies": Field(FieldType.FLAG, default=False, opaque=True),
    }
    outputs = ("arn", "uniqueId", "createDate")

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("iam").create_role(
            RoleName=inputs["name"],
            Path=inputs["path"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            MaxSessionDuration=inputs["maxSessionDuration"],
            Tags=to_list(context.tags(inputs)),
            **given(
                {
                    "Description": inputs.get("description"),
                    "PermissionsBoundary": inputs.get("permissionsBoundary"),
                }
            ),
        )
        return str(made["Role"]["RoleName"])

    def read(self, context: Context, identity: str) -> Properties | None:
        role = context.client("iam").get_role(RoleName=identity)["Role"]
        return {
            "name": role["RoleName"],
            "path": role["Path"],
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "assumeRolePolicy": _document(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description"),
            "maxSessionDuration": role.get("MaxSessionDuration"),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "tags": from_list(role.get("Tags", [])),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        iam, news = context.client("iam"), change.news
        if change.any_of("assumeRolePolicy"):
            iam.update_assume_role_policy(RoleName=identity, PolicyDocument=news["assumeRolePolicy"])
        if change.any_of("description"):
            # Not by UpdateRole: the emulator ignores an empty description there.
            iam.update_role_description(RoleName=identity, Description=news.get("description", ""))
        if change.any_of("maxSessionDuration"):
            iam.update_role(RoleName=identity, MaxSessionDuration=news["maxSessionDuration"])
        if change.any_of("permissionsBoundary"):
            _bound(iam, identity, news.get("permissionsBoundary"))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        iam = context.client("iam")
        if properties.get("forceDetachPolicies"):
            _detach_all(iam, identity)
        iam.delete_role(RoleName=identity)


def _bound(iam: Any, role: str, boundary: str | None) -> None:
    if boundary:
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    else:
        iam.delete_role_permissions_boundary(RoleName=role)


def _detach_all(iam: Any, role: str) -> None:
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
    for policy in attached_policies(iam, role):
        iam.detach_role_policy(RoleName=role, PolicyArn=policy)


def _document(found: Any) -> str:
    """Return the text of a policy. boto3 decodes IAM's URL-encoded documents to objects."""
    return found if isinstance(found, str) else json.dumps(found)


class RolePolicyHandler(Handler):
    """An inline policy. The id is ``role:name``."""

    token = "aws:iam/rolePolicy:RolePolicy"
    name = "name"
    name_limit = 128
    unique_by = ("role",)
    regional = False
    fields = {
        "name": Field(required=True, replaces=True),
        "role": Field(required=True, replaces=True),
        "policy": Field(FieldType.POLICY, required=True),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        self._put(context, inputs)
        return f"{inputs['role']}:{inputs['name']}"

    def read(self, context: Context, identity: str) -> Properties | None:
        role, name = _parts(identity)
        found = context.client("iam").get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": _document(found["PolicyDocument"])}

    def update(self, context: Context, identity: str, change: Update) -> None:
        self._put(context, change.news)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        role, name = _parts(identity)
        context.client("iam").delete_role_policy(RoleName=role, PolicyName=name)

    def _put(self, context: Context, inputs: Properties) -> None:
        context.client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )


def _parts(identity: str) -> tuple[str, str]:
    role, _, name = identity.partition(":")
    if not name:
        raise WorkFailed(
            f"{identity} is not an inline policy", remedy="name it as role:policy", error_id="RS-LOCAL-006"
        )
    return role, name


class PolicyHandler(Handler):
    """A managed policy. Its id is its ARN. The document changes in place, by a new version."""

    token = "aws:iam/policy:Policy"
    name = "name"
    name_limit = 128
    taggable = True
    tag_calls = TagCalls("iam", "PolicyArn", put="tag_policy", take="untag_policy")
    regional = False
    fields = {
        "name": Field(required=True, replaces=True),
        "path": Field(default="/", replaces=True),
        "description": Field(replaces=True),
        "policy": Field(FieldType.POLICY, required=True),
    }
    outputs = ("arn", "policyId")

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("iam").create_policy(
            PolicyName=inputs["name"],
            Path=inputs["path"],
            PolicyDocument=inputs["policy"],
            Tags=to_list(context.tags(inputs)),
            **given({"Description": inputs.get("description")}),
        )
        return str(made["Policy"]["Arn"])

    def read(self, context: Context, identity: str) -> Properties | None:
        iam = context.client("iam")
        policy = iam.get_policy(PolicyArn=identity)["Policy"]
        found = iam.get_policy_version(PolicyArn=identity, VersionId=policy["DefaultVersionId"])
        return {
            "name": policy["PolicyName"],
            "path": policy["Path"],
            "description": policy.get("Description") or None,
            "arn": identity,
            "policyId": policy["PolicyId"],
            "policy": _document(found["PolicyVersion"]["Document"]),
            "tags": from_list(policy.get("Tags", [])),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        if not change.any_of("policy"):
            return
        iam = context.client("iam")
        others = _other_versions(iam, identity)
        # IAM keeps five versions (IAM User Guide, "Versioning IAM policies").
        if len(others) >= _VERSIONS - 1:
            iam.delete_policy_version(PolicyArn=identity, VersionId=others[0])
        iam.create_policy_version(PolicyArn=identity, PolicyDocument=change.news["policy"], SetAsDefault=True)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        iam = context.client("iam")
        for version in _other_versions(iam, identity):
            iam.delete_policy_version(PolicyArn=identity, VersionId=version)
        iam.delete_policy(PolicyArn=identity)


_VERSIONS = 5


def _other_versions(iam: Any, policy: str) -> list[str]:
    """Return the versions that are not the default, oldest first."""
    found = iam.get_paginator("list_policy_versions").paginate(PolicyArn=policy).search("Versions[]")
    old = [each["VersionId"] for each in found if not each["IsDefaultVersion"]]
    return sorted(old, key=lambda version: int(version.removeprefix("v")))


class RolePolicyAttachmentHandler(Handler):
    """A managed policy of a role. The id is ``role/policy's ARN``, as for imports."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    regional = False
    fields = {"role": Field(required=True, replaces=True), "policyArn": Field(required=True, replaces=True)}

    def create(self, context: Context, inputs: Properties) -> str:
        context.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def read(self, context: Context, identity: str) -> Properties | None:
        role, _, policy = identity.partition("/")
        there = policy in attached_policies(context.client("iam"), role)
        return {"role": role, "policyArn": policy} if there else None

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        role, _, policy = identity.partition("/")
        context.client("iam").detach_role_policy(RoleName=role, PolicyArn=policy)


class OpenIdConnectProviderHandler(Handler):
    """An OIDC provider. Its id is its ARN, which has the URL without the scheme."""

    token = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    taggable = True
    tag_calls = TagCalls(
        "iam",
        "OpenIDConnectProviderArn",
        put="tag_open_id_connect_provider",
        take="untag_open_id_connect_provider",
    )
    regional = False
    fields = {
        "url": Field(required=True, replaces=True, pattern=r"https://[^?#:]+"),
        "clientIdLists": Field(FieldType.SET, required=True),
        "thumbprintLists": Field(FieldType.SET, computed=True),
    }
    outputs = ("arn",)

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("iam").create_open_id_connect_provider(
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            Tags=to_list(context.tags(inputs)),
            **given({"ThumbprintList": inputs.get("thumbprintLists")}),
        )
        return str(made["OpenIDConnectProviderArn"])

    def read(self, context: Context, identity: str) -> Properties | None:
        found = context.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=identity)
        return {
            # IAM returns it without the scheme.
            "url": f"https://{found['Url'].removeprefix('https://')}",
            "arn": identity,
            "clientIdLists": found["ClientIDList"],
            "thumbprintLists": found["ThumbprintList"],
            "tags": from_list(found.get("Tags", [])),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        iam = context.client("iam")
        if change.any_of("clientIdLists"):
            old, new = (set(inputs["clientIdLists"]) for inputs in (change.olds, change.news))
            for one in sorted(new - old):
                iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=identity, ClientID=one)
            for one in sorted(old - new):
                iam.remove_client_id_from_open_id_connect_provider(
                    OpenIDConnectProviderArn=identity, ClientID=one
                )
        if change.any_of("thumbprintLists") and change.news.get("thumbprintLists"):
            iam.update_open_id_connect_provider_thumbprint(
                OpenIDConnectProviderArn=identity, ThumbprintList=change.news["thumbprintLists"]
            )

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=identity)


HANDLERS: tuple[Handler, ...] = (
    OpenIdConnectProviderHandler(),
    RoleHandler(),
    RolePolicyHandler(),
    PolicyHandler(),
    RolePolicyAttachmentHandler(),
)
