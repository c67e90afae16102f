"""IAM cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties


def trust(service: str = "lambda") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def rights(action: str) -> str:
    statement = {"Effect": "Allow", "Action": [action], "Resource": ["arn:aws:s3:::files"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_role(lab: Lab, service: str = "lambda") -> Made:
    inputs = {"name": f"{lab.unique}-{service}", "assumeRolePolicy": trust(service)}
    return lab.create("aws:iam/role:Role", inputs, f"role-{service}")


def _role(lab: Lab) -> Properties:
    return {
        "name": f"{lab.unique}-role",
        "assumeRolePolicy": trust(),
        "description": "of a test",
        "tags": {"Purpose": "rights"},
    }


def _boundary(lab: Lab) -> str:
    """One more managed policy each time."""
    return lab.create("aws:iam/policy:Policy", _managed(lab), "boundary").identity


def _trust_another(lab: Lab, made: Made) -> None:
    lab.client("iam").update_assume_role_policy(RoleName=made.identity, PolicyDocument=trust("ec2"))
    lab.client("iam").put_role_permissions_boundary(
        RoleName=made.identity, PermissionsBoundary=_boundary(lab)
    )
    lab.client("iam").tag_role(RoleName=made.identity, Tags=[{"Key": "Stray", "Value": "yes"}])


def _loose(lab: Lab, made: Made) -> None:
    lab.client("iam").delete_role_permissions_boundary(RoleName=made.identity)


def _inline(lab: Lab) -> Properties:
    return {"name": "files", "role": new_role(lab).identity, "policy": rights("s3:GetObject")}


def _managed(lab: Lab) -> Properties:
    return {"name": f"{lab.unique}-files", "policy": rights("s3:GetObject"), "tags": {"Purpose": "rights"}}


def _widen_managed(lab: Lab, made: Made) -> None:
    iam = lab.client("iam")
    iam.create_policy_version(PolicyArn=made.identity, PolicyDocument=rights("s3:*"), SetAsDefault=True)
    iam.tag_policy(PolicyArn=made.identity, Tags=[{"Key": "Stray", "Value": "yes"}])


def _attached(lab: Lab) -> Properties:
    policy = lab.create("aws:iam/policy:Policy", _managed(lab), "policy")
    return {"role": new_role(lab).identity, "policyArn": policy.identity}


def _widen(lab: Lab, made: Made) -> None:
    lab.client("iam").put_role_policy(
        RoleName=made.properties["role"], PolicyName="files", PolicyDocument=rights("s3:*")
    )


def _issuer(lab: Lab) -> Properties:
    return {
        "url": f"https://{lab.unique}.example.com",
        "clientIdLists": ["sts.amazonaws.com"],
        "tags": {"Purpose": "identities"},
    }


def _other_audience(lab: Lab, made: Made) -> None:
    iam = lab.client("iam")
    arn = made.identity
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="others")
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "Stray", "Value": "yes"}])


CASES = (
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        _issuer,
        changes={
            "clientIdLists": ["sts.amazonaws.com.cn", "sts.amazonaws.com"],
            "thumbprintLists": ["0" * 40],
            "tags": {"Owner": "me"},
        },
        replaces={"url": "https://another.example.com"},
        meddle=_other_audience,
        drifts=frozenset({"clientIdLists", "tags", "tagsAll"}),
    ),
    Case(
        "aws:iam/role:Role",
        _role,
        changes={
            "assumeRolePolicy": trust("states"),
            "description": None,
            "maxSessionDuration": 7200,
            "tags": {"Owner": "me"},
            "permissionsBoundary": _boundary,
        },
        replaces={"name": "another", "path": "/elsewhere/"},
        meddle=_trust_another,
        drifts=frozenset({"assumeRolePolicy", "permissionsBoundary", "tags", "tagsAll"}),
    ),
    Case(
        # One that has a boundary from the first.
        "aws:iam/role:Role",
        lambda lab: {**_role(lab), "permissionsBoundary": _boundary(lab)},
        changes={"permissionsBoundary": None},
        meddle=_loose,
        drifts=frozenset({"permissionsBoundary"}),
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        _inline,
        changes={"policy": rights("s3:PutObject")},
        replaces={"name": "another", "role": "another"},
        meddle=_widen,
        drifts=frozenset({"policy"}),
    ),
    Case(
        "aws:iam/policy:Policy",
        _managed,
        changes={"policy": rights("s3:PutObject"), "tags": {"Owner": "me"}},
        replaces={"name": "another", "path": "/elsewhere/", "description": "another"},
        meddle=_widen_managed,
        drifts=frozenset({"policy", "tags", "tagsAll"}),
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        _attached,
        replaces={"role": "another", "policyArn": "arn:aws:iam::000000000000:policy/another"},
    ),
)
