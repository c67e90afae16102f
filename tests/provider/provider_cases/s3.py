"""S3 cases."""

from __future__ import annotations

import json
from typing import Any

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties

_DEFAULT_REMAINS = "S3 has a default in its place"


def new_bucket(lab: Lab, name: str = "bucket") -> str:
    """A bucket of its own for each test: names are global."""
    made = lab.create("aws:s3/bucket:Bucket", {"bucket": f"{lab.unique}-{name}-123456789012"}, name)
    return made.identity


def versioned_bucket(lab: Lab, name: str = "bucket") -> str:
    bucket = new_bucket(lab, name)
    lab.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def _bucket(lab: Lab) -> Properties:
    return {"bucket": f"{lab.unique}-files-123456789012", "tags": {"Purpose": "files"}}


def _strip_tags(lab: Lab, made: Made) -> None:
    lab.client("s3").put_bucket_tagging(
        Bucket=made.identity, Tagging={"TagSet": [{"Key": "Purpose", "Value": "other"}]}
    )


def _versioning(lab: Lab) -> Properties:
    return {"bucket": new_bucket(lab), "versioningConfiguration": {"status": "Enabled"}}


def _suspend(lab: Lab, made: Made) -> None:
    lab.client("s3").put_bucket_versioning(
        Bucket=made.identity, VersioningConfiguration={"Status": "Suspended"}
    )


def _rules(algorithm: str = "aws:kms", *, bucket_key: bool = True) -> list[dict[str, Any]]:
    key = {"kmsMasterKeyId": "arn:aws:kms:eu-central-1:123456789012:key/1"} if algorithm == "aws:kms" else {}
    return [
        {
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm, **key},
            "bucketKeyEnabled": bucket_key,
        }
    ]


def _encryption(lab: Lab) -> Properties:
    return {"bucket": new_bucket(lab), "rules": _rules()}


def _blocks(lab: Lab) -> Properties:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return {"bucket": new_bucket(lab), **dict.fromkeys(names, True)}


def _open_up(lab: Lab, made: Made) -> None:
    lab.client("s3").put_public_access_block(
        Bucket=made.identity, PublicAccessBlockConfiguration={"BlockPublicAcls": True}
    )


def _ownership(lab: Lab) -> Properties:
    return {"bucket": new_bucket(lab), "rule": {"objectOwnership": "BucketOwnerEnforced"}}


def _disown(lab: Lab, made: Made) -> None:
    rules = [{"ObjectOwnership": "ObjectWriter"}]
    lab.client("s3").put_bucket_ownership_controls(Bucket=made.identity, OwnershipControls={"Rules": rules})


def _tls_only(bucket: str, action: str = "s3:*") -> str:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _policy(lab: Lab) -> Properties:
    bucket = new_bucket(lab)
    return {"bucket": bucket, "policy": _tls_only(bucket)}


def _weaken(lab: Lab, made: Made) -> None:
    policy = _tls_only(made.identity, "s3:GetObject")
    lab.client("s3").put_bucket_policy(Bucket=made.identity, Policy=policy)


def _logging(lab: Lab) -> Properties:
    return {"bucket": new_bucket(lab), "targetBucket": new_bucket(lab, "logs"), "targetPrefix": "access/"}


def _stray_logs(lab: Lab, made: Made) -> None:
    enabled = {"TargetBucket": made.properties["targetBucket"], "TargetPrefix": "elsewhere/"}
    lab.client("s3").put_bucket_logging(Bucket=made.identity, BucketLoggingStatus={"LoggingEnabled": enabled})


def _aged(days: int, **rest: Any) -> list[dict[str, Any]]:
    everything = {"status": "Enabled", "filter": {"prefix": ""}}
    return [
        {**everything, "id": "old", "noncurrentVersionExpiration": {"noncurrentDays": days}},
        {**everything, "id": "aborted", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
        {**everything, "id": "logs", "expiration": {"days": 90}, **rest},
    ]


def _lifecycle(lab: Lab) -> Properties:
    return {"bucket": new_bucket(lab), "rules": _aged(30)}


def _forget_rules(lab: Lab, made: Made) -> None:
    rule = {"ID": "old", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    lab.client("s3").put_bucket_lifecycle_configuration(
        Bucket=made.identity, LifecycleConfiguration={"Rules": [rule]}
    )


def _replication_rule(bucket: str, minutes: int = 15, *, markers: str = "Enabled") -> dict[str, Any]:
    return {
        "id": "to-eu-west-1",
        "priority": 1,
        "status": "Enabled",
        "filter": {"prefix": ""},
        "deleteMarkerReplication": {"status": markers},
        "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
        "destination": {
            "bucket": f"arn:aws:s3:::{bucket}",
            "encryptionConfiguration": {"replicaKmsKeyId": "arn:aws:kms:eu-central-1:123456789012:key/1"},
            "replicationTime": {"status": "Enabled", "time": {"minutes": minutes}},
            "metrics": {"status": "Enabled", "eventThreshold": {"minutes": minutes}},
        },
    }


def _replication(lab: Lab) -> Properties:
    return {
        "bucket": versioned_bucket(lab),
        "role": "arn:aws:iam::123456789012:role/replication",
        "rules": [_replication_rule(versioned_bucket(lab, "target"))],
    }


def _stop_replicating(lab: Lab, made: Made) -> None:
    s3 = lab.client("s3")
    found = s3.get_bucket_replication(Bucket=made.identity)["ReplicationConfiguration"]
    found["Rules"][0]["Status"] = "Disabled"
    s3.put_bucket_replication(Bucket=made.identity, ReplicationConfiguration=found)


CASES = (
    Case(
        "aws:s3/bucket:Bucket",
        _bucket,
        changes={"tags": {"Owner": "me"}, "forceDestroy": True},
        replaces={"bucket": "another-name-123456789012", "objectLockEnabled": True},
        meddle=_strip_tags,
        drifts=frozenset({"tags", "tagsAll"}),
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        _versioning,
        changes={"versioningConfiguration": {"status": "Suspended"}},
        replaces={"bucket": "another"},
        meddle=_suspend,
        drifts=frozenset({"versioningConfiguration"}),
        outlives="versioning can be suspended, not taken away",
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _encryption,
        changes={"rules": _rules("AES256", bucket_key=False)},
        replaces={"bucket": "another"},
        meddle=lambda lab, made: lab.client("s3").delete_bucket_encryption(Bucket=made.identity),
        drifts=frozenset({"rules"}),
        outlives=_DEFAULT_REMAINS,
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        _blocks,
        changes={"blockPublicPolicy": False},
        replaces={"bucket": "another"},
        meddle=_open_up,
        drifts=frozenset({"blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"}),
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        _ownership,
        changes={"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        replaces={"bucket": "another"},
        meddle=_disown,
        drifts=frozenset({"rule"}),
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        _policy,
        changes={"policy": _tls_only("some-bucket", "s3:PutObject")},
        replaces={"bucket": "another"},
        meddle=_weaken,
        drifts=frozenset({"policy"}),
    ),
    Case(
        "aws:s3/bucketLogging:BucketLogging",
        _logging,
        changes={"targetPrefix": "logs/"},
        replaces={"bucket": "another"},
        meddle=_stray_logs,
        drifts=frozenset({"targetPrefix"}),
    ),
    Case(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        _lifecycle,
        changes={
            "rules": _aged(
                60,
                filter={"and": {"prefix": "access/", "tags": {"kind": "log"}}},
                transitions=[{"days": 30, "storageClass": "STANDARD_IA"}],
            )
        },
        replaces={"bucket": "another"},
        meddle=_forget_rules,
        drifts=frozenset({"rules"}),
    ),
    Case(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        _replication,
        changes={
            "rules": lambda lab: [_replication_rule(versioned_bucket(lab, "other"), markers="Disabled")]
        },
        replaces={"bucket": "another"},
        meddle=_stop_replicating,
        drifts=frozenset({"rules"}),
    ),
)
