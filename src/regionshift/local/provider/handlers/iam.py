"""IAM roles and their inline policies. IAM is global: these types have no region."""

from __future__ import annotations

import json
from typing import Any

from regionshift.errors import WorkFailed
from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties


class RoleHandler(Handler):
    """Name and path replace; everything else changes in place."""

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
            # Not by UpdateRole: the emulator does not see an empty text there.
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
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for policy in page["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])


def _document(found: Any) -> str:
    """The text of a policy; boto3 decodes IAM's URL-encoded documents to objects."""
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
        raise WorkFailed(f"{identity} is no inline policy", remedy="name it as role:policy")
    return role, name


HANDLERS: tuple[Handler, ...] = (RoleHandler(), RolePolicyHandler())
