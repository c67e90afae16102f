"""What to do about each alarm, by its part of the name: docs/runbooks.md, `regionshift explain`, and the end of every
alarm's description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regionshift.settings import components as named
from regionshift.settings.regions import all_regions

PAGE = "docs/runbooks.md"
"""Where the runbooks are in this repository; the one place that the descriptions' links are made from."""
_REPLICATION_FAILED = "replication-failed-to"


@dataclass(frozen=True)
class Runbook:
    """One kind of alarm.

    Args:
        meaning: what is wrong when it is red, and for whom.
        look_at: where to look, the likeliest cause first.
        steps: what to do, in this order; commands in backquotes.
    """

    meaning: str
    look_at: tuple[str, ...]
    steps: tuple[str, ...]


_LATER_GREEN = "The alarm turns green by itself when a period of five minutes passes without a new one."

RUNBOOKS: Mapping[str, Runbook] = MappingProxyType(
    {
        named.ERRORS_ALARM.part: Runbook(
            "The function ended with an error more often in five minutes than `alerts.errors` allows.",
            (
                "The function's log group /aws/lambda/NAME: the last lines before `Task timed out` or a traceback.",
                "Whether a deployment reached the region shortly before: `regionshift history`.",
            ),
            (
                "`regionshift validate --region REGION` asks the function itself.",
                "After a bad deployment: `regionshift rollback`.",
                "If permissions were changed by hand: `regionshift drift`, then `regionshift up --refresh`.",
                _LATER_GREEN,
            ),
        ),
        named.THROTTLES_ALARM.part: Runbook(
            "Lambda refused to start the function: too many run at once in this account and region.",
            (
                "The account's concurrent executions in the region (Service Quotas, Lambda).",
                "`function.reserved_concurrency` in the settings, where it reserves some.",
                "Other functions of the account that run at the same time, and migrations: `regionshift status`.",
            ),
            (
                "Stop or slow down what uses the concurrency; what was throttled is tried again by its caller.",
                "`regionshift doctor` shows what is used of the quotas; ask for more in Service Quotas.",
                _LATER_GREEN,
            ),
        ),
        named.DURATION_ALARM.part: Runbook(
            "One call in twenty takes longer than `alerts.duration_share` of the function's timeout.",
            (
                "REPORT lines in the function's log group: Duration and Max Memory Used.",
                "Whether a service that the function calls is slow in this region: https://health.aws.amazon.com.",
            ),
            (
                "`regionshift validate --region REGION` shows how long its parts take.",
                "Raise `function.timeout` or `function.memory`, then `regionshift up`.",
                "If a deployment made it slow: `regionshift rollback`.",
            ),
        ),
        named.DEAD_LETTERS_ALARM.part: Runbook(
            "Lambda gave up on an asynchronous call; the event lies in the dead-letter queue until it is removed.",
            (
                "The message in the queue, with its reason: `aws sqs receive-message --queue-url URL"
                " --message-attribute-names All`.",
                "The function's log group at the time of the message.",
            ),
            (
                "Fix the cause: `regionshift validate --region REGION`.",
                "Send the event again where it is still wanted: `aws lambda invoke --function-name NAME"
                " --payload EVENT answer.json`.",
                "Remove the message, or purge the queue; the alarm stays red until it is empty.",
            ),
        ),
        named.WORKER_ERRORS_ALARM.part: Runbook(
            "The worker, which copies data for migrations, ended with an error more often than `alerts.errors` allows.",
            (
                "The worker's log group /aws/lambda/NAME.",
                "The migration at work: `regionshift status`.",
            ),
            (
                "Nothing, if the migration goes on: the state machine tries each batch again.",
                "If `carry` changed: `regionshift up` gives the worker its permissions.",
                "Continue a stopped migration with the same id: `regionshift migrate --id ID`.",
            ),
        ),
        named.EXECUTIONS_FAILED_ALARM.part: Runbook(
            "A migration or the rollback of one failed, or was refused.",
            (
                "What failed and why: `regionshift status ID`; `regionshift history` names the ids.",
                "The execution in the console of Step Functions: the state that is red, and its cause.",
            ),
            (
                "Fix what the report names, then continue with the same id: `regionshift migrate --id ID`.",
                "Or take it back: `regionshift rollback ID`.",
                _LATER_GREEN,
            ),
        ),
        named.REPLICATION_LATENCY_ALARM.part: Runbook(
            "The deployment bucket of this region is behind its source by more than `alerts.replication_latency`"
            " seconds. If the source were lost now, that much would be lost with it.",
            (
                "How far behind each region is: `regionshift validate` prints the measured delay (RPO).",
                "The source bucket's metrics BytesPendingReplication and OperationsPendingReplication.",
                "Whether S3 has trouble in one of the two regions: https://health.aws.amazon.com.",
            ),
            (
                "A large upload or a migration at work passes by itself: wait for it.",
                "Hold back a planned `regionshift promote REGION` until it is green.",
                "If nothing moves: `regionshift drift` shows whether the rule or its role was changed by hand,"
                " `regionshift up --refresh` puts it back.",
            ),
        ),
        named.VALIDATE_ERRORS_ALARM.part: Runbook(
            "The function was asked to check its region and could not.",
            (
                "Which check failed: `regionshift validate --region REGION`.",
                "The log group of validations in the region.",
            ),
            (
                "Do what the failed check's remedy says.",
                "If something was changed by hand: `regionshift up --refresh`.",
                _LATER_GREEN,
            ),
        ),
        named.MIGRATE_ERRORS_ALARM.part: Runbook(
            "The function was asked to migrate and answered with an error. What was copied before is on record.",
            (
                "The migration's record: `regionshift status ID`; `regionshift history` names the ids.",
                "The log group of deployments in the region.",
            ),
            (
                "Fix the cause and continue with the same id: `regionshift migrate --id ID`.",
                "Or take it back: `regionshift rollback ID`.",
                _LATER_GREEN,
            ),
        ),
        named.ROLLBACK_ERRORS_ALARM.part: Runbook(
            "The function was asked to take a migration back and answered with an error. The target may hold both.",
            (
                "What could not be taken back: `regionshift status ID`.",
                "The log group of deployments in the region.",
            ),
            (
                "Fix the cause and run it again; it continues where it was: `regionshift rollback ID`.",
                _LATER_GREEN,
            ),
        ),
        _REPLICATION_FAILED: Runbook(
            "S3 gave up on replicating objects to the region in the alarm's name. They are missing there"
            " until somebody copies them.",
            (
                "Which objects: those whose ReplicationStatus is FAILED, `aws s3api head-object --bucket BUCKET"
                " --key KEY`.",
                "The replication role, the key and the bucket of the target: `regionshift drift`.",
            ),
            (
                "If a role, key or bucket was changed by hand: `regionshift up --refresh`.",
                "`regionshift validate` writes an object and waits for it to arrive.",
                "Copy the failed objects again, with S3 Batch Replication or by writing them anew.",
                "Do not promote that region before: `regionshift status`.",
            ),
        ),
    }
)  # fmt: skip


def runbook_of(alarm: str) -> tuple[str, Runbook] | None:
    """The runbook of an alarm, with the kind it is filed under; None when there is no such alarm.

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
