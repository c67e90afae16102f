"""The runbook of each alarm: docs/runbooks.md and `regionshift explain` have it, and every alarm's description links
to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regionshift.settings import components as named
from regionshift.settings.regions import all_regions

PAGE = "docs/runbooks.md"
"""The page of the runbooks in this repository."""
_REPLICATION_FAILED = "replication-failed-to"


@dataclass(frozen=True)
class Runbook:
    """One kind of alarm.

    Args:
        meaning: the problem when it is red.
        look_at: where to look, the likeliest cause first.
        steps: remedies in this order; commands in backquotes.
    """

    meaning: str
    look_at: tuple[str, ...]
    steps: tuple[str, ...]


_LATER_GREEN = "The alarm turns green by itself after five minutes without another one."

RUNBOOKS: Mapping[str, Runbook] = MappingProxyType(
    {
        named.ERRORS_ALARM.part: Runbook(
            "The function failed more often in five minutes than `alerts.errors` allows.",
            (
                "The function's log group /aws/lambda/NAME: the last lines before `Task timed out` or a traceback.",
                "A deployment in the region shortly before: `regionshift history`.",
            ),
            (
                "`regionshift validate --region REGION` asks the function itself.",
                "After a bad deployment: `regionshift rollback`.",
                "After a change of permissions by hand: `regionshift drift`, then `regionshift up --refresh`.",
                _LATER_GREEN,
            ),
        ),
        named.THROTTLES_ALARM.part: Runbook(
            "Lambda refused to start the function: too many run at once in this account and region.",
            (
                "The account's concurrent executions in the region (Service Quotas, Lambda).",
                "`function.reserved_concurrency` in the settings, if it is set.",
                "Other functions of the account that run at the same time, and migrations: `regionshift status`.",
            ),
            (
                "Stop or slow down other functions. The callers repeat the refused calls.",
                "`regionshift doctor` shows the use of the quotas; ask for more in Service Quotas.",
                _LATER_GREEN,
            ),
        ),
        named.DURATION_ALARM.part: Runbook(
            "One call in twenty takes longer than `alerts.duration_share` of the function's timeout.",
            (
                "REPORT lines in the function's log group: Duration and Max Memory Used.",
                "A slow service in this region: https://health.aws.amazon.com.",
            ),
            (
                "`regionshift validate --region REGION` shows how long its parts take.",
                "Raise `function.timeout` or `function.memory`, then `regionshift up`.",
                "If a deployment made it slow: `regionshift rollback`.",
            ),
        ),
        named.DEAD_LETTERS_ALARM.part: Runbook(
            "Lambda gave up on an asynchronous call. Its event stays in the dead-letter queue until you remove it.",
            (
                "The message in the queue, with its reason: `aws sqs receive-message --queue-url URL"
                " --message-attribute-names All`.",
                "The function's log group at the time of the message.",
            ),
            (
                "Fix the cause: `regionshift validate --region REGION`.",
                "If you still need the event, send it again: `aws lambda invoke --function-name NAME"
                " --payload EVENT answer.json`.",
                "Remove the message, or purge the queue; the alarm stays red until it is empty.",
            ),
        ),
        named.WORKER_ERRORS_ALARM.part: Runbook(
            "The worker, which copies data, failed more often in five minutes than `alerts.errors` allows.",
            (
                "The worker's log group /aws/lambda/NAME.",
                "The migration at work: `regionshift status`.",
            ),
            (
                "If the migration continues, do nothing: the state machine tries each batch again.",
                "If `carry` changed: `regionshift up` gives the worker its permissions.",
                "Continue a stopped migration with the same id: `regionshift migrate --id ID`.",
            ),
        ),
        named.EXECUTIONS_FAILED_ALARM.part: Runbook(
            "A migration, or its rollback, failed or was refused.",
            (
                "The failed items and the reason: `regionshift status ID`. `regionshift history` has the ids.",
                "The execution in the console of Step Functions: its red state, and the cause.",
            ),
            (
                "Fix the cause, then continue with the same id: `regionshift migrate --id ID`.",
                "Or roll it back: `regionshift rollback ID`.",
                _LATER_GREEN,
            ),
        ),
        named.REPLICATION_LATENCY_ALARM.part: Runbook(
            "The deployment bucket of this region is behind its source by more than `alerts.replication_latency`"
            " seconds. If the source were lost now, the changes of that time would be lost.",
            (
                "The delay of each region: `regionshift validate` measures it (RPO).",
                "The source bucket's metrics BytesPendingReplication and OperationsPendingReplication.",
                "A problem of S3 in one of the two regions: https://health.aws.amazon.com.",
            ),
            (
                "After a large upload or during a migration, wait.",
                "Delay a planned `regionshift promote REGION` until the alarm is green.",
                "If the delay does not fall: `regionshift drift` shows changes of the rule or its role by hand,"
                " and `regionshift up --refresh` reverts them.",
            ),
        ),
        named.VALIDATE_ERRORS_ALARM.part: Runbook(
            "The function was asked to check its region, and answered with an error.",
            (
                "The failed check: `regionshift validate --region REGION`.",
                "The log group of validations in the region.",
            ),
            (
                "Follow the remedy of the failed check.",
                "After a change by hand: `regionshift up --refresh`.",
                _LATER_GREEN,
            ),
        ),
        named.MIGRATE_ERRORS_ALARM.part: Runbook(
            "The function was asked to migrate, and answered with an error. The record has the earlier copies.",
            (
                "The migration's record: `regionshift status ID`. `regionshift history` has the ids.",
                "The log group of deployments in the region.",
            ),
            (
                "Fix the cause and continue with the same id: `regionshift migrate --id ID`.",
                "Or roll it back: `regionshift rollback ID`.",
                _LATER_GREEN,
            ),
        ),
        named.ROLLBACK_ERRORS_ALARM.part: Runbook(
            "The function was asked to roll a migration back, and answered with an error. The target may have old and"
            " new items.",
            (
                "The items that were not undone: `regionshift status ID`.",
                "The log group of deployments in the region.",
            ),
            (
                "Fix the cause, then run `regionshift rollback ID` again; it continues.",
                _LATER_GREEN,
            ),
        ),
        _REPLICATION_FAILED: Runbook(
            "S3 failed to replicate objects to the region in the alarm's name. The objects are missing there"
            " until you copy them.",
            (
                "The objects have the ReplicationStatus FAILED: `aws s3api head-object --bucket BUCKET"
                " --key KEY`.",
                "The replication role, the key and the bucket of the target: `regionshift drift`.",
            ),
            (
                "After a change of a role, key or bucket by hand: `regionshift up --refresh`.",
                "`regionshift validate` writes an object and waits for it to arrive.",
                "Copy the failed objects again, with S3 Batch Replication, or write them again.",
                "Do not promote that region before that: `regionshift status`.",
            ),
        ),
    }
)  # fmt: skip


def runbook_of(alarm: str) -> tuple[str, Runbook] | None:
    """The kind and the runbook of an alarm; None for an unknown alarm.

    Args:
        alarm: the full name as CloudWatch shows it, its ARN, or the part that says what it watches.
    """
    # arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME (Service Authorization Reference, Amazon CloudWatch).
    name = alarm.strip().rpartition(":")[2].lower()
    # A project or an environment may be called like an alarm; only behind the alarm's own part stands a region.
    regions = "|".join(all_regions())
    found = [kind for kind in RUNBOOKS if name == kind or re.search(rf"(^|-){kind}-({regions})(-|$)", name)]
    kind = max(found, key=len, default=None)
    return (kind, RUNBOOKS[kind]) if kind else None


def link(component: named.Component, page: str | None = None) -> str:
    """Name the section that explains the alarm of ``component``, and the command that prints the same.

    Args:
        page: the address of the page where the team publishes it (``alerts.runbooks``); by default the file in this
            repository.

    Raises:
        LookupError: the alarm has no runbook.
    """
    found = runbook_of(component.part)
    if found is None:
        raise LookupError(f"the alarm {component.part} has no runbook in {__name__}")
    return f"Runbook: {page or PAGE}#{found[0]}, or run: regionshift explain {found[0]}"
