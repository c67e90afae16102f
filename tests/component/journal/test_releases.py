"""Releases on both backends: what is kept comes back whole, secrets stay secret, nothing in use goes."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretBytes, SecretStr

from regionshift.aws.clients import Clients
from regionshift.errors import InputError, Refused
from regionshift.infrastructure.operator_rights import statements_of
from regionshift.journal.backends import FileStore
from regionshift.journal.events import Kind
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, ReleaseStore
from regionshift.journal.sealing import SecretKey, key_file, key_from_kms
from regionshift.journal.store import StateDamaged, StateStore
from regionshift.operations.waves.deploying import prune
from regionshift.releases import ReleaseCatalog
from regionshift.settings.components import PipelineRole
from regionshift.settings.config import Deployment, MigrationConfig
from regionshift.settings.release import Artifact, Release, SecretValue, digest_of

KEY = SecretKey(b"k" * 32)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MakeRelease = Callable[..., Release]


def config(memory: int = 512, target: str = "local") -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "123456789012",
            "target": target,
            "regions": {"primary": "eu-central-1", "secondaries": ["eu-west-1"]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            "function": {"memory": memory},
        }
    )


@pytest.fixture
def make(tmp_path: Path) -> MakeRelease:
    def release(memory: int = 512, body: bytes = b"zip", **secrets: str | bytes) -> Release:
        sha256 = hashlib.sha256(body).hexdigest()
        path = tmp_path / f"{sha256}.built"
        path.write_bytes(body)
        values: dict[str, SecretValue] = {
            name: SecretStr(value) if isinstance(value, str) else SecretBytes(value)
            for name, value in secrets.items()
        }
        return Release(
            config=config(memory),
            artifact=Artifact(path, sha256),
            zones={"eu-central-1": ("eu-central-1a",), "eu-west-1": ("eu-west-1a", "eu-west-1b")},
            secrets=values,
            secrets_digest=KEY.digest_all(values),
            tool_version="0.1.0",
            plugin_version="7.51.0",
        )

    return release


@pytest.fixture
def releases(store: StateStore) -> ReleaseStore:
    return ReleaseStore(store, "shop.dev", KEY)


def keep(
    releases: ReleaseStore, release: Release, day: int = 0, previous: str | None = None
) -> ReleaseRecord:
    at = NOW - timedelta(days=day)
    return releases.record(release, at=at, by="ann", program="p1", previous=previous)


def test_a_release_comes_back_as_it_was(releases: ReleaseStore, make: MakeRelease, tmp_path: Path) -> None:
    release = make(memory=1024, password="hunter2", token="t")
    keep(releases, release)
    loaded = releases.load(release.digest, config(target="aws"), tmp_path / "cache", "p1")
    assert loaded.digest == release.digest
    assert loaded.secrets == release.secrets
    assert loaded.zones == release.zones
    assert loaded.config.function.memory == 1024
    assert loaded.config.target == "aws"
    assert loaded.artifact.path.read_bytes() == b"zip"
    loaded.artifact.path.write_bytes(b"spoilt")
    again = releases.load(release.digest, config(), tmp_path / "cache", "p1")
    assert again.artifact.path.read_bytes() == b"zip"


def test_bytes_come_back_as_bytes_and_are_no_text_of_the_same_letters(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    release = make(key=b"\xff\x00\r\n", ascii=b"hunter2", text="hunter2\r\n")
    keep(releases, release)
    loaded = releases.load(release.digest, config(), tmp_path / "cache", "p1")
    assert loaded.secrets == release.secrets
    assert b"hunter2" not in b"".join(store.get_many(store.keys("releases")).values())
    binary, text = make(key=b"hunter2"), make(key="hunter2")
    assert binary.secrets_digest != text.secrets_digest
    assert KEY.digest("key", b"hunter2") != KEY.digest("key", "aHVudGVyMg==")
    assert binary.secrets_digest == make(key=b"hunter2").secrets_digest


def test_secrets_are_nowhere_in_the_clear_nor_guessable(
    store: StateStore, releases: ReleaseStore, make: MakeRelease
) -> None:
    release = make(password="hunter2")
    record = keep(releases, release)
    kept = b"".join(store.get_many(store.keys("releases")).values())
    assert b"hunter2" not in kept
    for plain in (b"hunter2", b"passwordhunter2", b"password=hunter2"):
        assert hashlib.sha256(plain).hexdigest().encode() not in kept
    assert SecretKey(b"x" * 32).digest("password", "hunter2") != record.secret_digests["password"]
    assert "hunter2" not in repr(record) + repr(release) + repr(KEY)


def test_the_difference_tells_values_but_never_secrets(releases: ReleaseStore, make: MakeRelease) -> None:
    first = keep(releases, make(password="one", gone="x"), day=1)
    second = keep(releases, make(memory=1024, body=b"new", password="two", added="y"), previous=first.digest)
    told = {d.path: (d.before, d.after) for d in second.difference}
    assert told == {
        "artifact": (first.artifact, second.artifact),
        "config.function.memory": (512, 1024),
        "secrets.added": (None, "(changed)"),
        "secrets.gone": ("(changed)", None),
        "secrets.password": ("(changed)", "(changed)"),
    }
    assert releases.diff(first.digest, second.digest) == second.difference
    assert releases.diff(second.digest, second.digest) == ()


def test_the_same_release_is_kept_once(releases: ReleaseStore, make: MakeRelease) -> None:
    first = keep(releases, make(), day=3)
    assert keep(releases, make()) == first
    assert releases.kept() == [first]


def test_a_release_is_found_by_how_its_digest_begins(releases: ReleaseStore, make: MakeRelease) -> None:
    record = keep(releases, make())
    assert releases.find(record.digest[:8]) == record
    assert releases.find(record.digest[:8].upper()) == record
    for name in ("ffff", "0" * 64, "../../keys"):
        with pytest.raises(InputError):
            releases.find(name)


def test_two_releases_that_begin_alike_are_told_with_more_of_each(
    store: StateStore, releases: ReleaseStore, make: MakeRelease
) -> None:
    digest = keep(releases, make()).digest
    twin = f"{digest[:8]}{'0' * 56}"
    store.put(f"releases/shop.dev/{twin}.json", b"")
    with pytest.raises(InputError, match=f"more than one .*{digest[:14]}.*") as raised:
        releases.find(digest[:8])
    assert twin[:14] in raised.value.message
    assert raised.value.remedy == "give more of it"


def test_a_release_that_was_removed_cannot_be_brought_back(
    releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    record = keep(releases, make())
    releases.prune(keep=0, older_than=timedelta(0), in_use=(), now=NOW + timedelta(days=1))
    with pytest.raises(Refused, match="no longer kept"):
        releases.load(record.digest, config(), tmp_path, "p1")


def test_another_program_says_which_version_it_needs(
    releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    record = keep(releases, make())
    with pytest.raises(Refused, match=r"needs regionshift 0\.1\.0"):
        releases.load(record.digest, config(), tmp_path, "p2")


def test_damage_is_noticed(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    record = keep(releases, make(password="hunter2"))
    name, artifact = store.keys("releases")[0], store.keys("artifacts")[0]
    whole = store.get(name)
    assert whole is not None
    with pytest.raises(StateDamaged, match="decrypted"):
        SecretKey(b"x" * 32).open(record.sealed["password"], f"{record.digest}/password")
    with pytest.raises(StateDamaged, match="not sealed with this state's key"):
        ReleaseStore(store, "shop.dev", SecretKey(b"x" * 32)).load(
            record.digest, config(), tmp_path / "a", "p1"
        )
    store.put(artifact, b"other")
    with pytest.raises(StateDamaged):
        releases.load(record.digest, config(), tmp_path / "b", "p1")
    store.delete([artifact])
    with pytest.raises(StateDamaged, match="missing"):
        releases.load(record.digest, config(), tmp_path / "b", "p1")
    store.put(name, whole.body.replace(b'"memory": 512', b'"memory": 513'))
    with pytest.raises(StateDamaged, match="digest"):
        releases.find(record.digest)
    store.put(name, whole.body[:-20])
    with pytest.raises(StateDamaged):
        releases.kept()
    store.put(name, whole.body)
    store.put(f"{name.rpartition('/')[0]}/{'0' * 64}.json", whole.body)
    with pytest.raises(StateDamaged, match="digest"):
        releases.load("0" * 64, config(), tmp_path / "b", "p1")


def test_an_artifact_that_changed_after_it_was_built_is_not_kept(
    store: StateStore, releases: ReleaseStore, make: MakeRelease
) -> None:
    release = make()
    release.artifact.path.write_bytes(b"other")
    with pytest.raises(StateDamaged, match="after it was built"):
        keep(releases, release)
    assert store.keys("artifacts") == store.keys("releases") == []


def test_pruning_keeps_the_newest_the_young_and_what_is_in_use(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    ages = {100: b"a", 90: b"b", 80: b"a", 40: b"c", 5: b"d", 0: b"a"}
    records = [keep(releases, make(memory=512 + day, body=body), day) for day, body in ages.items()]
    gone = releases.prune(keep=2, older_than=timedelta(days=30), in_use=[records[0].digest], now=NOW)
    assert gone == [records[3], records[2], records[1]]
    assert releases.kept() == [records[5], records[4], records[0]]
    kept = {key.rpartition("/")[2] for key in store.keys("artifacts")}
    assert kept == {f"{hashlib.sha256(body).hexdigest()}.zip" for body in (b"a", b"d")}
    for record in releases.kept():
        releases.load(record.digest, config(), tmp_path / "cache", "p1")


def test_pruning_leaves_another_environments_releases_alone(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    others = [ReleaseStore(store, name, KEY) for name in ("shop.dev2", "shop.de", "shop.dev-2")]
    for each in (releases, *others):
        keep(each, make(), 90)
    releases.prune(keep=0, older_than=timedelta(0), in_use=(), now=NOW)
    assert releases.kept() == []
    for each in others:
        (record,) = each.kept()
        assert each.load(record.digest, config(), tmp_path / "cache", "p1").artifact.path.exists()


@pytest.mark.parametrize("kind", ["deployment", "rollback", "promotion", "move"])
def test_nothing_is_pruned_while_a_run_that_works_on_releases_is_open(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path, kind: Kind
) -> None:
    record = keep(releases, make(), 90)
    keep(releases, make(memory=1024), 80)
    current = config().model_copy(update={"deployment": Deployment(keep_releases=1)})
    catalog = ReleaseCatalog(releases, current, tmp_path / "cache", "ann", lambda: NOW, "p1")
    journal = Journal(store, "shop.dev", lambda: NOW)
    run = journal.start(kind, {"plan": {"before": {}, "target": {}}})
    assert prune(journal, catalog) == []
    run.close("failed", failed=True)
    assert prune(journal, catalog) == [record]


def test_what_the_newest_deployment_came_from_is_kept(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    """Also a release that was made long ago and was run again: taking the newest deployment back needs it."""
    long_ago, other, newest = (keep(releases, make(memory=512 + day), day) for day in (90, 80, 0))
    current = config().model_copy(update={"deployment": Deployment(keep_releases=1)})
    catalog = ReleaseCatalog(releases, current, tmp_path / "cache", "ann", lambda: NOW, "p1")
    journal = Journal(store, "shop.dev", lambda: NOW)
    plan = {"before": {"eu-west-1": long_ago.digest}, "target": {"eu-west-1": newest.digest}}
    run = journal.start("deployment", {"plan": plan, "links": long_ago.digest})
    region = {"release": newest.digest, "settled": True, "note": ""}
    run.close("succeeded", {"regions": {"eu-west-1": region}, "links": newest.digest})
    assert prune(journal, catalog) == [other]
    assert releases.kept() == [newest, long_ago]


def test_the_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key_file(path).read_text(), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 43  # 32 bytes, as text
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["key"]
    path.chmod(0o640)
    with pytest.raises(Refused, match="other users"):
        key_file(path)


def of_before(kms: Any, key_id: str, store: StateStore) -> SecretKey:
    """The key that all environments of a state shared, as versions before laid it down."""
    made = kms.generate_data_key(
        KeyId=key_id, KeySpec="AES_256", EncryptionContext={"regionshift": "releases"}
    )
    kept = {"key": key_id, "sealed": base64.b64encode(made["CiphertextBlob"]).decode()}
    store.create("keys/releases.json", json.dumps(kept).encode())
    return SecretKey(made["Plaintext"])


def test_what_was_sealed_before_environments_had_keys_is_opened(store: StateStore, clients: Clients) -> None:
    kms = clients.get("kms", "eu-central-1")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    store.create("journal/shop.dev/runs/000001/00001.json", b"{}")
    sealed = of_before(kms, key_id, store).seal("hunter2", "place")
    assert key_from_kms(kms, key_id, store, "shop.dev").open(sealed, "place") == "hunter2"
    assert store.keys("keys") == ["keys/releases.json"]
    with pytest.raises(StateDamaged):  # a new one has its own
        key_from_kms(kms, key_id, store, "shop.new").open(sealed, "place")
    assert store.keys("keys") == ["keys/releases.json", "keys/shop.new.json"]


def test_runs_from_before_anything_was_sealed_do_not_bring_back_a_key_that_others_share(
    store: StateStore, clients: Clients
) -> None:
    key_id = clients.get("kms", "eu-central-1").create_key()["KeyMetadata"]["KeyId"]
    store.create("journal/shop.dev/runs/000001/00001.json", b"{}")
    key_from_kms(clients.get("kms", "eu-central-1"), key_id, store, "shop.dev").seal("hunter2", "place")
    assert store.keys("keys") == ["keys/shop.dev.json"]


def test_a_new_key_lists_no_runs_where_no_key_is_shared(clients: Clients, tmp_path: Path) -> None:
    class WithoutLists(FileStore):
        def folders(self, prefix: str) -> list[str]:
            raise AssertionError(f"lists {prefix}")

    key_id = clients.get("kms", "eu-central-1").create_key()["KeyMetadata"]["KeyId"]
    store = WithoutLists(tmp_path)
    key_from_kms(clients.get("kms", "eu-central-1"), key_id, store, "shop.dev").seal("hunter2", "place")


def test_a_role_of_one_environment_opens_no_seal_of_another(
    store: StateStore, clients: Clients, user: Callable[..., Clients]
) -> None:
    kms = clients.get("kms", "eu-central-1")
    key_id, alias = kms.create_key()["KeyMetadata"]["KeyId"], f"alias/{uuid.uuid4().hex[:8]}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    mine, theirs = (
        MigrationConfig.model_validate(
            {
                "project": "shop", "environment": name, "account": "123456789012",
                "regions": {"primary": "eu-central-1", "secondaries": []}, "network": {"vpc_cidr": "10.0.0.0/8"},
                "state": "s3://states/all?region=eu-central-1",
                "state_secrets": f"awskms://{alias}?region=eu-central-1",
            }
        )
        for name in ("dev", "prod")
    )  # fmt: skip
    sealed = {
        each.identity.scope: key_from_kms(kms, key_id, store, each.identity.scope).seal("x", "place")
        for each in (mine, theirs)
    }
    for role in PipelineRole:
        statements = [
            each.statement for each in statements_of(mine, role) if "StateKey" in each.statement["Sid"]
        ]
        of_role = user(*statements).get("kms", "eu-central-1")
        own, other = mine.identity.scope, theirs.identity.scope
        assert key_from_kms(of_role, key_id, store, own).open(sealed[own], "place") == "x"
        with pytest.raises(ClientError, match="AccessDenied"):
            key_from_kms(of_role, key_id, store, other).open(sealed[other], "place")


def test_a_kms_data_key_is_one_for_all_who_share_the_environment(store: StateStore, clients: Clients) -> None:
    kms = clients.get("kms", "eu-central-1")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    mine = key_from_kms(kms, key_id, store, "shop.dev")
    theirs = key_from_kms(kms, key_id, store, "shop.dev")
    assert theirs.open(mine.seal("hunter2", "place"), "place") == "hunter2"
    with pytest.raises(StateDamaged):
        theirs.open(mine.seal("hunter2", "place"), "another place")
    assert b"hunter2" not in b"".join(store.get_many(store.keys("keys")).values())


def forge(store: StateStore, digest: str, change: Callable[[dict[str, Any]], None], body: bytes) -> str:
    """A release made of a kept one by somebody who may write the state, with another zip; its digest."""
    record = json.loads(store.get(f"releases/shop.dev/{digest}.json").body)  # type: ignore[union-attr]
    change(record)
    record["digest"] = digest_of(record["content"])
    store.put(f"artifacts/shop.dev/{hashlib.sha256(body).hexdigest()}.zip", body)
    store.put(f"releases/shop.dev/{record['digest']}.json", json.dumps(record).encode())
    return str(record["digest"])


def another_zip(record: dict[str, Any]) -> None:
    record["content"]["artifact"] = hashlib.sha256(b"evil").hexdigest()


def another_zip_and_no_seal(record: dict[str, Any]) -> None:
    another_zip(record)
    del record["seal"]


@pytest.mark.parametrize("change", [another_zip, another_zip_and_no_seal])
def test_a_forged_release_is_never_brought_anywhere(
    change: Callable[[dict[str, Any]], None],
    store: StateStore,
    releases: ReleaseStore,
    make: MakeRelease,
    tmp_path: Path,
) -> None:
    """Without secrets there is nothing in it that only the key's holder could have written, but the seal."""
    forged = forge(store, keep(releases, make()).digest, change, b"evil")
    with pytest.raises(StateDamaged, match="not sealed") as refused:
        releases.load(forged, config(), tmp_path / "cache", "p1")
    assert forged in str(refused.value.where)
    assert not (tmp_path / "cache").exists()


def test_a_release_of_another_environment_is_not_this_ones(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    digest = keep(ReleaseStore(store, "shop.prod", KEY), make()).digest
    for folder, name in (("releases", f"{digest}.json"), ("artifacts", f"{make().artifact.sha256}.zip")):
        store.put(f"{folder}/shop.dev/{name}", store.get(f"{folder}/shop.prod/{name}").body)  # type: ignore[union-attr]
    with pytest.raises(StateDamaged, match="for this environment"):
        releases.load(digest, config(), tmp_path / "cache", "p1")


def test_a_release_that_was_kept_unsealed_is_sealed_when_it_is_made_again(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    """As an earlier version left it, or somebody else under its digest."""
    digest = keep(releases, make()).digest
    name = f"releases/shop.dev/{digest}.json"
    record = json.loads(store.get(name).body)  # type: ignore[union-attr]
    del record["seal"]
    store.put(name, json.dumps({**record, "by": "mallory"}).encode())
    assert releases.find(digest).by == "mallory"

    keep(releases, make())
    assert releases.find(digest).by == "ann"
    assert releases.load(digest, config(), tmp_path / "cache", "p1").digest == digest


def test_a_release_whose_digest_no_longer_fits_is_not_applied(
    store: StateStore, releases: ReleaseStore, make: MakeRelease, tmp_path: Path
) -> None:
    """Whole and sealed, and read by a version to which its settings say something else."""

    class Later(Release):
        @property
        def content(self) -> Mapping[str, object]:
            return {**super().content, "something": "of a later version"}

    made = make()
    later = Later(**{each.name: getattr(made, each.name) for each in fields(made)})
    keep(releases, later)
    with pytest.raises(Refused, match="otherwise") as refused:
        releases.load(later.digest, config(), tmp_path / "cache", "p1")
    assert refused.value.exit_code == 3
    del store
