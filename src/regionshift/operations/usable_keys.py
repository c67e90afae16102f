"""Keys that cannot be used now: disabled, or waiting for their deletion. A run that needs one fails half way.

It looks at the environment's own keys, those that `carry` names and the one of `state_secrets` (KMS Developer Guide,
"Key states of AWS KMS keys").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.aws.resource_finders import KEY_WAITS
from regionshift.report.values import Finding
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.state_url import parse_key_url

UNKNOWN = "key-unknown"
"""The code of a finding: whether a key can be used cannot be seen."""
_AT_ONCE = 8


@dataclass(frozen=True)
class NamedKey:
    """A key by alias, id or ARN, its region, and the setting that names it."""

    key: str
    region: str
    named_by: str


def keys_of(config: MigrationConfig, regions: Sequence[str]) -> list[NamedKey]:
    """Every key that the environment uses in ``regions``, each once, and the key of the state in any region."""
    found = [key for region in regions for key in _keys_in(config, region)]
    state = parse_key_url(config.state_secrets)
    if state is not None:
        found.append(NamedKey(state.key, state.region or config.regions.primary, "state_secrets"))
    return list({(each.key, each.region): each for each in reversed(found)}.values())[::-1]


def _keys_in(config: MigrationConfig, region: str) -> Iterator[NamedKey]:
    for component in (named.KEY, named.RECORDS_KEY):
        yield NamedKey(component.name(config.names, region), region, "the environment itself")
    for kind, entries in config.carry.by_kind.items():
        for number, entry in enumerate(entries):
            if entry.kms_key is not None:
                key = entry.kms_key.replace("{region}", region)
                # An ARN has the key's region. A key of another region is not used here.
                if not key.startswith("arn:") or key.split(":")[3] == region:
                    yield NamedKey(key, region, f"carry.{kind}[{number}].kms_key")


@dataclass(frozen=True)
class Unusable:
    """A key that cannot be used: its ``KeyState``, and the date of its deletion, if there is one."""

    key: NamedKey
    state: str
    until: datetime | None

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d}" if self.until else ""
        why = f"waits for its deletion{until}" if self._waits else f"is not enabled ({self.state})"
        return f"the key {self.key.key}, named by {self.key.named_by}, {why}"

    @property
    def remedy(self) -> str:
        """The commands that make it usable again. They do not accept an alias (KMS API Reference)."""
        which = f"--region {self.key.region} --key-id ID"
        back = f"aws kms cancel-key-deletion {which}, then " if self._waits else ""
        tells = f"`aws kms describe-key` tells the ID of {self.key.key}"
        return f"{back}aws kms enable-key {which} ({tells}); or name another key"

    @property
    def _waits(self) -> bool:
        return self.state in KEY_WAITS


def unusable(clients: Clients, key: NamedKey) -> Unusable | None:
    """Why ``key`` cannot be used; None when it can be, or does not exist yet.

    Raises:
        AwsFailed: it cannot be asked.
    """
    try:
        found = clients.call(key.region, "kms", "describe_key", KeyId=key.key)["KeyMetadata"]
    except AwsFailed as error:
        if error.code == "NotFoundException":
            return None  # the environment's own key is not made yet; a missing other key is reported where it is used
        raise
    state = found["KeyState"]
    return None if state == "Enabled" else Unusable(key, state, found.get("DeletionDate"))


def key_findings(clients: Clients, config: MigrationConfig, regions: Sequence[str]) -> list[Finding]:
    """An error for each key that cannot be used, a warning for each that cannot be asked about."""

    def ask(key: NamedKey) -> Finding | None:
        try:
            why = unusable(clients, key)
        except AwsFailed as error:
            message = f"it cannot be seen whether the key {key.key} can be used: {error.message}"
            return Finding(UNKNOWN, "warning", message, key.region, error.remedy or "allow kms:DescribeKey")
        return None if why is None else Finding("key", "error", str(why), key.region, why.remedy)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [finding for finding in pool.map(ask, keys_of(config, regions)) if finding]
