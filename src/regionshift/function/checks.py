"""The checks of ``validate``, in the order in which they are shown.

A check takes a ``Subject`` and returns findings. It passes when all findings are true. A new check needs a function
and a line in ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from regionshift.function.answer import AWS_PROBLEMS, code_of, describe
from regionshift.function.clients import FunctionClients
from regionshift.function.configuration import LOG_LEVELS, ConfigurationError, FunctionConfiguration
from regionshift.function.surroundings import Variables

Reply = TypeVar("Reply")
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
# S3 API Reference, ServerSideEncryptionByDefault, SSEAlgorithm
_WITH_KMS = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class CheckAnswer:
    """A question to AWS, its answer, and whether the answer is right (None: it does not apply)."""

    asked: str
    answer: str
    ok: bool | None


@dataclass(frozen=True)
class Subject:
    """The environment's resources in this region.

    Attributes:
        configuration: returns the configuration or raises ConfigurationError. Thread-safe; it is read once.
        announce: publishes the message that the action has started; returns its id or raises AWS's error.
    """

    variables: Variables
    clients: FunctionClients
    configuration: Callable[[], FunctionConfiguration]
    announce: Callable[[], str]


def ask(asked: str, call: Callable[[], Reply], judge: Callable[[Reply], tuple[bool, str]]) -> CheckAnswer:
    """Make ``call`` and judge its reply: ``judge`` returns (right, answer). An AWS error counts as wrong."""
    try:
        reply = call()
    except AWS_PROBLEMS as problem:
        return CheckAnswer(asked, describe(problem), False)
    ok, answer = judge(reply)
    return CheckAnswer(asked, answer, ok)


def check_bucket(subject: Subject) -> Sequence[CheckAnswer]:
    """Check the deployment bucket: region, versioning and public access block."""
    bucket, s3 = subject.variables.deployment_bucket, subject.clients.s3
    return (
        ask(
            f"s3:HeadBucket {bucket}: reachable, in {subject.variables.region}",
            lambda: s3.head_bucket(Bucket=bucket),
            lambda reply: _is_here(reply, subject.variables.region),
        ),
        ask(
            f"s3:GetBucketVersioning {bucket}: Enabled",
            lambda: s3.get_bucket_versioning(Bucket=bucket),
            lambda reply: (reply.get("Status") == "Enabled", reply.get("Status", "never enabled")),
        ),
        ask(f"s3:GetPublicAccessBlock {bucket}: all four on", lambda: _public_blocks(s3, bucket), _all_on),
    )


def _is_here(reply: Mapping[str, Any], region: str) -> tuple[bool, str]:
    # S3 names the bucket's region in each answer.
    found = reply.get("BucketRegion")
    if found is None:
        return True, "reachable"
    return found == region, f"reachable, in {found}"


def _public_blocks(s3: Any, bucket: str) -> Mapping[str, bool]:
    try:
        reply = s3.get_public_access_block(Bucket=bucket)
    except ClientError as problem:
        if code_of(problem) == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise
    configuration: Mapping[str, bool] = reply["PublicAccessBlockConfiguration"]
    return configuration


def _all_on(blocks: Mapping[str, bool]) -> tuple[bool, str]:
    off = [name for name in _BLOCKS if blocks.get(name) is not True]
    return not off, f"off: {', '.join(off)}" if off else "all four on"


def check_parameters(subject: Subject) -> Sequence[CheckAnswer]:
    """Check that the configuration can be decrypted and fits. The answers name fields, never values."""
    variables = subject.variables
    asked = f"{variables.config_store} {variables.config_parameter}: decrypts to a JSON object"
    try:
        configuration = subject.configuration()
    except ConfigurationError as problem:
        return (CheckAnswer(asked, str(problem), False),)
    wrong = _wrong_fields(configuration, variables)
    return (
        CheckAnswer(asked, "decrypted", True),
        CheckAnswer(
            "its region and environment are ours, log_level and enable_validation are valid",
            f"not so: {', '.join(wrong)}" if wrong else "they are",
            not wrong,
        ),
    )


def _wrong_fields(configuration: FunctionConfiguration, variables: Variables) -> list[str]:
    right = {
        "region": configuration.region == variables.region,
        "environment": configuration.environment == variables.environment,
        "log_level": configuration.log_level in LOG_LEVELS,
        "enable_validation": isinstance(configuration.enable_validation, bool),
    }
    return [name for name, is_right in right.items() if not is_right]


def check_connectivity(subject: Subject) -> Sequence[CheckAnswer]:
    """Check that each service answers."""
    variables, clients = subject.variables, subject.clients
    bucket, topic = variables.deployment_bucket, variables.notification_topic
    group, key = variables.validation_log_group, variables.key_arn

    def answers(asked: str, call: Callable[[], object]) -> CheckAnswer:
        return ask(asked, call, lambda _: (True, "answered"))

    findings = [
        answers(f"s3 answers (HeadBucket {bucket})", lambda: clients.s3.head_bucket(Bucket=bucket)),
        _store(subject),
        answers(
            f"sns answers (GetTopicAttributes {topic})",
            lambda: clients.sns.get_topic_attributes(TopicArn=topic),
        ),
    ]
    if group:
        findings.append(
            answers(
                f"logs answers (DescribeLogStreams {group})",
                lambda: clients.logs.describe_log_streams(logGroupName=group, limit=1),
            )
        )
    if key:
        findings.append(
            answers(f"kms answers (DescribeKey {key})", lambda: clients.kms.describe_key(KeyId=key))
        )
    return tuple(findings)


def _store(subject: Subject) -> CheckAnswer:
    asked = f"{subject.variables.config_store} answers (the configuration)"
    try:
        subject.configuration()
    except ConfigurationError as problem:
        # Another check judges the content; here only the connection matters.
        return CheckAnswer(asked, "answered" if problem.reached else str(problem), problem.reached)
    return CheckAnswer(asked, "answered", True)


def check_encryption(subject: Subject) -> Sequence[CheckAnswer]:
    """Check the bucket's default encryption and its key; without ``key_arn``, the key that the bucket names."""
    bucket, s3 = subject.variables.deployment_bucket, subject.clients.s3
    named: list[str] = []

    def judge(reply: Mapping[str, Any]) -> tuple[bool, str]:
        rules = reply["ServerSideEncryptionConfiguration"]["Rules"]
        default = rules[0] if rules else {}
        how = default.get("ApplyServerSideEncryptionByDefault", {})
        named.extend(key for key in [how.get("KMSMasterKeyID")] if key)
        return _is_right(default, how, subject.variables.key_arn)

    default = ask(
        f"s3:GetBucketEncryption {bucket}: KMS with the region's key, bucket key on",
        lambda: s3.get_bucket_encryption(Bucket=bucket),
        judge,
    )
    key = subject.variables.key_arn or next(iter(named), "")
    if not key:
        return (default, CheckAnswer("kms: the key is enabled and rotates", "no key is known", False))
    return (default, *_key(subject, key))


def _is_right(default: Mapping[str, Any], how: Mapping[str, Any], key_arn: str) -> tuple[bool, str]:
    algorithm, key = how.get("SSEAlgorithm", "none"), how.get("KMSMasterKeyID", "no key of ours")
    bucket_key = default.get("BucketKeyEnabled") is True
    ours = key in (key_arn, key_arn.rpartition("/")[2]) if key_arn else bool(how.get("KMSMasterKeyID"))
    answer = f"{algorithm} with {key}, bucket key {'on' if bucket_key else 'off'}"
    return algorithm in _WITH_KMS and ours and bucket_key, answer


def _key(subject: Subject, key: str) -> Sequence[CheckAnswer]:
    kms = subject.clients.kms
    return (
        ask(f"kms:DescribeKey {key}: Enabled", lambda: kms.describe_key(KeyId=key), _is_enabled),
        ask(
            f"kms:GetKeyRotationStatus {key}: on",
            lambda: kms.get_key_rotation_status(KeyId=key),
            lambda reply: (reply["KeyRotationEnabled"], "on" if reply["KeyRotationEnabled"] else "off"),
        ),
    )


def _is_enabled(reply: Mapping[str, Any]) -> tuple[bool, str]:
    state = reply["KeyMetadata"].get("KeyState", "unknown")
    return state == "Enabled", state


def check_replication(subject: Subject) -> Sequence[CheckAnswer]:
    """Compare the bucket's replication rules with the destinations in the configuration."""
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
    """Return the answer before replication is created."""
    return (CheckAnswer("the request", "does not apply: replication is not created yet", None),)


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
    """Return the bucket's name from ``arn:<partition>:s3:::<bucket>``."""
    arn: str = rule["Destination"]["Bucket"]
    return arn.rpartition(":")[2]


def is_whole(rule: Mapping[str, Any]) -> bool:
    """Whether the rule covers all objects: without a prefix or tag, in both versions of S3's configuration."""
    narrowed = rule.get("Filter", {})
    return not any(
        (rule.get("Prefix"), narrowed.get("Prefix"), narrowed.get("Tag"), _narrows(narrowed.get("And")))
    )


def _narrows(both: Mapping[str, Any] | None) -> bool:
    return both is not None and bool(both.get("Prefix") or both.get("Tags"))


def check_notifications(subject: Subject) -> Sequence[CheckAnswer]:
    """Check the topic's encryption, then publish."""
    topic, sns = subject.variables.notification_topic, subject.clients.sns
    return (
        ask(
            f"sns:GetTopicAttributes {topic}: encrypted with a key",
            lambda: sns.get_topic_attributes(TopicArn=topic),
            _is_encrypted,
        ),
        ask(
            f"sns:Publish {topic}: accepted",
            subject.announce,
            lambda message_id: (bool(message_id), f"accepted as {message_id}"),
        ),
    )


def _is_encrypted(reply: Mapping[str, Any]) -> tuple[bool, str]:
    key = reply["Attributes"].get("KmsMasterKeyId", "")
    return bool(key), f"encrypted with {key}" if key else "not encrypted"


Check = Callable[[Subject], Sequence[CheckAnswer]]

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "s3_bucket": check_bucket,
        "parameters": check_parameters,
        "connectivity": check_connectivity,
        "encryption": check_encryption,
        "replication": check_replication,
        "notifications": check_notifications,
    }
)
