"""``migrate`` and ``rollback`` as anybody may call them, with the rights that the program gives, enforced."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from function_caller import Caller
from function_region import Region, put_public_block

from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.executions import Executions
from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migration
from regionshift.carriers.records import Layout, MigrationRecords, RecordStore
from regionshift.carriers.seals import Seals, by_kms
from regionshift.carriers.selection import selector
from regionshift.carriers.summary import opened
from regionshift.infrastructure.policies import function as rights


@pytest.fixture
def call(secondary: Region) -> Caller:
    return Caller(secondary.variables, secondary.clients_with(secondary.least_privilege()))


def put(region: Region, **objects: str) -> None:
    for key, body in objects.items():
        region.make("s3").put_object(
            Bucket=region.variables.deployment_bucket, Key=key.replace("__", "/"), Body=body.encode()
        )


def state(region: Region) -> dict[str, bytes]:
    """What readers see, but for the records."""
    s3, bucket = region.make("s3"), region.variables.deployment_bucket
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {
        key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in keys
        if not key.startswith(("migrations/", "rollbacks/"))
    }


def records_of(region: Region) -> RecordStore:
    """As one who may seal."""
    ask = by_kms(region.make("kms").generate_mac, region.variables.records_key_arn)
    bucket = region.variables.deployment_bucket
    return RecordStore(
        region.make.access.transport(),
        region.name,
        bucket,
        Seals(ask, region.name, bucket, lambda: datetime.now(UTC)),
    )


def record(region: Region, key: str) -> Any:
    s3 = region.make("s3")
    return json.loads(s3.get_object(Bucket=region.variables.deployment_bucket, Key=key)["Body"].read())


def copy(migration_id: str = "m-1", **fields: Any) -> dict[str, Any]:
    return {
        "action": "migrate",
        "migration_id": migration_id,
        "source": {"prefix": "in/"},
        "target": {"prefix": "out/"},
        **fields,
    }


def test_objects_are_copied_proven_recorded_and_taken_back(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one", in__b="two", out__b="before", other="left")
    was = state(secondary)
    status, body = call(copy())
    assert status == 200, body
    assert body["counts"] == {"written": 2, "proven": 2}
    assert state(secondary) == was | {"out/a": b"one", "out/b": b"two"}
    metadata = record(secondary, "migrations/m-1/metadata.json")
    assert metadata["status"] == "completed"
    shown = ("source", "target", "started", "ended", "level", "counts", "bytes", "checksum")
    assert {name: body[name] for name in shown} == {name: metadata[name] for name in shown}
    assert (metadata["region"], body["bytes"], body["level"]) == (secondary.name, 6, "full")
    status, body = call({"action": "rollback", "migration_id": "m-1", "reason": "trial"})
    assert status == 200, body
    assert state(secondary) == was
    undone = record(secondary, "rollbacks/m-1/rollback.json")
    assert (undone["migration_id"], undone["original_migration"]) == ("m-1", "m-1")
    assert (undone["region"], undone["reason"]) == (secondary.name, "trial")
    assert undone["timestamp"]
    assert call({"action": "rollback", "migration_id": "m-1"})[0] == 200
    assert state(secondary) == was


@pytest.mark.parametrize("fields", [{}, {"source": "the old account"}, {"source": {}, "target": "here"}])
def test_a_migration_that_names_nothing_is_recorded_and_taken_back(
    fields: dict[str, Any], secondary: Region, call: Caller
) -> None:
    put(secondary, kept="x")
    status, body = call({"action": "migrate", "migration_id": "empty", **fields})
    assert status == 200, body
    assert record(secondary, "migrations/empty/metadata.json")["counts"] == {}
    assert call({"action": "rollback", "migration_id": "empty"})[0] == 200
    assert state(secondary) == {"kept": b"x"}


@pytest.mark.parametrize("content", [{}, {"migration_id": "theirs", "items": []}])
def test_a_record_that_somebody_else_wrote_is_neither_gone_on_with_nor_rolled_back(
    content: dict[str, Any], secondary: Region, call: Caller
) -> None:
    put(secondary, **{"migrations__theirs__metadata.json": json.dumps(content)})
    was = state(secondary)
    for asked in ({"action": "rollback", "migration_id": "theirs"}, copy("theirs")):
        status, body = call(asked)
        assert (status, body["code"]) == (409, "Conflict"), body
        assert "not sealed" in body["error"]
    assert state(secondary) == was


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"source": {"bucket": "somebody-elses"}}, 403, "NotNamed"),
        ({"target": {"bucket": "somebody-elses", "prefix": "out/"}}, 403, "NotNamed"),
        ({"source": {"region": "us-east-1"}}, 400, "InvalidField"),
        ({"target": {"prefix": "in/"}}, 400, "InvalidField"),
        ({"target": {"prefix": "migrations/x/"}}, 403, "NotNamed"),
        ({"source": {"prefix": "rollbacks/"}}, 403, "NotNamed"),
        ({"source": {"prefix": "in/", "keys": ["in/a", "in/missing"]}}, 404, "NoSuchObject"),
        ({"config_key": "nowhere.json"}, 404, "NoSuchObject"),
        ({"migration_id": "../../up"}, 400, "InvalidField"),
    ],
)
def test_what_may_not_be_is_refused_before_anything_is_written(
    fields: dict[str, Any], status: int, code: str, secondary: Region, call: Caller
) -> None:
    put(secondary, in__a="one")
    found, body = call(copy(**fields))
    assert (found, body["code"]) == (status, code), body
    assert state(secondary) == {"in/a": b"one"}
    listing = secondary.make("s3").list_objects_v2(Bucket=secondary.variables.deployment_bucket)
    assert listing["KeyCount"] == 1


def test_a_missing_object_is_named(call: Caller) -> None:
    _, body = call(copy(source={"prefix": "in/", "keys": ["in/not there"]}))
    assert "in/not there" in body["error"]


def test_only_the_objects_that_are_named_are_copied(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one", in__b="two", **{"in__[a]*": "strange"})
    assert call(copy(source={"prefix": "in/", "keys": ["in/[a]*"]}))[0] == 200
    assert sorted(state(secondary)) == ["in/[a]*", "in/a", "in/b", "out/[a]*"]


def test_a_document_says_what_the_call_leaves_open(secondary: Region, call: Caller) -> None:
    put(
        secondary,
        in__a="one",
        **{"plans__p.json": json.dumps({"source_prefix": "in/", "target_prefix": "x/"})},
    )
    event = {"action": "migrate", "migration_id": "m-1", "config_key": "plans/p.json", "target_prefix": "y/"}
    assert call(event)[0] == 200
    assert sorted(state(secondary)) == ["in/a", "plans/p.json", "y/a"]


@pytest.mark.parametrize(
    "document",
    [
        {"source": {"bucket": "hunter2-bucket"}},
        {"source": {"region": "hunter2"}},
        {"target": {"region": "hunter2", "prefix": "out/"}},
        {"source_prefix": "migrations/hunter2/", "target_prefix": "out/"},
        {"source_prefix": "hunter2", "target_prefix": "hunter2"},
        {"source": {"prefix": "in/", "keys": ["hunter2"]}, "target_prefix": "out/"},
        {"source": {"prefix": "in/", "keys": ["in/hunter2"]}, "target_prefix": "out/"},
        {"source": {"prefix": "in/", "keys": "hunter2"}},
        {"source": ["hunter2"]},
        {"source": {"prefix": "\ud800hunter2"}},
        ["hunter2"],
        "hunter2",
    ],
    ids=str,
)
def test_nothing_of_a_document_is_repeated(document: Any, secondary: Region, call: Caller) -> None:
    """Whoever may call the function could otherwise read JSON that the bucket keeps for others."""
    put(secondary, in__a="one", **{"any__settings.json": json.dumps(document)})
    status, body = call({"action": "migrate", "migration_id": "m-1", "config_key": "any/settings.json"})
    assert 400 <= status < 500, body
    assert "hunter2" not in json.dumps(body)
    assert "config_key" in body["error"] or "source" in body["error"]


def test_a_label_in_a_document_is_kept_nowhere(secondary: Region, call: Caller) -> None:
    put(secondary, **{"any__settings.json": json.dumps({"source": "hunter2", "target": "hunter2"})})
    status, body = call({"action": "migrate", "migration_id": "m-1", "config_key": "any/settings.json"})
    assert status == 200, body
    s3, bucket = secondary.make("s3"), secondary.variables.deployment_bucket
    written = s3.get_object(Bucket=bucket, Key="migrations/m-1/metadata.json")["Body"].read()
    assert b"hunter2" not in json.dumps(body).encode() + written


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "hunter2", "\xff"])
def test_a_document_that_is_no_json_is_refused(text: str, secondary: Region, call: Caller) -> None:
    put(secondary, **{"any__settings.json": text})
    status, body = call({"action": "migrate", "migration_id": "m-1", "config_key": "any/settings.json"})
    assert (status, body["code"]) == (400, "InvalidField")
    assert "hunter2" not in body["error"]


def test_a_call_that_runs_out_of_time_goes_on_with_the_same_id(secondary: Region, call: Caller) -> None:
    put(secondary, **{f"in__{number:03d}": str(number) for number in range(150)})
    for looks in (20, 200):
        seen: Iterator[int] = iter([300_000] * looks)
        call.remaining_ms = lambda seen=seen: next(seen, 0)  # type: ignore[misc]
        status, body = call(copy())
        assert status == 202, body
        done, left = body["counts"]["done"], body["counts"]["left"]
        assert (done + left, left) == (150, body["left"])
    assert 0 < done < 150
    call.remaining_ms = lambda: 300_000
    status, body = call(copy())
    assert status == 200, body
    assert body["counts"]["proven"] == 150
    s3, bucket = secondary.make("s3"), secondary.variables.deployment_bucket
    assert len(s3.list_object_versions(Bucket=bucket, Prefix="out/")["Versions"]) == 150


def test_what_is_under_way_is_not_told_as_a_success(secondary: Region, call: Caller) -> None:
    put(secondary, **{f"in__{number:03d}": str(number) for number in range(3)})
    call.remaining_ms = lambda: 0
    assert call(copy())[0] == 202
    told = [(one["status"], one["counts"].get("left")) for one in secondary.messages()]
    assert sorted(told, key=str) == [("started", 3), ("started", None)]
    call.remaining_ms = lambda: 300_000
    assert call(copy())[0] == 200
    (success,) = [one for one in secondary.messages() if one["status"] == "success"]
    assert success["counts"]["proven"] == 3


def a_machine(region: Region, seconds: int = 0) -> str:
    """A state machine that does nothing, for as long; gives its ARN."""
    states: dict[str, Any] = {"Wait": {"Type": "Wait", "Seconds": seconds, "End": True}}
    arn: str = region.make("stepfunctions").create_state_machine(
        name=f"{region.prefix}-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "Wait", "States": states}),
        roleArn=region.role_arn([], service="states.amazonaws.com"),
    )["stateMachineArn"]
    return arn


def with_machine(region: Region, machine: str) -> Caller:
    """The function with its rights, told of a state machine."""
    allowed = [*region.least_privilege(), *rights.state_machine_statements(machine)]
    told = region.with_variables(state_machine_arn=machine)
    return Caller(told.variables, told.clients_with(allowed))


@pytest.mark.parametrize("on_failure", ["stop", "rollback", None])
def test_from_elsewhere_the_state_machine_does_it_as_the_settings_say(
    on_failure: str | None, secondary: Region
) -> None:
    states, machine = secondary.make("stepfunctions"), a_machine(secondary)
    secondary.change_configuration(
        on_failure=on_failure, deployment_buckets={}, carry=[{"bucket": "media-{region}"}]
    )
    call = with_machine(secondary, machine)
    media = {"bucket": f"media-{secondary.name}"}

    status, body = call({"action": "migrate", "migration_id": "m", "source": media, "target": media})
    assert (status, body["code"]) == (400, "InvalidField")
    target = media | {"prefix": "moved/"}
    status, body = call({"action": "migrate", "migration_id": "m", "source": media, "target": target})

    assert status == 202, body
    given = json.loads(states.describe_execution(executionArn=body["execution"])["input"])
    assert given["on_failure"] == (on_failure or "rollback")
    asked = record(secondary, Layout("m").asked(given["asked"]))
    assert (given["step"], asked["entries"][0]["target"]["prefix"]) == ("plan", "moved/")
    assert "success" not in [one["status"] for one in secondary.messages()]


def test_a_second_call_joins_the_execution_of_the_first(secondary: Region) -> None:
    call = with_machine(secondary, a_machine(secondary, seconds=60))
    secondary.change_configuration(deployment_buckets={}, carry=[{"bucket": "media-{region}"}])
    media = {"bucket": f"media-{secondary.name}"}
    asked = {"action": "migrate", "migration_id": "m", "source": media, "target": media | {"prefix": "x/"}}
    first, second = call(asked), call(asked)
    assert (first[0], second[0]) == (202, 202), second
    assert first[1]["execution"] == second[1]["execution"]
    status, body = call(asked | {"target": media | {"prefix": "y/"}})
    assert (status, body["code"]) == (409, "Conflict")
    status, body = call(asked | {"migration_id": "m.", "target": media | {"prefix": "y/"}})
    assert status == 202
    assert body["execution"] != first[1]["execution"]


def test_what_the_command_began_comes_to_its_end_before_a_call_goes_on_with_it(secondary: Region) -> None:
    machine = a_machine(secondary, seconds=60)
    call = with_machine(secondary, machine)
    secondary.change_configuration(deployment_buckets={}, carry=[{"bucket": "media-{region}"}])
    media = {"bucket": f"media-{secondary.name}"}
    asked = {"action": "migrate", "migration_id": "m", "source": media, "target": media | {"prefix": "x/"}}
    states = secondary.make("stepfunctions")
    store = records_of(secondary)
    copying = Executions(MigrationRecords(store, "m"), states, machine).start("copy")

    status, body = call(asked)

    assert (status, body["code"]) == (409, "Conflict"), body
    assert copying.arn in body["error"]
    states.stop_execution(executionArn=copying.arn)
    assert call(asked)[0] == 202


def entry_given(secondary: Region, asked: dict[str, Any], carry: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry that the state machine was given; or the refusal."""
    machine = a_machine(secondary)
    secondary.change_configuration(
        deployment_buckets={"us-east-1": "theirs", secondary.name: secondary.variables.deployment_bucket},
        carry=carry,
    )
    status, body = with_machine(secondary, machine)({"action": "migrate", "migration_id": "m", **asked})
    if status != 202:
        return {"refused": (status, body["code"])}
    states = secondary.make("stepfunctions")
    given = json.loads(states.describe_execution(executionArn=body["execution"])["input"])
    found: dict[str, Any] = record(secondary, Layout("m").asked(given["asked"]))["entries"][0]
    return found


OPTIONS = {
    "bucket": "media-{region}",
    "prefix": "docs/",
    "include": ["pub/*"],
    "exclude": ["*.tmp"],
    "storage_class": "STANDARD_IA",
    "keep_versions": True,
}


def test_what_the_settings_say_of_an_entry_holds_for_a_direct_call(secondary: Region) -> None:
    ends = {
        "source": {"region": "us-east-1", "bucket": "media-us-east-1", "prefix": "docs/pub/"},
        "target": {"bucket": f"media-{secondary.name}", "prefix": "docs/pub/"},
    }
    entry = read_entry(entry_given(secondary, ends, [OPTIONS]))
    assert (entry.storage_class, entry.history, entry.owned) == ("STANDARD_IA", True, ())
    selects = selector(entry)
    assert [key for key in ("a", "a.tmp") if selects(key)] == ["a"]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["docs/pub/a"], ["a"]),
        (["docs/private/a"], (403, "NotNamed")),
        (["docs/pub/a.tmp"], (403, "NotNamed")),
        (["other/a"], (400, "InvalidField")),
    ],
)
def test_objects_named_one_by_one_are_such_as_the_settings_select(
    keys: list[str], found: object, secondary: Region
) -> None:
    source = {"region": "us-east-1", "bucket": "media-us-east-1", "prefix": "docs/", "keys": keys}
    target = {"bucket": f"media-{secondary.name}", "prefix": "docs/"}
    given = entry_given(secondary, {"source": source, "target": target}, [OPTIONS])
    if "refused" in given:
        assert given["refused"] == found
    else:
        selects = selector(read_entry(given))
        assert [key for key in ("a", "b", "pub/a", "pub/b") if selects(key)] == ["pub/a"]


def test_more_keys_than_an_execution_takes_are_on_record_and_named(secondary: Region) -> None:
    machine = a_machine(secondary)
    secondary.change_configuration(
        deployment_buckets={"us-east-1": "theirs", secondary.name: secondary.variables.deployment_bucket},
        carry=[{"bucket": "media-{region}"}],
    )
    keys = [f"docs/{number:04}-{'é' * 40}" for number in range(3000)]
    source = {"region": "us-east-1", "bucket": "media-us-east-1", "prefix": "docs/", "keys": keys}
    asked = {"source": source, "target": {"bucket": f"media-{secondary.name}", "prefix": "docs/"}}

    status, body = with_machine(secondary, machine)({"action": "migrate", "migration_id": "m", **asked})

    assert status == 202, body
    states = secondary.make("stepfunctions")
    given = states.describe_execution(executionArn=body["execution"])["input"]
    assert len(given) < 1000
    wanted = records_of(secondary).get_json(Layout("m").asked(json.loads(given)["asked"]))
    assert wanted is not None and wanted["keys"] == keys
    selects = selector(read_entry(wanted["entries"][0]))
    assert all(selects(key.removeprefix("docs/")) for key in keys) and not selects("else")


def test_source_and_target_belong_to_one_entry(secondary: Region) -> None:
    carry = [{"bucket": "media-{region}"}, {"bucket": "logs-{region}"}]
    ends = {
        "source": {"region": "us-east-1", "bucket": "logs-us-east-1"},
        "target": {"bucket": f"media-{secondary.name}"},
    }
    assert entry_given(secondary, ends, carry) == {"refused": (403, "NotNamed")}
    own = {"source": {"prefix": "in/"}, "target": {"bucket": f"media-{secondary.name}"}}
    assert entry_given(secondary, own, carry) == {"refused": (403, "NotNamed")}


def test_from_another_deployment_bucket_the_programs_own_stays_behind(secondary: Region) -> None:
    ends = {"source": {"region": "us-east-1"}, "target": {"prefix": "from-there/"}}
    selects = selector(read_entry(entry_given(secondary, ends, [{}])))
    own = ("artifacts/z", "regionshift-probes/p", "state/s", "migrations/m", "rollbacks/m", "a")
    assert [key for key in own if selects(key)] == ["a"]


def test_the_programs_own_is_never_carried(secondary: Region, call: Caller) -> None:
    put(secondary, artifacts__z="zip", **{"regionshift-probes__p": "p"}, a="x")
    assert call(copy(source={"prefix": ""}, target={"prefix": "copy/"}))[0] == 200
    assert "copy/a" in state(secondary)
    assert not [key for key in state(secondary) if key.startswith(("copy/artifacts/", "copy/regionshift"))]
    assert call(copy("m-2", source={"prefix": "artifacts/"}))[1]["code"] == "NotNamed"


@pytest.mark.parametrize(
    "other",
    [{"source": {"prefix": "more/"}}, {"target": {"prefix": "out2/"}}, {"source": "label", "target": {}}],
)
def test_an_id_is_one_migrations_alone(other: dict[str, Any], secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one", more__b="two")
    assert call(copy())[0] == 200
    was = state(secondary)
    status, body = call(copy(**other))
    assert (status, body["code"]) == (409, "Conflict"), body
    assert "another id" in body["error"]
    assert state(secondary) == was
    assert call(copy())[0] == 200


def test_a_record_that_was_replicated_here_is_not_this_regions(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one")
    assert call(copy())[0] == 200
    theirs = record(secondary, "migrations/m-1/metadata.json") | {
        "region": "us-east-1",
        "migration_id": "m-2",
    }
    put(secondary, **{"migrations__m-2__metadata.json": json.dumps(theirs)})
    status, body = call(copy("m-2"))
    assert (status, body["code"]) == (409, "Conflict"), body
    # Its seal is another region's; were it not, its region would tell.
    records_of(secondary).put_json("migrations/m-2/metadata.json", theirs)
    status, body = call(copy("m-2"))
    assert (status, body["code"]) == (409, "Conflict"), body
    assert "us-east-1" in body["error"]


def test_a_rollback_stays_within_what_the_settings_name_today(secondary: Region, call: Caller) -> None:
    """A migration from another bucket, whose entry has been taken out of `carry` since."""
    own = secondary.variables.deployment_bucket
    other = f"{own}-other"[:63]
    place = {"LocationConstraint": secondary.name}
    secondary.make("s3").create_bucket(Bucket=other, CreateBucketConfiguration=place)
    entry = Entry("s3", DataLocation(secondary.name, other), DataLocation(secondary.name, own, "in/"))
    store = records_of(secondary)
    summary = opened(MigrationRecords(store, "m"), [entry], Level.FULL, "2030-01-01T00:00:00+00:00")
    store.put_json(Layout("m").metadata, summary | {"status": "completed"})
    asked = {"action": "rollback", "migration_id": "m"}

    status, body = call(asked)
    assert (status, body["code"]) == (409, "Conflict"), body
    assert "carry" in body["error"]

    secondary.change_configuration(carry=[{"bucket": other, "target_prefix": "in/", "target_bucket": own}])
    assert call(asked)[0] == 200


@pytest.mark.parametrize("wanted", [True, False])
def test_a_target_that_does_not_validate_gets_nothing_when_the_settings_want_it_so(
    wanted: bool, secondary: Region, call: Caller
) -> None:
    put(secondary, in__a="one")
    put_public_block(secondary.make, secondary.variables.deployment_bucket, BlockPublicAcls=False)
    secondary.change_configuration(
        enable_validation=wanted, deployment_buckets={}, carry=[{"bucket": "media-{region}"}]
    )
    status, body = call(copy())
    media = {"bucket": f"media-{secondary.name}"}
    elsewhere = with_machine(secondary, a_machine(secondary))(
        copy("m-2", source=media, target=media | {"prefix": "x/"})
    )
    if wanted:
        assert (status, body["code"]) == (409, "TargetNotValid")
        assert "BlockPublicAcls" in body["error"]
        assert (elsewhere[0], elsewhere[1]["code"]) == (409, "TargetNotValid")
        assert state(secondary) == {"in/a": b"one"}
    else:
        assert (status, elsewhere[0]) == (200, 202)


def test_a_rollback_that_leaves_something_is_told_as_an_error(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one")
    assert call(copy())[0] == 200
    put(secondary, out__a="somebody's")
    secondary.messages()
    assert call({"action": "rollback", "migration_id": "m-1"})[0] == 200
    (end,) = [one for one in secondary.messages() if one["status"] != "started"]
    assert (end["event"], end["status"], end["counts"]) == ("rollback", "error", {"conflict": 1})


def test_a_rollback_waits_for_a_call_that_is_copying(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one")
    assert call(copy())[0] == 200
    was = state(secondary)
    until = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    store, lease = records_of(secondary), Layout("m-1").running("call")
    store.put_json(lease, {"until": until})
    call.remaining_ms = lambda: 0
    status, body = call({"action": "rollback", "migration_id": "m-1"})
    assert status == 202, body
    assert state(secondary) == was
    store.delete(lease)
    call.remaining_ms = lambda: 300_000
    assert call({"action": "rollback", "migration_id": "m-1"})[0] == 200
    assert state(secondary) == {"in/a": b"one"}


def _barred_from_one_key(region: Region) -> Caller:
    """A function that may write everything but ``out/a``."""
    key = f"arn:aws:s3:::{region.variables.deployment_bucket}/out/a"
    barred = {"Effect": "Deny", "Action": ["s3:PutObject"], "Resource": [key]}
    return Caller(region.variables, region.clients_with([*region.least_privilege(), barred]))


def test_a_copy_that_fails_is_undone_in_the_same_call(secondary: Region) -> None:
    put(secondary, in__a="one", in__b="two", out__b="before")
    was = state(secondary)
    call = _barred_from_one_key(secondary)
    status, body = call(copy())
    assert (status, body["code"]) == (500, "CopyFailed")
    assert "a" in [problem["key"] for problem in body["problems"]]
    assert state(secondary) == was
    assert [one["status"] for one in secondary.messages()].count("error") == 1
    assert call(copy())[1]["code"] == "Conflict"  # an id that was rolled back does not come back


def test_what_cannot_be_taken_back_in_time_is_told_and_goes_on_with_a_rollback(secondary: Region) -> None:
    put(secondary, in__a="one", in__b="two", out__b="before")
    was = state(secondary)
    bucket, call = secondary.variables.deployment_bucket, _barred_from_one_key(secondary)

    def remaining() -> int:
        """No more as soon as it is known that all of it goes back."""
        listed = secondary.make("s3").list_objects_v2(Bucket=bucket, Prefix="rollbacks/")
        return 0 if listed["KeyCount"] else 300_000

    call.remaining_ms = remaining
    status, body = call(copy())

    assert (status, body["code"], body["rollback"]["status"]) == (500, "CopyFailed", "incomplete")
    assert "are rolled back" not in body["error"]
    assert "call rollback with the same id" in body["error"]
    assert state(secondary) != was
    call.remaining_ms = lambda: 300_000
    assert call({"action": "rollback", "migration_id": "m-1"})[0] == 200
    assert state(secondary) == was


@pytest.mark.parametrize("asked", [{}, {"source": {}, "target": {}}], ids=["objects", "nothing"])
def test_what_is_taken_back_before_it_is_finished_is_not_completed_after(
    asked: dict[str, Any], secondary: Region, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(secondary, in__a="one", out__a="before")
    was = state(secondary)
    run = Migration.run

    def run_and_be_taken_back(migration: Migration, *given: Any) -> bool:
        done = run(migration, *given)
        assert call({"action": "rollback", "migration_id": "m-1"})[0] == 200
        return done

    monkeypatch.setattr(Migration, "run", run_and_be_taken_back)
    status, body = call(copy(**asked))

    assert status == 202, body
    assert record(secondary, "migrations/m-1/metadata.json")["status"] == "rolled_back"
    assert state(secondary) == was


def test_the_names_of_the_ends_are_not_written_over_a_rollback(
    secondary: Region, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Migration.finish_unless_stopped

    def finish_and_be_taken_back(migration: Migration) -> Any:
        done = finish(migration)
        assert call({"action": "rollback", "migration_id": migration.records.id})[0] == 200
        return done

    monkeypatch.setattr(Migration, "finish_unless_stopped", finish_and_be_taken_back)
    assert call({"action": "migrate", "migration_id": "empty", "source": "the old account"})[0] == 200
    assert record(secondary, "migrations/empty/metadata.json")["status"] == "rolled_back"


def test_two_migrations_onto_one_target_are_one_too_many(secondary: Region, call: Caller) -> None:
    put(secondary, **{f"in__{number:03d}": str(number) for number in range(3)})
    call.remaining_ms = lambda: 0
    assert call(copy("first"))[0] == 202
    call.remaining_ms = lambda: 300_000
    status, body = call(copy("second"))
    assert (status, body["code"]) == (409, "Conflict")
    assert "first" in body["error"]


def test_nothing_is_taken_back_under_another_migration(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one", **{f"more__{number:03d}": str(number) for number in range(3)})
    assert call(copy("first"))[0] == 200
    call.remaining_ms = lambda: 0
    assert call(copy("second", source={"prefix": "more/"}))[0] == 202
    call.remaining_ms = lambda: 300_000
    status, body = call({"action": "rollback", "migration_id": "first"})
    assert (status, body["code"]) == (409, "Conflict")
    assert "second" in body["error"]
    assert call({"action": "rollback", "migration_id": "second"})[0] == 200
    assert call({"action": "rollback", "migration_id": "first"})[0] == 200


def test_what_was_changed_since_is_left_alone_and_listed(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one", in__b="two")
    assert call(copy())[0] == 200
    put(secondary, out__a="somebody's")
    status, body = call({"action": "rollback", "migration_id": "m-1"})
    assert status == 200
    assert [conflict["key"] for conflict in body["conflicts"]] == ["a"]
    assert state(secondary) == {"in/a": b"one", "in/b": b"two", "out/a": b"somebody's"}


def test_the_records_of_a_migration_stay_whatever_is_asked(secondary: Region, call: Caller) -> None:
    put(secondary, in__a="one")
    call(copy())
    s3, bucket = call.make("s3"), secondary.variables.deployment_bucket
    version = s3.list_object_versions(Bucket=bucket, Prefix="migrations/m-1/metadata.json")["Versions"][0]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
