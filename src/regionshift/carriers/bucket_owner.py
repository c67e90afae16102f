"""Every S3 request names the account that its bucket must belong to, so that a bucket of a stranger is refused.

Names of buckets can be guessed, and whoever makes one first owns it. S3 compares before it does anything and answers
403 AccessDenied (S3 User Guide, "Verifying bucket ownership with bucket owner condition").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXPECTED = "x-amz-expected-bucket-owner"
EXPECTED_OF_SOURCE = "x-amz-source-expected-bucket-owner"
COPY_SOURCE = "x-amz-copy-source"

_PARAMETERS = ("ExpectedBucketOwner", "ExpectedSourceBucketOwner")


def expected(
    account: str, headers: Mapping[str, str], owner: str = "", source_owner: str = ""
) -> dict[str, str]:
    """The headers for a request with ``headers``: ``account`` wherever no other owner is given."""
    found = {EXPECTED: owner or account}
    return found | {EXPECTED_OF_SOURCE: source_owner or account} if COPY_SOURCE in headers else found


def expect(client: Any, account: str) -> None:
    """From now on each call of the boto3 ``client`` of S3 that takes an owner expects ``account``, unless it says whom.

    Making a bucket and listing all take none: they concern the caller's own.
    """

    def name_owner(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
        taken = model.input_shape.members if model.input_shape else {}
        return {**{name: account for name in _PARAMETERS if name in taken}, **params}

    client.meta.events.register("provide-client-params.s3", name_owner)
