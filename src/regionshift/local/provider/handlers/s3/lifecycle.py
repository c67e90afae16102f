"""Lifecycle rules of a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.spelling import from_api, to_api
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

_SPELLINGS = {"id": "ID"}
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
_RULE = {
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
    """All rules of a bucket in one document. Dates are not supported, days are."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    fields = {"bucket": BUCKET, "rules": Field(FieldType.LIST, required=True, items=_RULE)}

    def put(self, s3: Any, inputs: Properties) -> None:
        rules = [_rule_to_api(rule) for rule in inputs["rules"]]
        s3.put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )

    def get(self, s3: Any, bucket: str) -> Properties | None:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        return {"rules": [_rule_from_api(rule) for rule in rules]}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_lifecycle(Bucket=bucket)


def _rule_to_api(rule: Mapping[str, Any]) -> Any:
    filtered = _without_nothing(rule.get("filter") or {})
    both = filtered.pop("and", None)
    api = to_api({**rule, "filter": filtered}, _SPELLINGS)
    if both:
        tags = to_list(both.get("tags") or {})
        rest = to_api({name: value for name, value in both.items() if name != "tags" and value}, _SPELLINGS)
        api["Filter"] = {"And": {**rest, **({"Tags": tags} if tags else {})}}
    elif not api["Filter"]:
        api["Filter"] = {"Prefix": ""}  # S3 wants a filter in every rule; this one takes everything
    return api


def _rule_from_api(rule: Mapping[str, Any]) -> Any:
    ours = from_api(rule, _SPELLINGS)
    both = ours.get("filter", {}).get("and")
    if both and "tags" in both:
        both["tags"] = from_list(both["tags"], key="key", value="value")
    return ours


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", 0)}
