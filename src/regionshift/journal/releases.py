"""The kept releases of an environment: those that regions run, and those that they may go back to.

``releases/<environment>/<digest>.json`` holds a release, with its secrets encrypted.
``artifacts/<environment>/<sha256>.zip`` holds the bytes of its function. Releases with the same bytes share it.
A release is sealed with the state's key. Without the key, nobody can have another zip deployed by writing to the state.
Writers hold the environment's lock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretBytes, SecretStr, ValidationError

from regionshift import __version__
from regionshift.errors import InputError, Refused
from regionshift.journal.sealing import SecretKey
from regionshift.journal.store import KeyTakenError, StateDamaged, StateStore
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Artifact, Release, SecretValue, config_of, digest_of

VERSION = 1
_SHORTEST = 6
_SHOWN = 12
CHANGED = "(changed)"
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One value that differs: its path (``config.function.memory``), and the values before and after.

    None stands for a missing value. A secret is shown as ``(changed)``, never as a value.
    """

    path: str
    before: object
    after: object

    def to_json(self) -> dict[str, object]:
        """The difference as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ReleaseRecord:
    """A kept release without its secrets.

    Args:
        content: everything that a region runs, with one keyed digest of the secrets. difference: to the release before.
        secret_digests: a keyed digest of each secret. program: the digest of the Pulumi program that made it.
    """

    digest: str
    at: datetime
    by: str
    program: str
    previous: str | None
    difference: tuple[Difference, ...]
    content: Mapping[str, object]
    secret_digests: Mapping[str, str]
    sealed: Mapping[str, str]
    seal: str = ""

    @property
    def artifact(self) -> str:
        """SHA-256 (hex) of the function's zip."""
        return str(self.content["artifact"])

    @property
    def tool_version(self) -> str:
        """The version of regionshift that made it."""
        return str(self.content["tool"])

    @property
    def plugin_version(self) -> str:
        """The version of its provider plugin."""
        return str(self.content["plugin"])


class ReleaseStore:
    """The releases of one environment. ``key`` seals their secrets."""

    def __init__(self, store: StateStore, environment: str, key: SecretKey) -> None:
        self._store = store
        self._key = key
        self._folder = f"releases/{environment}"
        self._artifacts = f"artifacts/{environment}"

    def record(
        self, release: Release, *, at: datetime, by: str, program: str, previous: str | None = None
    ) -> ReleaseRecord:
        """Keep a release with its secrets and its artifact. One that is kept and sealed already does not change."""
        digest = release.digest
        kept = self._read(digest)
        if kept is not None and self._is_ours(kept):
            self._keep_artifact(release.artifact)
            return kept
        secrets = {name: value.get_secret_value() for name, value in release.secrets.items()}
        digests = {name: self._key.digest(name, value) for name, value in secrets.items()}
        before = self._read(previous) if previous else None
        record = ReleaseRecord(
            digest=digest,
            at=at,
            by=by,
            program=program,
            previous=previous,
            difference=_differences(before, release.content, digests) if before else (),
            content=release.content,
            secret_digests=digests,
            sealed={name: self._key.seal(value, f"{digest}/{name}") for name, value in secrets.items()},
        )
        record = replace(record, seal=self._seal(record))
        self._keep_artifact(release.artifact)
        if kept is not None:
            # The kept one is from an earlier version, or from somebody else. This one was made here and now.
            self._store.put(self._name(digest), _encode(record))
            return record
        try:
            self._store.create(self._name(digest), _encode(record))
        except KeyTakenError:
            return self.find(digest)
        return record

    def kept(self) -> list[ReleaseRecord]:
        """Every kept release, the newest first."""
        bodies = self._store.get_many(self._store.keys(self._folder))
        records = [_decode(body, f"{self._store.url}/{key}") for key, body in bodies.items()]
        return sorted(records, key=lambda record: (record.at, record.digest), reverse=True)

    def find(self, digest: str) -> ReleaseRecord:
        """The kept release with this digest, or with the only digest that begins so (at least six characters).

        Raises:
            InputError: there is none, or more than one.
            StateDamaged: its record was changed.
        """
        if len(digest) < _SHORTEST:
            raise InputError(
                f"{digest!r} is too short to name a release: give {_SHORTEST} characters or more",
                remedy="see: regionshift releases",
                error_id="RS-RELEASE-001",
            )
        digest = digest.lower()
        names = (key.rpartition("/")[2].removesuffix(".json") for key in self._store.keys(self._folder))
        fitting = [name for name in names if name.startswith(digest)]
        record = self._read(fitting[0]) if len(fitting) == 1 else None
        if record is None:
            several = ", ".join(name[: len(digest) + _SHORTEST] for name in fitting)
            said = f"more than one release begins with {digest}: {several}"
            raise InputError(
                said if fitting else f"no release is kept that begins with {digest}",
                where=self._store.url,
                remedy="give more of it" if fitting else "see: regionshift releases",
                error_id="RS-RELEASE-001",
            )
        return record

    def load(self, digest: str, current: MigrationConfig, cache: Path, program: str) -> Release:
        """A kept release, ready to apply: settings checked again, secrets decrypted, artifact in ``cache``.

        Args:
            current: today's settings, for what is not part of a release (target, state, waves).
            program: the digest of today's Pulumi program.

        Raises:
            Refused: it is no longer kept, or the program or the settings changed. The error names the version that is
                needed.
            StateDamaged: the record, the secrets or the artifact were changed, or written without the state's key.
        """
        record = self._read(digest)
        if record is None:
            raise Refused(
                f"release {digest[:_SHOWN]} is no longer kept, so no region can go back to it",
                where=self._store.url,
                remedy="`regionshift releases` lists those that are; `deployment.keep_releases` and"
                " `deployment.keep_days` say which",
                error_id="RS-RELEASE-002",
            )
        if record.program != program:
            raise _needs_version(
                record, f"it was made for program {record.program[:12]}, and this is program {program[:12]}"
            )
        if not self._is_ours(record):
            raise StateDamaged(
                f"release {digest[:_SHOWN]} was not sealed with this state's key for this environment",
                where=f"{self._store.url}/{self._name(digest)}",
                remedy="use the state's own key (of `state_secrets`, or .regionshift/state.key);"
                " if it is that, look who else can write there; `regionshift up` makes one that is sealed",
            )
        artifact = Artifact(self._fetch(record.artifact, cache), record.artifact)
        zones = record.content["zones"]
        if not isinstance(zones, dict):
            raise _damaged(self._name(record.digest), "zones")
        try:
            config = config_of(record.content, current)
        except (ValidationError, TypeError) as error:
            raise _needs_version(record, "its settings do not fit this version") from error
        release = Release(
            config=config,
            artifact=artifact,
            zones={region: tuple(names) for region, names in zones.items()},
            secrets={
                name: _hidden(self._key.open(sealed, f"{record.digest}/{name}"))
                for name, sealed in record.sealed.items()
            },
            secrets_digest=str(record.content["secrets"]),
            tool_version=record.tool_version,
            plugin_version=record.plugin_version,
            program=str(record.content.get("program", "")),
        )
        if release.digest != record.digest:
            raise _needs_version(record, "this version reads its settings otherwise")
        return release

    def diff(self, one: str, other: str) -> tuple[Difference, ...]:
        """The differences between two kept releases. Raises as :meth:`find`."""
        after = self.find(other)
        return _differences(self.find(one), after.content, after.secret_digests)

    def prune(
        self, *, keep: int, older_than: timedelta, in_use: Collection[str], now: datetime
    ) -> list[ReleaseRecord]:
        """Remove the releases that :func:`to_prune` names, and the artifacts that no release needs any more."""
        records = self.kept()
        going = to_prune(records, keep=keep, older_than=older_than, in_use=in_use, now=now)
        gone = {record.digest for record in going}
        self._store.delete(self._name(digest) for digest in sorted(gone))
        needed = {
            f"{self._artifacts}/{record.artifact}.zip" for record in records if record.digest not in gone
        }
        self._store.delete(key for key in self._store.keys(self._artifacts) if key not in needed)
        return going

    def _keep_artifact(self, artifact: Artifact) -> None:
        body = artifact.path.read_bytes()
        if hashlib.sha256(body).hexdigest() != artifact.sha256:
            raise _damaged(str(artifact.path), "the artifact changed after it was built")
        try:
            self._store.create(f"{self._artifacts}/{artifact.sha256}.zip", body)
        except KeyTakenError:
            return  # content addressed: it is the same

    def _fetch(self, sha256: str, cache: Path) -> Path:
        path = cache / f"{sha256}.zip"
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
        name = f"{self._artifacts}/{sha256}.zip"
        stored = self._store.get(name)
        if stored is None or hashlib.sha256(stored.body).hexdigest() != sha256:
            raise _damaged(f"{self._store.url}/{name}", "missing" if stored is None else "other bytes")
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = cache / f".{sha256}.{uuid.uuid4().hex}"
        aside.write_bytes(stored.body)
        os.replace(aside, path)  # noqa: PTH105 - readers of the cache never see half a file
        return path

    def _read(self, digest: str) -> ReleaseRecord | None:
        stored = self._store.get(self._name(digest))
        return _decode(stored.body, f"{self._store.url}/{self._name(digest)}") if stored else None

    def _is_ours(self, record: ReleaseRecord) -> bool:
        return hmac.compare_digest(record.seal.encode(), self._seal(record).encode())

    def _seal(self, record: ReleaseRecord) -> str:
        content = json.dumps(_content(record), sort_keys=True, separators=(",", ":"))
        return self._key.mac(self._folder, record.digest, content)

    def _name(self, digest: str) -> str:
        return f"{self._folder}/{digest}.json"


def _hidden(value: str | bytes) -> SecretValue:
    return SecretStr(value) if isinstance(value, str) else SecretBytes(value)


def to_prune(
    records: Collection[ReleaseRecord],
    *,
    keep: int,
    older_than: timedelta,
    in_use: Collection[str],
    now: datetime,
) -> list[ReleaseRecord]:
    """The releases that may be removed: not among the newest ``keep``, older than ``older_than``, and not in use.

    ``in_use``: the digests that regions run, or that an open deployment comes from or goes to.
    """
    newest_first = sorted(records, key=lambda record: (record.at, record.digest), reverse=True)
    return [
        record
        for record in newest_first[max(keep, 0) :]
        if now - record.at > older_than and record.digest not in in_use
    ]


def _differences(
    before: ReleaseRecord, content: Mapping[str, object], digests: Mapping[str, str]
) -> tuple[Difference, ...]:
    return differences(before.content, content, before.secret_digests, digests)


def differences(
    before: Mapping[str, object],
    after: Mapping[str, object],
    secrets_before: Mapping[str, str],
    secrets_after: Mapping[str, str],
) -> tuple[Difference, ...]:
    """The differences between the contents of two releases, and between the keyed digests of their secrets."""
    plain = _walk("", _without_digest(before), _without_digest(after))
    return (*plain, *_secret_differences(secrets_before, secrets_after))


def _without_digest(content: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != "secrets"}


def _walk(path: str, before: object, after: object) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            yield from _walk(inner, before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif before != after:
        yield Difference(path, _shown(before), _shown(after))


def _shown(value: object) -> object:
    return None if value is _ABSENT else value


def _secret_differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            was, now = (CHANGED if name in digests else None for digests in (before, after))
            yield Difference(f"secrets.{name}", was, now)


def _encode(record: ReleaseRecord) -> bytes:
    return json.dumps({**_content(record), "seal": record.seal}, indent=1, sort_keys=True).encode()


def _content(record: ReleaseRecord) -> dict[str, object]:
    """Everything that is kept of a release, except its seal."""
    content = {**vars(record), "at": record.at.isoformat(), "version": VERSION}
    del content["seal"]
    return content | {"difference": [difference.to_json() for difference in record.difference]}


def _decode(body: bytes, where: str) -> ReleaseRecord:
    try:
        content = json.loads(body)
        record = ReleaseRecord(
            digest=str(content["digest"]),
            at=datetime.fromisoformat(content["at"]),
            by=str(content["by"]),
            program=str(content["program"]),
            previous=content["previous"],
            difference=tuple(Difference(d["path"], d["before"], d["after"]) for d in content["difference"]),
            content=dict(content["content"]),
            secret_digests=dict(content["secret_digests"]),
            sealed=dict(content["sealed"]),
            seal=str(content.get("seal", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(where, type(error).__name__) from error
    if digest_of(record.content) != record.digest or record.digest not in where:
        raise _damaged(where, "its digest does not fit")
    return record


def _damaged(where: str, why: str) -> StateDamaged:
    return StateDamaged(
        f"a release is not what was written ({why})",
        where=where,
        remedy="restore it from a backup or an older version of the object",
    )


def _needs_version(record: ReleaseRecord, why: str) -> Refused:
    version = record.tool_version
    build = (
        f"another build of it, that of {record.at:%Y-%m-%d}" if version == __version__ else f"it ({version})"
    )
    return Refused(
        f"release {record.digest[:_SHOWN]} needs regionshift {version}: {why}",
        where=record.digest,
        remedy=f"run the same command with {build}",
        error_id="RS-STATE-006",
    )
