"""The administrator of a local cloud: an IAM user, because policies do not apply to the emulator's root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed, told_plainly

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

USER = "regionshift-admin"
POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
# Any region: IAM and STS are global in the emulator as on AWS.
REGION = "us-east-1"


def works(key: AccessKey, endpoint: str, ca_bundle: Path) -> bool:
    """Whether the cloud still knows the key; it forgets it when it was killed before it could save."""
    if not key.access_key:
        return False
    clients = Clients(key=key, endpoint=endpoint, ca_bundle=ca_bundle, is_logged=False)
    try:
        clients.call(REGION, "sts", "get_caller_identity")
    except AwsFailed as error:
        if not error.is_about_credentials:
            raise
        return False
    return True


def create(account: str, endpoint: str, ca_bundle: Path) -> AccessKey:
    """Makes the user, or gives an existing one a fresh key. Done once, as the account's root.

    In the emulator the account's number is root's access key; see the emulator's documentation.
    """
    root = Clients(key=AccessKey(account, "root"), endpoint=endpoint, ca_bundle=ca_bundle, is_logged=False)
    iam = root.get("iam", REGION)
    with told_plainly(REGION, USER):
        try:
            iam.create_user(UserName=USER)
        except iam.exceptions.EntityAlreadyExistsException:
            _delete_keys(iam)
        iam.attach_user_policy(UserName=USER, PolicyArn=POLICY)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
    return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])


def _delete_keys(iam: IAMClient) -> None:
    for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
