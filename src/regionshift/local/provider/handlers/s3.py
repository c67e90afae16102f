"""S3 buckets and their settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from regionshift.aws.errors import code_of
from regionshift.aws.resource_finders import unless_gone
from regionshift.carriers.s3.undoing import empty_bucket
from regionshift.errors import WorkFailed
from regionshift.local.provider.conversions import from_api, from_list, to_api, to_list
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.wire import Properties

_BUCKET = Field(required=True, replaces=True)
_NO_CONSTRAINT = "us-east-1"  # has no LocationConstraint (S3 API Reference, CreateBucket)

# Route 53 hosted zone ids (AWS General Reference, "Amazon S3 endpoints and quotas"). Other regions have none here.
_HOSTED_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


class BucketHandler(Handler):
    """A bucket. A new name or object lock replaces it. With ``forceDestroy``, it is emptied before its deletion."""

    token = "aws:s3/bucket:Bucket"
    name = "bucket"
    name_limit = 63
    taggable = True
    fields = {
        "bucket": Field(required=True, replaces=True),
        "forceDestroy": Field(FieldType.FLAG, default=False, opaque=True),
        "objectLockEnabled": Field(FieldType.FLAG, computed=True, replaces=True),
    }
    outputs = ("arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion")

    def find(self, context: Context, inputs: Properties) -> str | None:
        found = super().find(context, inputs)
        bucket = str(inputs["bucket"])
        if found is None and unless_gone(context.client("s3").head_bucket, Bucket=bucket) is not None:
            # In us-east-1 CreateBucket also succeeds for an existing bucket of the account, which may not be ours.
            raise WorkFailed(
                f"bucket {bucket} exists and does not belong to this environment",
                where=context.region,
                remedy="choose another project or environment name, or remove the bucket",
                error_id="RS-LOCAL-006",
            )
        return found

    def create(self, context: Context, inputs: Properties) -> str:
        bucket = str(inputs["bucket"])
        configuration: dict[str, Any] = {"Tags": to_list(context.tags(inputs))}
        if context.region != _NO_CONSTRAINT:
            configuration["LocationConstraint"] = context.region
        context.client("s3").create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration=configuration,
            ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")),
        )
        return bucket

    def read(self, context: Context, identity: str) -> Properties | None:
        s3 = context.client("s3")
        region = s3.head_bucket(Bucket=identity)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        return {
            "bucket": identity,
            "arn": f"arn:aws:s3:::{identity}",
            "bucketDomainName": f"{identity}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{identity}.s3.{context.region}.amazonaws.com",
            "bucketRegion": region or context.region,
            "hostedZoneId": _HOSTED_ZONES.get(context.region),
            "objectLockEnabled": _is_locked(s3, identity),
            "tags": _tags(s3, identity),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        s3 = context.client("s3")
        try:
            s3.delete_bucket(Bucket=identity)
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty" or not properties.get("forceDestroy"):
                raise
            if not context.owns(_tags(s3, identity)):
                raise WorkFailed(
                    f"bucket {identity} does not belong to this environment, so it is not emptied",
                    where=context.region,
                    remedy="remove it from the state, or empty it yourself",
                    error_id="RS-LOCAL-006",
                ) from error
            empty_bucket(s3, identity)
            s3.delete_bucket(Bucket=identity)

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("s3").put_bucket_tagging(Bucket=identity, Tagging={"TagSet": to_list(tags)})


def _tags(s3: Any, bucket: str) -> dict[str, str]:
    try:
        return from_list(s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as error:
        if code_of(error) == "NoSuchTagSet":
            return {}
        raise


def _is_locked(s3: Any, bucket: str) -> bool:
    try:
        lock = s3.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if code_of(error) == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return bool(lock["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")


class BucketSettingHandler(Handler):
    """A setting of a bucket. The id is the bucket's name. Create and update are the same idempotent call.

    Class attributes:
        setting: its name in S3's put, get and delete calls, such as ``bucket_policy``.
        argument: the argument of the put call.
    """

    setting: ClassVar[str]
    argument: ClassVar[str]

    def create(self, context: Context, inputs: Properties) -> str:
        put = getattr(context.client("s3"), f"put_{self.setting}")
        put(Bucket=inputs["bucket"], **{self.argument: self.to_aws(inputs)})
        return str(inputs["bucket"])

    def update(self, context: Context, identity: str, change: Update) -> None:
        self.create(context, change.news)

    def read(self, context: Context, identity: str) -> Properties | None:
        found = self.from_aws(getattr(context.client("s3"), f"get_{self.setting}")(Bucket=identity))
        return None if found is None else {"bucket": identity, **found}

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        """Reset it to the value of a new bucket."""
        getattr(context.client("s3"), f"delete_{self.setting}")(Bucket=identity)

    @abstractmethod
    def to_aws(self, inputs: Properties) -> Any:
        """Return the argument of S3's put call."""

    @abstractmethod
    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        """Return the inputs from S3's get call, without the bucket; None when nothing is set."""


_ENCRYPTION_SPELLINGS = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}
_BY_DEFAULT = Field(
    FieldType.OBJECT,
    items={
        "sseAlgorithm": Field(required=True, allowed=("AES256", "aws:kms", "aws:kms:dsse")),
        "kmsMasterKeyId": Field(),
    },
)


class BucketEncryptionHandler(BucketSettingHandler):
    """Default encryption. After its deletion S3 returns the default SSE-S3, like a setting."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    setting, argument = "bucket_encryption", "ServerSideEncryptionConfiguration"
    fields = {
        "bucket": _BUCKET,
        "rules": Field(
            FieldType.SET,
            required=True,
            items={
                "applyServerSideEncryptionByDefault": _BY_DEFAULT,
                "bucketKeyEnabled": Field(FieldType.FLAG, default=False),
            },
        ),
    }

    def to_aws(self, inputs: Properties) -> Any:
        return {"Rules": to_api(inputs["rules"], _ENCRYPTION_SPELLINGS)}

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        return {"rules": from_api(rules, _ENCRYPTION_SPELLINGS)}


_LIFECYCLE_SPELLINGS = {"id": "ID"}
_DAYS = Field(FieldType.INTEGER, minimum=1)
_SIZES = {
    "objectSizeGreaterThan": Field(FieldType.INTEGER, default=0, minimum=0),
    "objectSizeLessThan": Field(FieldType.INTEGER, default=0, minimum=0),
}
_FILTER = {
    "prefix": Field(),
    "tag": Field(FieldType.OBJECT, items={"key": Field(required=True), "value": Field(required=True)}),
    "and": Field(FieldType.OBJECT, items={"prefix": Field(), "tags": Field(FieldType.MAP), **_SIZES}),
    **_SIZES,
}
_LIFECYCLE_RULE = {
    "id": Field(required=True),
    "status": Field(required=True, allowed=("Enabled", "Disabled")),
    "filter": Field(FieldType.OBJECT, items=_FILTER),
    "abortIncompleteMultipartUpload": Field(FieldType.OBJECT, items={"daysAfterInitiation": _DAYS}),
    "expiration": Field(
        FieldType.OBJECT,
        items={"days": _DAYS, "expiredObjectDeleteMarker": Field(FieldType.FLAG, default=False)},
    ),
    "noncurrentVersionExpiration": Field(
        FieldType.OBJECT, items={"noncurrentDays": _DAYS, "newerNoncurrentVersions": _DAYS}
    ),
    "transitions": Field(
        FieldType.SET,
        items={"days": Field(FieldType.INTEGER, minimum=0), "storageClass": Field(required=True)},
    ),
    "noncurrentVersionTransitions": Field(
        FieldType.SET,
        items={
            "noncurrentDays": _DAYS,
            "newerNoncurrentVersions": _DAYS,
            "storageClass": Field(required=True),
        },
    ),
}


class BucketLifecycleHandler(BucketSettingHandler):
    """Lifecycle rules of a bucket in one document. Only days are supported, not dates."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    setting, argument = "bucket_lifecycle_configuration", "LifecycleConfiguration"
    fields = {"bucket": _BUCKET, "rules": Field(FieldType.LIST, required=True, items=_LIFECYCLE_RULE)}

    def to_aws(self, inputs: Properties) -> Any:
        return {"Rules": [_lifecycle_rule_to_api(rule) for rule in inputs["rules"]]}

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        return {"rules": [_rule_from_api(rule) for rule in answer["Rules"]]}

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("s3").delete_bucket_lifecycle(Bucket=identity)


def _lifecycle_rule_to_api(rule: Mapping[str, Any]) -> Any:
    filtered = _without_nothing(rule.get("filter") or {})
    both = filtered.pop("and", None)
    api = to_api({**rule, "filter": filtered}, _LIFECYCLE_SPELLINGS)
    if both:
        tags = to_list(both.get("tags") or {})
        rest = to_api(
            {name: value for name, value in both.items() if name != "tags" and value}, _LIFECYCLE_SPELLINGS
        )
        api["Filter"] = {"And": {**rest, **({"Tags": tags} if tags else {})}}
    elif not api["Filter"]:
        api["Filter"] = {"Prefix": ""}  # S3 needs a filter in each rule; this one matches all objects
    return api


def _rule_from_api(rule: Mapping[str, Any]) -> Any:
    ours = from_api(rule, _LIFECYCLE_SPELLINGS)
    both = ours.get("filter", {}).get("and")
    if both and "tags" in both:
        both["tags"] = from_list(both["tags"], key="key", value="value")
    return ours


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", 0)}


class BucketLoggingHandler(BucketSettingHandler):
    """The target of a bucket's access logs. The target bucket must allow the logging service."""

    token = "aws:s3/bucketLogging:BucketLogging"
    setting, argument = "bucket_logging", "BucketLoggingStatus"
    fields = {"bucket": _BUCKET, "targetBucket": Field(required=True), "targetPrefix": Field(required=True)}

    def to_aws(self, inputs: Properties) -> Any:
        return {
            "LoggingEnabled": {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
        }

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        enabled = answer.get("LoggingEnabled")
        if not enabled:
            return None
        return {"targetBucket": enabled["TargetBucket"], "targetPrefix": enabled.get("TargetPrefix", "")}

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("s3").put_bucket_logging(Bucket=identity, BucketLoggingStatus={})


_CHOICES = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")


class BucketOwnershipHandler(BucketSettingHandler):
    """Object ownership of a bucket; ``BucketOwnerEnforced`` turns ACLs off."""

    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    setting, argument = "bucket_ownership_controls", "OwnershipControls"
    fields = {
        "bucket": _BUCKET,
        "rule": Field(
            FieldType.OBJECT, required=True, items={"objectOwnership": Field(required=True, allowed=_CHOICES)}
        ),
    }

    def to_aws(self, inputs: Properties) -> Any:
        return {"Rules": [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]}

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        rules = answer["OwnershipControls"]["Rules"]
        return {"rule": {"objectOwnership": rules[0]["ObjectOwnership"]}}


class BucketPolicyHandler(BucketSettingHandler):
    """The policy of a bucket."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    setting, argument = "bucket_policy", "Policy"
    fields = {"bucket": _BUCKET, "policy": Field(FieldType.POLICY, required=True)}

    def to_aws(self, inputs: Properties) -> Any:
        return inputs["policy"]

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        return {"policy": answer["Policy"]}


_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


class PublicAccessBlockHandler(BucketSettingHandler):
    """The four public access blocks of a bucket. They are off by default, as in the AWS API."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    setting, argument = "public_access_block", "PublicAccessBlockConfiguration"
    fields = {"bucket": _BUCKET, **{block: Field(FieldType.FLAG, default=False) for block in _BLOCKS}}

    def to_aws(self, inputs: Properties) -> Any:
        return to_api({block: inputs[block] for block in _BLOCKS}, {})

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        return dict(from_api(answer["PublicAccessBlockConfiguration"], {}))


_REPLICATION_SPELLINGS = {"id": "ID", "replicaKmsKeyId": "ReplicaKmsKeyID"}
_STATUS = Field(required=True, allowed=("Enabled", "Disabled"))
_SWITCH = Field(FieldType.OBJECT, items={"status": _STATUS})
_MINUTES = Field(
    FieldType.OBJECT, items={"minutes": Field(FieldType.INTEGER, required=True, minimum=15, maximum=15)}
)
_DESTINATION = {
    "bucket": Field(required=True),
    "account": Field(),
    "storageClass": Field(),
    "accessControlTranslation": Field(FieldType.OBJECT, items={"owner": Field(required=True)}),
    "encryptionConfiguration": Field(FieldType.OBJECT, items={"replicaKmsKeyId": Field(required=True)}),
    "replicationTime": Field(FieldType.OBJECT, items={"status": _STATUS, "time": _MINUTES}),
    "metrics": Field(FieldType.OBJECT, items={"status": _STATUS, "eventThreshold": _MINUTES}),
}
_REPLICATION_RULE = {
    "id": Field(),
    "priority": Field(FieldType.INTEGER, minimum=0),
    "status": _STATUS,
    "filter": Field(FieldType.OBJECT, items={"prefix": Field()}),
    "deleteMarkerReplication": _SWITCH,
    "existingObjectReplication": _SWITCH,
    "sourceSelectionCriteria": Field(
        FieldType.OBJECT, items={"sseKmsEncryptedObjects": _SWITCH, "replicaModifications": _SWITCH}
    ),
    "destination": Field(FieldType.OBJECT, required=True, items=_DESTINATION),
}


class BucketReplicationHandler(BucketSettingHandler):
    """Replication rules of a source bucket in one document."""

    token = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    setting, argument = "bucket_replication", "ReplicationConfiguration"
    fields = {
        "bucket": _BUCKET,
        "role": Field(required=True),
        "rules": Field(FieldType.LIST, required=True, items=_REPLICATION_RULE),
    }

    def to_aws(self, inputs: Properties) -> Any:
        return {"Role": inputs["role"], "Rules": [_replication_rule_to_api(rule) for rule in inputs["rules"]]}

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        found = answer["ReplicationConfiguration"]
        return {"role": found["Role"], "rules": from_api(found["Rules"], _REPLICATION_SPELLINGS)}


def _replication_rule_to_api(rule: Mapping[str, Any]) -> Any:
    api = to_api(rule, _REPLICATION_SPELLINGS)
    if rule.get("filter") is not None and not api["Filter"]:
        api["Filter"] = {"Prefix": ""}  # S3 needs a filter; this one matches all objects
    return api


class BucketVersioningHandler(BucketSettingHandler):
    """Versioning of a bucket, enabled or suspended. S3 cannot turn it off, so deleting it suspends it."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    setting, argument = "bucket_versioning", "VersioningConfiguration"
    fields = {
        "bucket": _BUCKET,
        "versioningConfiguration": Field(
            FieldType.OBJECT,
            required=True,
            items={"status": Field(required=True, allowed=("Enabled", "Suspended"))},
        ),
    }

    def to_aws(self, inputs: Properties) -> Any:
        return {"Status": inputs["versioningConfiguration"]["status"]}

    def from_aws(self, answer: Mapping[str, Any]) -> Properties | None:
        status = answer.get("Status")
        return {"versioningConfiguration": {"status": status}} if status else None

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        suspended = {"Status": "Suspended"}
        context.client("s3").put_bucket_versioning(Bucket=identity, VersioningConfiguration=suspended)


HANDLERS: tuple[Handler, ...] = (
    BucketHandler(),
    BucketEncryptionHandler(),
    BucketLifecycleHandler(),
    BucketLoggingHandler(),
    BucketOwnershipHandler(),
    BucketPolicyHandler(),
    PublicAccessBlockHandler(),
    BucketReplicationHandler(),
    BucketVersioningHandler(),
)
