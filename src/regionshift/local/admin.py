"""The administrator of a local cloud: an IAM user, because policies do not apply to the emulator's root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

USER = "regionshift-admin"
POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
# Any region: IAM and STS are global in the emulator as on AWS.
REGION = "us-east-1"


@dataclass(frozen=True)
class AccessKey:
    """A long-lived key of the administrator."""

    access_key: str
    secret_key: str


def works(key: AccessKey, endpoint: str, ca_bundle: Path) -> bool:
    """Whether the cloud still knows the key; it forgets it when it was killed before it could save."""
    if not key.access_key:
        return False
    sts = _session(key).client("sts", endpoint_url=endpoint, verify=str(ca_bundle), config=_config())
    try:
        sts.get_caller_identity()
    except ClientError:
        return False
    return True


def create(account: str, endpoint: str, ca_bundle: Path) -> AccessKey:
    """Makes the user, or gives an existing one a fresh key. Done once, as the account's root.

    In the emulator the account's number is root's access key; see the emulator's documentation.
    """
    root = _session(AccessKey(account, "root"))
    iam = root.client("iam", endpoint_url=endpoint, verify=str(ca_bundle), config=_config())
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


def _session(key: AccessKey) -> boto3.Session:
    return boto3.Session(key.access_key, key.secret_key, region_name=REGION)


def _config() -> Config:
    return Config(connect_timeout=5, read_timeout=30, proxies={})
