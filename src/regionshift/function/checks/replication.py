"""``replication``: from the primary, an enabled rule for whole buckets leads to every secondary.

Seen from a secondary it does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from regionshift.function.checks.subject import CheckAnswer, Subject, ask
from regionshift.function.configuration import ConfigurationError, FunctionConfiguration
from regionshift.function.problems import code_of


def check_replication(subject: Subject) -> Sequence[CheckAnswer]:
    """Compare the bucket's rules with the destinations that the configuration names."""
    asked = "the configuration: whether this is the primary, and its destinations"
    try:
        configuration = subject.configuration()
    except ConfigurationError as problem:
        return (CheckAnswer(asked, str(problem), False),)
    if configuration.is_primary is None:
        return (CheckAnswer(asked, "it does not say whether this is the primary", False),)
    if not configuration.is_primary:
        return (CheckAnswer(asked, "does not apply: a secondary replicates nowhere", None),)
    if not configuration.secondary_regions:
        return (CheckAnswer(asked, "does not apply: there is no secondary", None),)
    return _from_primary(subject, configuration)


def not_linked(_: Subject) -> Sequence[CheckAnswer]:
    """For who asks before the rules are to be there."""
    return (CheckAnswer("the request", "does not apply: what joins the regions is still to follow", None),)


def _from_primary(subject: Subject, configuration: FunctionConfiguration) -> Sequence[CheckAnswer]:
    bucket, s3 = subject.variables.deployment_bucket, subject.clients.s3
    wanted = {
        region: configuration.replication_destinations.get(region)
        for region in configuration.secondary_regions
    }
    return (
        ask(
            f"s3:GetBucketReplication {bucket}: an enabled rule to each of {len(wanted)} secondaries",
            lambda: _rules(s3, bucket),
            lambda rules: _leads_to_all(rules, wanted),
        ),
    )


def _rules(s3: Any, bucket: str) -> Sequence[Mapping[str, Any]]:
    try:
        reply = s3.get_bucket_replication(Bucket=bucket)
    except ClientError as problem:
        if code_of(problem) == "ReplicationConfigurationNotFoundError":
            return ()
        raise
    rules: Sequence[Mapping[str, Any]] = reply["ReplicationConfiguration"]["Rules"]
    return rules


def _leads_to_all(rules: Sequence[Mapping[str, Any]], wanted: Mapping[str, str | None]) -> tuple[bool, str]:
    reached = {_destination(rule) for rule in rules if rule.get("Status") == "Enabled" and is_whole(rule)}
    missing = [region for region, bucket in wanted.items() if bucket is None or bucket not in reached]
    found = f"{len(rules)} rules, enabled for the whole bucket: {len(reached)}"
    if missing:
        return False, f"{found}; none to {', '.join(missing)}"
    return True, found


def _destination(rule: Mapping[str, Any]) -> str:
    """The bucket's name out of ``arn:<partition>:s3:::<bucket>``."""
    arn: str = rule["Destination"]["Bucket"]
    return arn.rpartition(":")[2]


def is_whole(rule: Mapping[str, Any]) -> bool:
    """Whether the rule is for every object: no prefix and no tag narrows it, in either form S3 has for it."""
    narrowed = rule.get("Filter", {})
    return not any(
        (rule.get("Prefix"), narrowed.get("Prefix"), narrowed.get("Tag"), _narrows(narrowed.get("And")))
    )


def _narrows(both: Mapping[str, Any] | None) -> bool:
    return both is not None and bool(both.get("Prefix") or both.get("Tags"))
