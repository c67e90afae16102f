"""AWS's quotas of the documents and lists that the program writes, each with its page.

The program is checked with them before the first change (`infrastructure/sizes.py`), and the embedded AWS refuses with
them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """The most that AWS takes of something.

    Args:
        of: what is measured. unit: in what. page: where AWS says so.
    """

    of: str
    most: int
    unit: str
    page: str


_IAM = 'IAM User Guide, "IAM and AWS STS quotas"'

INLINE_POLICIES = Quota("the inline policies of a role together", 10_240, "characters", _IAM)
MANAGED_POLICY = Quota("a managed policy", 6_144, "characters", _IAM)
MANAGED_POLICIES = Quota("managed policies attached to a role", 10, "policies", _IAM)
POLICIES_OF_ACCOUNT = Quota("managed policies of an account", 1_500, "policies", _IAM)
TRUST_POLICY = Quota("a role's trust policy", 2_048, "characters", _IAM)
ROLE_DESCRIPTION = Quota("a role's description", 1_000, "characters", "IAM API Reference, CreateRole")
TAGS = Quota(
    "tags of one resource", 50, "tags", 'Tagging AWS Resources, "Tag naming limits and requirements"'
)
KEY_POLICY = Quota("a key policy", 32_768, "bytes", "KMS API Reference, PutKeyPolicy")
BUCKET_POLICY = Quota("a bucket policy", 20_480, "bytes", 'S3 User Guide, "Bucket policies for Amazon S3"')
REPLICATION_RULES = Quota(
    "replication rules of a bucket",
    1_000,
    "rules",
    'S3 User Guide, "Replication configuration file elements"',
)
TOPIC_POLICY = Quota(
    "a topic's policy", 30_720, "bytes", 'SNS Developer Guide, "Amazon SNS API permissions", "Policy quotas"'
)
QUEUE_POLICY = Quota("a queue's policy", 8_192, "bytes", 'SQS Developer Guide, "Amazon SQS policy quotas"')
_TIERS = 'Systems Manager User Guide, "Managing parameter tiers"'
PARAMETER = Quota("a standard parameter", 4_096, "bytes", _TIERS)
ADVANCED_PARAMETER = Quota("an advanced parameter", 8_192, "bytes", _TIERS)
SECRET = Quota("a secret's value", 65_536, "bytes", "Secrets Manager API Reference, CreateSecret")
VARIABLES = Quota(
    "a function's variables together, as JSON", 4_096, "bytes", 'Lambda Developer Guide, "Lambda quotas"'
)
FUNCTION_DESCRIPTION = Quota(
    "a function's description", 256, "characters", "Lambda API Reference, CreateFunction"
)
DEFINITION = Quota(
    "a state machine's definition", 1_048_576, "bytes", 'Step Functions Developer Guide, "Service quotas"'
)
EXECUTION_DATA = Quota(
    "an execution's input, a task's result and a state's output",
    262_144,
    "bytes",
    'Step Functions Developer Guide, "Quotas related to state machine executions"',
)
ALARM_DESCRIPTION = Quota(
    "an alarm's description", 1_024, "characters", "CloudWatch API Reference, PutMetricAlarm"
)
ALARM_ACTIONS = Quota("actions of an alarm's state", 5, "actions", "CloudWatch API Reference, PutMetricAlarm")
_CLOUDWATCH = 'CloudWatch User Guide, "CloudWatch service quotas"'
DASHBOARD_METRICS = Quota("metrics of a dashboard", 2_500, "metrics", _CLOUDWATCH)
WIDGET_METRICS = Quota("metrics of a widget", 500, "metrics", _CLOUDWATCH)


def policy_characters(document: str) -> int:
    """Characters of a policy as IAM counts them: white space is none (IAM User Guide, "IAM and AWS STS quotas")."""
    return len("".join(document.split()))
