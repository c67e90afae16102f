"""The secrets of one region: the API calls, and the metadata that they return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from regionshift.carriers.carrier import DataLocation, VersionIdentity, date_of
from regionshift.carriers.named_values import (
    DENIED,
    ClientSource,
    NamedError,
    ThrottledError,
    UnclearError,
    Value,
    call,
    pages,
    tag_list,
    tags_of,
)

MOST_LABELS = 20
"""Labels on all versions of a secret together (AWS Secrets Manager User Guide, "AWS Secrets Manager quotas")."""

KEPT = 3
"""The newest migrations whose versions stay labelled, with the running one."""

MADE, BEFORE, PREVIOUS = "made", "before", "previous"
_A_MIGRATION = 3  # labels of one migration, one for each role
_OF_AWS = frozenset({"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"})
_BEGINNING = "regionshift/"
NOT_FOUND = "ResourceNotFoundException"
EXISTS = "ResourceExistsException"
CURRENT = "AWSCURRENT"


class Mark(NamedTuple):
    """A label of a migration, and the version that has it."""

    number: int
    migration_id: str
    label: str
    version: str


def stages_of(found: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Return the labels of each version, from the answer of DescribeSecret or ListSecrets."""
    return found.get("VersionIdsToStages") or found.get("SecretVersionsToStages") or {}


def marks(found: Mapping[str, Any]) -> list[Mark]:
    """Return the labels of all migrations, the oldest first. Labels without a number count as the oldest."""
    return sorted(
        Mark(_number(label), label.split("/")[1], label, version)
        for label, version in _labels(found)
        if is_ours(label)
    )


def of_migration(found: Mapping[str, Any], migration_id: str) -> list[Mark]:
    """Return the labels of one migration."""
    return [mark for mark in marks(found) if mark.migration_id == migration_id]


def name(found: Mapping[str, Any], migration_id: str, role: str) -> str:
    """Return the name of a migration's label for ``role`` on this secret."""
    own = of_migration(found, migration_id)
    number = own[-1].number if own else 1 + max((mark.number for mark in marks(found)), default=0)
    return f"{_BEGINNING}{migration_id}/{number}/{role}"


def in_the_way(found: Mapping[str, Any], migration_id: str) -> list[Mark]:
    """Return the labels of older migrations that must be removed before ``migration_id`` can add its labels.

    The labels of the newest migrations stay, within `KEPT` and AWS's limit.
    """
    others = [mark for mark in marks(found) if mark.migration_id != migration_id]
    ids = list(dict.fromkeys(mark.migration_id for mark in others))
    kept = set(ids[max(0, len(ids) - (KEPT - 1)) :])
    for oldest in ids:
        if sum(mark.migration_id in kept for mark in others) <= _room(found):
            break
        kept.discard(oldest)
    return [mark for mark in others if mark.migration_id not in kept]


def no_room(found: Mapping[str, Any]) -> str:
    """Return why no migration can label this secret; empty when one can."""
    if _room(found) >= 0:
        return ""
    return (
        f"it has {_of_others(found)} staging labels of your own at the target: a secret has {MOST_LABELS} at most, "
        f"and undo needs {_A_MIGRATION} besides AWS's own; remove some"
    )


def _room(found: Mapping[str, Any]) -> int:
    """Return how many labels are left for older migrations."""
    return MOST_LABELS - len(_OF_AWS) - _A_MIGRATION - _of_others(found)


def _of_others(found: Mapping[str, Any]) -> int:
    return sum(label not in _OF_AWS and not is_ours(label) for label, _ in _labels(found))


def _labels(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((label, version) for version, labels in stages_of(found).items() for label in labels)


def is_ours(label: str) -> bool:
    """Whether it is a label of a migration."""
    return label.startswith(_BEGINNING)


def _number(label: str) -> int:
    parts = label.split("/")
    return int(parts[2]) if len(parts) == 4 and parts[2].isdigit() else 0


def rotation(found: Mapping[str, Any]) -> str:
    """Return the rotation's schedule and its function (Secrets Manager API Reference, "RotationRulesType")."""
    rules = found.get("RotationRules") or {}
    words = []
    if rules.get("ScheduleExpression"):
        words.append(str(rules["ScheduleExpression"]))
    elif rules.get("AutomaticallyAfterDays"):
        words.append(f"every {rules['AutomaticallyAfterDays']} days")
    if rules.get("Duration"):
        words.append(f"within {rules['Duration']}")
    if found.get("RotationLambdaARN"):
        words.append(f"by {found['RotationLambdaARN'].rpartition(':')[2]}")
    elif found.get("OwningService"):
        words.append(f"by {found['OwningService']}")
    return ", ".join(words) or "no rules given"


class Vault:
    """The secrets of one region with one prefix."""

    def __init__(self, clients: ClientSource, place: DataLocation) -> None:
        self._client = clients("secretsmanager", place.region)
        self._prefix = place.prefix
        self.region = place.region

    def listing(self) -> Iterator[dict[str, Any]]:
        """Yield the metadata of each secret, also of those that are scheduled for deletion."""
        given: dict[str, Any] = {"IncludePlannedDeletion": True}
        if self._prefix:
            given["Filters"] = [{"Key": "name", "Values": [self._prefix]}]
        for found in pages(self._client.list_secrets, "SecretList", **given):
            if found["Name"].startswith(self._prefix):
                yield found

    def described(self, key: str) -> dict[str, Any] | None:
        """Return one secret's metadata, or None."""
        try:
            found: dict[str, Any] = call(self._client.describe_secret, SecretId=self._prefix + key)
        except NamedError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return found

    def policy(self, key: str) -> str:
        """Return a plan's remark on the secret's resource policy; empty when there is no policy or no secret.

        Raises:
            ThrottledError: Secrets Manager throttles.
        """
        try:
            found = call(self._client.get_resource_policy, SecretId=self._prefix + key)
        except ThrottledError:
            raise
        except NamedError as error:
            if error.code == NOT_FOUND:  # a deleted secret fails when it is copied
                return ""
            why = "no permission to look" if error.code in DENIED else str(error)
            return f"resource policy: {why}"
        return "resource policy" if found.get("ResourcePolicy") else ""

    def value(self, key: str, version: str) -> Value:
        """Return the value of one version."""
        answer = call(self._client.get_secret_value, SecretId=self._prefix + key, VersionId=version)
        return Value(answer.get("SecretString"), answer.get("SecretBinary"))

    def create(self, key: str, tags: Mapping[str, str], kms_key: str | None) -> None:
        """Create a secret without a value, so that we can choose the id of its first version."""
        given = {"KmsKeyId": kms_key} if kms_key else {}
        call(self._client.create_secret, Name=self._prefix + key, Tags=tag_list(tags), **given)

    def put(self, key: str, token: str, value: Value) -> None:
        """Write a new current version."""
        call(
            self._client.put_secret_value,
            SecretId=self._prefix + key,
            ClientRequestToken=token,
            **_value(value),
        )

    def describe(self, key: str, found: Mapping[str, Any], description: str, kms_key: str | None) -> None:
        """Set description and key, where they differ from the metadata ``found``.

        Args:
            kms_key: empty for the AWS managed key, as in UpdateSecret and DescribeSecret; None: no change.
        """
        given: dict[str, str] = {}
        if found.get("Description", "") != description:
            given["Description"] = description
        if kms_key is not None and found.get("KmsKeyId", "") != kms_key:
            given["KmsKeyId"] = kms_key
        if given:
            call(self._client.update_secret, SecretId=self._prefix + key, **given)

    def set_tags(self, key: str, found: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Set exactly these tags, where they differ from the metadata ``found``."""
        present = tags_of(found.get("Tags"))
        gone = sorted(set(present) - set(tags))
        if gone:
            call(self._client.untag_resource, SecretId=self._prefix + key, TagKeys=gone)
        if tags and dict(tags) != present:
            call(self._client.tag_resource, SecretId=self._prefix + key, Tags=tag_list(tags))

    def mark(self, key: str, migration_id: str, role: str, version: str) -> None:
        """Put a migration's label on a version."""
        self.label(key, name(self.described(key) or {}, migration_id, role), version)

    def label(self, key: str, label: str, version: str) -> None:
        """Put a label on a version. Idempotent."""
        if staged(self.described(key) or {}, label) != version:
            self._stage(key, label, MoveToVersionId=version)

    def unlabel(self, key: str, label: str) -> None:
        """Remove a label from the version that has it."""
        version = staged(self.described(key) or {}, label)
        if version:
            self._stage(key, label, RemoveFromVersionId=version)

    def move(self, key: str, label: str, version: str, previous: str) -> None:
        """Move a label from one version to another."""
        self._stage(key, label, MoveToVersionId=version, RemoveFromVersionId=previous)

    def delete(self, key: str) -> None:
        """Delete a secret at once. Only for secrets that a migration created; the source still has them."""
        call(self._client.delete_secret, SecretId=self._prefix + key, ForceDeleteWithoutRecovery=True)

    def _stage(self, key: str, label: str, **moves: str) -> None:
        try:
            call(
                self._client.update_secret_version_stage,
                SecretId=self._prefix + key,
                VersionStage=label,
                **moves,
            )
        except (ThrottledError, UnclearError):
            raise
        except NamedError:
            # A repeated request is refused when the first one moved the label but its answer was lost.
            if staged(self.described(key) or {}, label) != moves.get("MoveToVersionId"):
                raise


def staged(found: Mapping[str, Any], label: str) -> str | None:
    """Return the version that has ``label``."""
    return next((version for version, labels in stages_of(found).items() if label in labels), None)


def created(found: Mapping[str, Any]) -> str:
    """Return when the secret was created. It tells a re-created secret from the earlier one of the same name."""
    moment = found.get("CreatedDate")
    return date_of(moment) if moment else ""


def changed(found: Mapping[str, Any]) -> str:
    """Return the secret's last change, also of labels and tags: DescribeSecret has no dates of versions."""
    moment = found.get("LastChangedDate") or found.get("CreatedDate")
    return date_of(moment) if moment else ""


def replica_regions(found: Mapping[str, Any]) -> list[str]:
    """Return the regions of its replicas. Secrets Manager deletes no secret that has replicas.

    User Guide, "Delete an AWS Secrets Manager secret".
    """
    return sorted(str(replica["Region"]) for replica in found.get("ReplicationStatus") or ())


def not_carried(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the properties of a secret that are not carried (Secrets Manager API Reference, "DescribeSecret")."""
    if found.get("RotationEnabled"):
        yield "rotation"
    if replica_regions(found):
        yield "replication to other regions"
    own = (label for labels in stages_of(found).values() for label in labels if not is_ours(label))
    if any(label != CURRENT for label in own):
        yield "earlier versions and labels"


def identity_of(found: Mapping[str, Any]) -> VersionIdentity | None:
    """Return the current version; None when the secret has no value."""
    version = staged(found, CURRENT)
    return VersionIdentity(version, created(found)) if version else None


def _value(value: Value) -> dict[str, Any]:
    return {"SecretString": value.text} if value.binary is None else {"SecretBinary": value.binary}
