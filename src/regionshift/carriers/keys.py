"""KMS keys of the target's region: which of them a migration may use."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from regionshift.carriers.carrier import Entry
from regionshift.carriers.named_values import ClientSource
from regionshift.errors import InputError

_OF_AWS = "alias/aws/"


class Keys:
    """Checks KMS keys for one entry. Without ``entry.keys``, every key passes."""

    def __init__(self, clients: ClientSource, entry: Entry) -> None:
        self._clients = clients
        self._region = entry.target.region
        self._own = entry.kms_key
        usable = (entry.kms_key, *entry.keys) if entry.keys else ()
        self._usable = frozenset(name for name in usable if name)
        self._known: dict[str, str] = {}

    def require(self) -> None:
        """Check that the entry's own key exists.

        Raises:
            InputError: it does not.
        """
        if not self._usable or not self._own or _is_of_aws(self._own):
            return
        try:
            self._describe(self._own)
        except ClientError as error:
            _require_answer(error)
            # A caller without kms:DescribeKey can still be allowed to use the key.
            if error.response["Error"]["Code"] == "NotFoundException":
                raise InputError(
                    f"The key {self._own} is not there.",
                    where=self._region,
                    remedy="Name a key of this region as kms_key, or make one with this alias.",
                    error_id="RS-CARRY-004",
                ) from error

    def why_unusable(self, name: str | None) -> str:
        """Return why the key ``name`` cannot be used for copies and their undo; empty when it can.

        Args:
            name: id, ARN or alias, as AWS returns it. None means the AWS managed key of the service, which everybody
                in the account may use through the service (KMS Developer Guide, "AWS managed keys").
        """
        if not self._usable or not name or _is_of_aws(name) or name in self._usable:
            return ""
        if self._meant(name) in {self._meant(usable) for usable in self._usable} or self._is_managed(name):
            return ""
        return f"the key {name}, for which the migration has no rights: name it as kms_key under `carry`"

    def _meant(self, name: str) -> str:
        """Return the id of a key; the name itself where KMS does not answer."""
        if ":alias/" not in name and not name.startswith("alias/"):
            return name.rpartition("key/")[2]
        if name not in self._known:
            try:
                self._known[name] = str(self._describe(name)["KeyId"])
            except ClientError as error:
                _require_answer(error)
                self._known[name] = name  # missing, or no permission: not one of our keys
        return self._known[name]

    def _is_managed(self, name: str) -> bool:
        """Whether AWS manages the key, named by its id."""
        try:
            return self._describe(name).get("KeyManager") == "AWS"
        except ClientError as error:
            _require_answer(error)
            return False  # missing, or no permission: we cannot use it

    def _describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._clients("kms", self._region).describe_key(KeyId=name)["KeyMetadata"]
        return found


def _require_answer(error: ClientError) -> None:
    """Raise ``error`` again when it is a fault of KMS, which says nothing about the key.

    KMS API Reference, "Common Errors": faults have status 5xx.
    """
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        raise error


def _is_of_aws(name: str) -> bool:
    return _OF_AWS in name
