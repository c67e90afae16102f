"""The state URL on both backends: a directory, and a bucket of the embedded AWS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from regionshift.journal.backends import open_state
from regionshift.journal.lock import Holder
from regionshift.journal.store import Credentials, S3Access, StateStore, SwapStore
from regionshift.local.emulator import LocalCloud

REGION = "eu-central-1"


@pytest.fixture(scope="session")
def s3_access(cloud: LocalCloud) -> S3Access:
    key = Credentials(cloud.access_key, cloud.secret_key)
    return S3Access(REGION, lambda: key, cloud.endpoint, cloud.ca_bundle.read_bytes())


@pytest.fixture(scope="session")
def bucket(cloud: LocalCloud) -> str:
    name = f"state-{uuid.uuid4().hex[:8]}"
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=cloud.endpoint,
        verify=str(cloud.ca_bundle),
        aws_access_key_id=cloud.access_key,
        aws_secret_access_key=cloud.secret_key,
    )
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def file_store(tmp_path: Path) -> StateStore:
    return open_state((tmp_path / "state").as_uri())


@pytest.fixture
def s3_store(bucket: str, s3_access: S3Access) -> SwapStore:
    store = open_state(f"s3://{bucket}/{uuid.uuid4().hex[:8]}/deep", s3_access)
    assert isinstance(store, SwapStore)
    return store


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest) -> StateStore:
    found: StateStore = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def holder() -> Callable[[str], Holder]:
    def make(owner: str) -> Holder:
        return Holder(owner, "laptop", 4711, datetime.now(UTC), uuid.uuid4().hex)

    return make
