"""Replication rules of a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BucketSettingHandler
from regionshift.local.provider.spelling import from_api, to_api
from regionshift.local.provider.wire import Properties

_SPELLINGS = {"id": "ID", "replicaKmsKeyId": "ReplicaKmsKeyID"}
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
_RULE = {
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
    """All rules of a source bucket in one document."""

    token = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    fields = {
        "bucket": Field(required=True, replaces=True),
        "role": Field(required=True),
        "rules": Field(FieldType.LIST, required=True, items=_RULE),
    }

    def put(self, s3: Any, inputs: Properties) -> None:
        configuration = {"Role": inputs["role"], "Rules": [_rule_to_api(rule) for rule in inputs["rules"]]}
        s3.put_bucket_replication(Bucket=inputs["bucket"], ReplicationConfiguration=configuration)

    def get(self, s3: Any, bucket: str) -> Properties | None:
        found = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
        return {"role": found["Role"], "rules": from_api(found["Rules"], _SPELLINGS)}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_replication(Bucket=bucket)


def _rule_to_api(rule: Mapping[str, Any]) -> Any:
    api = to_api(rule, _SPELLINGS)
    if rule.get("filter") is not None and not api["Filter"]:
        api["Filter"] = {"Prefix": ""}  # an empty filter takes everything, but S3 wants it spelled out
    return api
