"""`doctor`, `preview` and `up` ask the same questions: what stands in the way of one stands in the way of all three.

The commands are real, and so is the embedded AWS that they ask; the engine and its regions are made up.
"""

from __future__ import annotations

import ast
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from deployment_world import WAVES, Fault, Process, World, model
from model_regions import CANARY, OTHER, Crash

import regionshift
from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.cli import doctor, move, opening
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.cli.options import Choices
from regionshift.engine.engine import RunRecord
from regionshift.engine.events import ResourceStep
from regionshift.errors import EXIT_INPUT, EXIT_OK, EXIT_REFUSED, InputError
from regionshift.infrastructure.policies.resources import tls_only_bucket
from regionshift.infrastructure.policies.statement import document
from regionshift.journal.backends import open_state
from regionshift.operations import moves, rejoining
from regionshift.operations.environment import RegionScope, without_regions
from regionshift.operations.moving.fencing import NOT_SHUT
from regionshift.operations.preflight import Machine
from regionshift.operations.room import Disk
from regionshift.operations.up import PlanRefused, propose
from regionshift.operations.waves.applier import Applier
from regionshift.releases import deployed_releases
from regionshift.report import values
from regionshift.session import Session
from regionshift.settings.components import DEPLOYMENT_BUCKET, ERRORS_ALARM
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import Names
from regionshift.settings.release import Release

pytestmark = pytest.mark.component
Use = Callable[[World], World]
COMMANDS = (["doctor"], ["preview"], ["up", "--yes", "--no-validate"])
__all__ = ["model"]


@dataclass
class Somewhere(Clients):
    """The embedded AWS, of which one region may be down or refuse, and one call may be forbidden."""

    inner: Clients
    down: str = ""
    refuses: str = ""
    forbidden: str = ""
    broken: str = ""

    @property
    def impatient(self) -> Any:
        return self

    def call(self, region: str, service: str, operation: str, **more: Any) -> dict[str, Any]:
        self._answer(region, operation)
        return self.inner.call(region, service, operation, **more)

    def named(self, service: str, region: str) -> Any:
        self._answer(region, service)
        if service == self.broken:
            raise EndpointConnectionError(endpoint_url=f"https://{service}")
        return self.inner.named(service, region)

    get = named  # type: ignore[assignment]

    def _answer(self, region: str, operation: str) -> None:
        if region == self.down:
            raise AwsFailed(
                "no answer", code="ConnectTimeoutError", where=region, remedy=None, is_outside=True
            )
        if region == self.refuses or operation == self.forbidden:
            raise AwsFailed("not allowed", code="AccessDenied", where=region, remedy=None)


@dataclass
class Scene:
    """One world, what its settings say, and the three commands in it."""

    world: World
    clients: Somewhere
    project: str
    settings: dict[str, Any] = field(default_factory=dict)
    leaving: str = ""
    fenced: str = ""
    machine: Machine = field(default_factory=lambda: Machine(None))
    no_release: InputError | None = None
    exits: int = EXIT_REFUSED
    faults: tuple[Fault, ...] = ()

    @property
    def names(self) -> Names:
        return self.process().environment.config.names

    def process(self, *faults: Fault) -> Process:
        process = Process(self.world, list(faults))
        values = process.environment.config.model_dump(mode="json", exclude_defaults=True)
        config = MigrationConfig.model_validate(values | {"project": self.project} | self.settings)
        config = without_regions(config, {self.leaving, self.fenced})
        release = replace(process.environment.release(), config=config)

        def made() -> Release:
            if self.no_release is not None:
                raise self.no_release
            return release

        fenced = frozenset({self.fenced} - {""})
        process.environment = replace(
            process.environment,
            config=config,
            clients=self.clients,
            release=made,
            engine=cast(Any, Buckets(process.engine, config.names, self.world)),
            scope=RegionScope(fenced=fenced),
        )
        process.driver = replace(
            process.driver,
            environment=process.environment,
            applier=Applier(process.environment, process.catalog),
        )
        return process

    @contextmanager
    def wired(self, *_: Any, **__: Any) -> Iterator[Session]:
        process = self.process(*self.faults)
        store = open_state((self.world.folder / "state").as_uri())
        yield Session(process.environment, process.journal, process.catalog, store, None, self.machine, None)

    def begin_anew(self) -> None:
        """Nothing is up, and no name is used."""
        self.world = World(self.world.folder.parent / "anew", wanted=1)
        self.project = f"asked{uuid.uuid4().hex[:8]}"


@dataclass
class Buckets:
    """The model's engine; whatever it creates in a region brings the region's deployment bucket."""

    inner: Any
    names: Names
    world: World
    version: str = "3.200.0"
    mended: tuple[str, ...] = ()

    def preview(self, *arguments: Any, **more: Any) -> RunRecord:
        record = self.inner.preview(*arguments, **more)
        made = {step.region for step in record.planned if step.op == "create" and step.region}
        new = [
            ResourceStep("create", _urn(r, kind), kind, r, new={"bucket": self._name(r), **more})
            for r in sorted(made)
            if not self.world.parts(r, "state")
            for kind, more in PARTS.items()
        ]
        gone = {step.region for step in record.planned if step.op == "delete" and step.region} - made
        old = [
            ResourceStep("delete", _urn(r), BUCKET, r, old={"bucket": self._name(r)}) for r in sorted(gone)
        ]
        return RunRecord(planned=[*record.planned, *new, *old])

    def resources(self) -> list[dict[str, Any]]:
        there = [region for region in WAVES if self.world.parts(region, "state")]
        return [
            {"urn": _urn(r), "type": BUCKET, "id": self._name(r), "inputs": {"bucket": self._name(r)}}
            for r in there
        ]

    def _name(self, region: str) -> str:
        return DEPLOYMENT_BUCKET.name(self.names, region)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


BUCKET = "aws:s3/bucket:Bucket"
# A bucket, and what its policy and its public access block are to say.
PARTS: dict[str, dict[str, Any]] = {
    BUCKET: {},
    "aws:s3/bucketPolicy:BucketPolicy": {"policy": document(tls_only_bucket("arn:aws:s3:::b"))},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": dict.fromkeys(
        ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
    ),
}


def _urn(region: str, kind: str = BUCKET) -> str:
    return f"urn:pulumi:dev::shop::{kind}::b-{region}"


def make_bucket(clients: Clients, name: str, region: str) -> None:
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    clients.get("s3", region).create_bucket(Bucket=name, **cast(Any, where))


@pytest.fixture
def scene(tmp_path: Path, model: Use, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Up at release 0, with the buckets that say that it is there, and release 1 is wanted."""
    made = Scene(model(World(tmp_path / "world")), Somewhere(clients), f"asked{uuid.uuid4().hex[:8]}")
    made.process().up()
    for region in WAVES:
        make_bucket(clients, DEPLOYMENT_BUCKET.name(made.names, region), region)
    made.world.wanted = 1
    monkeypatch.setattr(opening, "open_session", made.wired)
    monkeypatch.setattr(doctor, "open_session", made.wired)
    return made


def _open_run(scene: Scene) -> str:
    with suppress(Crash):
        scene.process(Fault("step", "crash before", at=2)).up()
    return "is not finished: at wave-1/apply"


def _killed_first_up(scene: Scene) -> str:
    scene.begin_anew()
    with suppress(Crash):
        scene.process(Fault("step", "crash before", at=2)).up()
    scene.exits = EXIT_OK
    (left,) = scene.process().journal.unfinished()
    return left.run_id  # `preview` notes that it was killed


def _alarm_that_is_not_there(scene: Scene) -> str:
    scene.settings["deployment"] = {"bake": 0, "alarms": [{"name": "nobody", "region": CANARY}]}
    scene.exits = EXIT_INPUT
    return f"There is no alarm nobody in {CANARY}"


def _red_alarm(scene: Scene) -> str:
    name = ERRORS_ALARM.name(scene.names, OTHER)
    cloudwatch = scene.clients.inner.get("cloudwatch", OTHER)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="x",
        MetricName="y",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=f"a test of {long_ago}")
    return f"{name} [{OTHER}]"


def _alarms_that_may_not_be_read(scene: Scene) -> str:
    scene.clients.forbidden = "cloudwatch"
    return "cannot be read: not allowed"  # of one region, or of all at once


def _bake_too_short(scene: Scene) -> str:
    scene.settings |= {"target": "aws", "deployment": {"bake": "60s"}}
    scene.exits = EXIT_INPUT
    return "a bake of 60 s is shorter"


def _caller_who_is_no_operator(scene: Scene) -> str:
    scene.settings |= {"access": {"operators": ["arn:aws:iam::123456789012:role/somebody-else"]}}
    return "is none of access.operators"


_BOUNDARY = {"access": {"boundary": "arn:aws:iam::123456789012:policy/nobodys"}}


def _boundary_that_is_not_there(scene: Scene) -> str:
    scene.settings |= _BOUNDARY
    return "policy/nobodys of access.boundary does not exist"


def _boundary_that_may_not_be_read(scene: Scene) -> str:
    scene.settings |= _BOUNDARY
    scene.clients.forbidden = "get_policy"
    scene.exits = EXIT_OK
    return "of access.boundary cannot be read"


def _disabled_key(scene: Scene) -> str:
    kms, alias = scene.clients.inner.get("kms", CANARY), scene.names.key_alias(CANARY)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.disable_key(KeyId=key)
    return f"the key {alias}"


def _region_that_is_down(scene: Scene) -> str:
    scene.clients.down = CANARY
    return f"{CANARY} does not answer"


def _region_that_refuses(scene: Scene) -> str:
    scene.clients.refuses = CANARY
    return f"{CANARY} refuses"


def _region_that_is_gone(scene: Scene) -> str:
    bucket = DEPLOYMENT_BUCKET.name(scene.names, CANARY)
    scene.clients.inner.get("s3", CANARY).delete_bucket(Bucket=bucket)
    return f"the state says that dev is up in {CANARY}"


def _region_that_leaves_with_more(scene: Scene) -> str:
    scene.leaving = OTHER
    return "The settings differ from what is up"


def _fenced_region(scene: Scene) -> str:
    scene.world.wanted = 0  # a region that is gone takes no other change with it
    scene.fenced, scene.exits = OTHER, EXIT_OK
    return f"{OTHER} is fenced"


def _missing_secret(scene: Scene) -> str:
    scene.no_release = InputError("No value for token.", where="application.secrets")
    scene.exits = EXIT_INPUT
    return "No value for token."


def _name_that_aws_keeps(scene: Scene) -> str:
    scene.project, scene.exits = "sthree-asked", EXIT_INPUT
    return "begins with sthree-"


def _documents_too_large(scene: Scene) -> str:
    entries = [{"prefix": f"{n}/" + "p" * 1000} for n in range(50)]
    scene.settings |= {"carry": {"s3": entries}}
    scene.exits = EXIT_INPUT
    return "6,144 fit"


def _full_disk(scene: Scene) -> str:
    scene.machine = Machine(None, disks=(Disk("state", "/full", 1, 0),))
    return "/full has 0 MB of room left"


def _state_in_a_region_of_its_own(scene: Scene) -> str:
    scene.settings["state"] = f"s3://somewhere/x?region={OTHER}"
    scene.exits = EXIT_OK
    return "the state lies in a region of this environment"


def _name_that_is_taken(scene: Scene) -> str:
    scene.begin_anew()
    bucket = DEPLOYMENT_BUCKET.name(scene.names, OTHER)
    make_bucket(scene.clients.inner, bucket, OTHER)
    return f"Bucket {bucket} exists"


def _name_that_cannot_be_looked_for(scene: Scene) -> str:
    scene.begin_anew()
    scene.clients.broken = "s3"
    scene.exits = EXIT_OK
    return "it cannot be seen whether Bucket"


def _on_aws(scene: Scene) -> None:
    """With target aws and secrets in Secrets Manager; what is up is as it should be."""
    scene.settings |= {"target": "aws", "application": {"store": "secretsmanager"}, "deployment": {"bake": 0}}
    scene.exits = EXIT_OK


def _folder_that_is_no_text(scene: Scene) -> str:
    scene.machine = Machine(None, folder=Path(os.fsdecode(b"/home/ann/\xff")))
    scene.exits = EXIT_INPUT
    return "that name is not UTF-8"


def _little_memory(scene: Scene) -> str:
    _on_aws(scene)
    scene.machine = Machine(1)
    return "1 MB are free"


def _no_plugin(scene: Scene) -> str:
    _on_aws(scene)
    scene.machine = Machine(None, plugin_missing=True)
    return "the engine will first download its AWS plugin"


def _secret_that_waits_for_its_deletion(scene: Scene) -> str:
    _on_aws(scene)
    name = scene.names.secret("token", CANARY)
    manager = scene.clients.inner.get("secretsmanager", CANARY)
    manager.create_secret(Name=name, SecretString="x")
    manager.delete_secret(SecretId=name)
    scene.exits = EXIT_REFUSED
    return f"the secret {name} waits for its deletion"


def _secrets_that_may_not_be_listed(scene: Scene) -> str:
    _on_aws(scene)
    scene.clients.forbidden = "secretsmanager"
    return "it cannot be seen whether secrets wait"


def _keys_that_may_not_be_read(scene: Scene) -> str:
    scene.clients.forbidden = "describe_key"
    scene.exits = EXIT_OK
    return f"it cannot be seen whether the key {scene.names.key_alias('')[:8]}"  # of one region, or of all


def _key_of_one_machine(scene: Scene) -> str:
    scene.settings["state"] = "s3://somewhere/x?region=eu-west-3"
    scene.exits = EXIT_OK
    return "only this machine can go on"


TROUBLES = {
    ("unfinished", _open_run),
    ("unfinished", _killed_first_up),
    ("alarm", _alarm_that_is_not_there),
    ("red", _red_alarm),
    ("alarms-unknown", _alarms_that_may_not_be_read),
    ("bake", _bake_too_short),
    ("key", _disabled_key),
    ("key-unknown", _keys_that_may_not_be_read),
    ("region-down", _region_that_is_down),
    ("region", _region_that_refuses),
    ("gone", _region_that_is_gone),
    ("removal", _region_that_leaves_with_more),
    ("fenced", _fenced_region),
    ("secret", _missing_secret),
    ("name", _name_that_aws_keeps),
    ("size", _documents_too_large),
    ("disk", _full_disk),
    ("folder", _folder_that_is_no_text),
    ("memory", _little_memory),
    ("plugin", _no_plugin),
    ("state-region", _state_in_a_region_of_its_own),
    ("state-key", _key_of_one_machine),
    ("operators", _caller_who_is_no_operator),
    ("boundary", _boundary_that_is_not_there),
    ("boundary-unknown", _boundary_that_may_not_be_read),
    ("pending-secret", _secret_that_waits_for_its_deletion),
    ("pending-secret-unknown", _secrets_that_may_not_be_listed),
    ("collision", _name_that_is_taken),
    ("collision-unknown", _name_that_cannot_be_looked_for),
}
# Asked by nobody who makes no plan: of what it changes, of what a killed run made, what holds up `wire`
# itself, and how the terminal shows it.
BY_ONE = {
    *("quota", "quota-unknown", "permission", "permission-unknown", "data-loss", "left-out"),
    *("growth", "rights"),
    "interfaces",
    *("ownership", "ownership-unknown"),
    *("orphan", "recovered"),
    *("lock", "state", "journal", "engine"),
    "terminal",
    *("exists", "take-over", "issuer", "reach"),  # of what `bootstrap` makes
}


# All of these stand in the preflight, of which the short gate asks for some.
_THOROUGH = {
    "memory",
    "plugin",
    "state-region",
    "state-key",
    "key-unknown",
    "pending-secret-unknown",
    "boundary-unknown",
}


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        pytest.param(*each, marks=pytest.mark.thorough if each[0] in _THOROUGH else ())
        for each in sorted(TROUBLES, key=str)
    ],
)
def test_what_one_names_all_three_name(
    scene: Scene, capsys: pytest.CaptureFixture[str], code: str, trouble: Callable[[Scene], str]
) -> None:
    says = trouble(scene)
    for command in COMMANDS:
        capsys.readouterr()
        ended = run(app, command)
        told = " ".join("".join(capsys.readouterr()).split())
        assert says in told, (code, command, told)
        assert ended == scene.exits, (code, command, told)


@pytest.mark.usefixtures("scene")
def test_without_a_trouble_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert [run(app, command) for command in COMMANDS] == [EXIT_OK] * 3
    told = "".join(capsys.readouterr())
    assert "Nothing stands in the way." in told
    assert not any(line.startswith(("error ", "warning ", "info ")) for line in told.splitlines())


def test_no_fence_is_closed_before_the_yes(scene: Scene) -> None:
    scene.fenced = OTHER
    journal = scene.process().journal
    up = deployed_releases(journal)
    still = {
        r: {"release": digest, "settled": True, "note": ""} for r, digest in up.releases.items() if r != OTHER
    }
    given_up = {"regions": still, "links": up.links, "fenced": [OTHER], NOT_SHUT: {OTHER: ["some-role"]}}
    journal.start("promotion", {}).close("promoted", given_up)
    runs = [each.run_id for each in scene.process().journal.history()]
    assert run(app, ["up", "--no-validate"]) == EXIT_REFUSED, "nobody is there to be asked"
    assert [each.run_id for each in scene.process().journal.history()] == runs


@pytest.mark.parametrize("trouble", [_region_that_is_down, _region_that_is_gone])
def test_a_move_asks_the_same_before_it_plans(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Scene], str]
) -> None:
    monkeypatch.setattr(
        moves, "require_nothing_else", lambda *_: None
    )  # the model's engine knows no such release
    choices = Choices(Path("regionshift.yaml"), yes=True)
    scene.settings["deployment"] = {"failure_tolerance": 1}
    with scene.wired() as wired:
        run_id = moves.open_run(wired.journal, OTHER, CANARY).run_id
        assert moves.proposed_up(opening.tools_of(choices, wired), OTHER, CANARY).plan.errors == ()
        says = trouble(scene)
        with pytest.raises(PlanRefused, match=says):
            moves.proposed_up(opening.tools_of(choices, wired), OTHER, CANARY)
        assert wired.journal.view(run_id).outcome is None


def test_a_return_leaves_no_region_out_that_does_not_answer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejoining, "require_nothing_else", lambda *_: None)
    monkeypatch.setattr(rejoining, "require_fenced", lambda *_: None)
    choices = Choices(Path("regionshift.yaml"), yes=True)
    scene.settings["deployment"] = {"failure_tolerance": 1}
    with scene.wired() as wired:
        rejoining.plan_return(opening.tools_of(choices, wired), OTHER)
        says = _region_that_is_down(scene)
        with pytest.raises(PlanRefused, match=says):
            rejoining.plan_return(opening.tools_of(choices, wired), OTHER)


def test_more_rights_want_leave_by_the_id_that_the_plan_shows(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Buckets.preview

    def with_more(self: Buckets, *arguments: Any, **more: Any) -> RunRecord:
        record = plain(self, *arguments, **more)
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
        ends = (statement, {**statement, "Action": ["s3:GetObject", "s3:PutObject"]})
        old, new = ({"role": "worker", "policy": json.dumps({"Statement": each})} for each in ends)
        kind = "aws:iam/rolePolicy:RolePolicy"
        steps = [ResourceStep("update", _urn(r, kind), kind, r, old=old, new=new) for r in WAVES]
        return RunRecord(planned=[*record.planned, *steps])

    monkeypatch.setattr(Buckets, "preview", with_more)
    runs = [each.run_id for each in scene.process().journal.history()]
    assert run(app, ["preview", "--json"]) == EXIT_REFUSED
    (growth,) = json.loads(capsys.readouterr().out)["growth"]
    assert (growth["subject"], growth["regions"]) == (
        "role worker",
        sorted(WAVES, key=growth["regions"].index),
    )
    assert growth["opens"] == ["may s3:PutObject on arn:aws:s3:::b/*"]
    for given in ([], ["--allow-broadening", "0123456789abcdef"]):
        assert run(app, ["up", "--yes", *given]) == EXIT_REFUSED
        told = " ".join("".join(capsys.readouterr()).split())
        assert f"role worker in all {len(WAVES)} regions --allow-broadening {growth['id']}" in told
        assert "more rights than before: role worker" in told
    allowed = ["--allow-broadening", growth["id"]]
    assert run(app, ["preview", *allowed]) == EXIT_OK
    capsys.readouterr()
    assert run(app, ["up", *allowed]) == EXIT_REFUSED, "nobody is there to be asked"
    assert "--yes" in "".join(capsys.readouterr())
    monkeypatch.setenv("REGIONSHIFT_ALLOW_BROADENING", f"0123456789abcdef {growth['id']}")
    assert run(app, ["preview"]) == EXIT_OK
    assert [each.run_id for each in scene.process().journal.history()] == runs


def test_a_bucket_of_somebody_else_is_named_before_it_would_be_emptied(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.world.wanted, scene.leaving = 0, OTHER  # the bucket there is of another account
    for command in COMMANDS[1:]:
        capsys.readouterr()
        assert run(app, [*command, "--allow-data-loss"]) == EXIT_REFUSED
        told = " ".join("".join(capsys.readouterr()).split())
        assert DEPLOYMENT_BUCKET.name(scene.names, OTHER) in told
        assert "or may not be seen" in told


def test_a_retirement_that_is_refused_says_why(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.world.wanted, scene.leaving = 0, OTHER  # the bucket there is of another account
    left = scene.process().environment
    found = moves.Retirement(OTHER, cast(Any, None), left, propose(left, allow_data_loss=True))
    monkeypatch.setattr(moves, "propose_retirement", lambda *_, **__: found)
    with pytest.raises(PlanRefused, match=DEPLOYMENT_BUCKET.name(scene.names, OTHER)):
        move._retire(Choices(Path("regionshift.yaml"), yes=True), OTHER, allow_data_loss=True)


def test_no_question_is_asked_by_one_alone() -> None:
    """Whatever is found in operations is in the table, or is what only one of them can know."""
    assert _codes() == {code for code, _ in TROUBLES} | BY_ONE


def _codes() -> set[str]:
    """The codes of all findings in the source, as far as they are written where they are made."""
    found = set()
    for folder in ("operations", "cli"):
        for path in (Path(regionshift.__file__).parent / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = {name: value for name, value in vars(values).items() if isinstance(value, str)}
            constants |= {
                target.id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding":
                    code = node.args[0] if node.args else node.keywords[0].value
                    found.add(
                        code.value
                        if isinstance(code, ast.Constant)
                        else constants.get(ast.unparse(code), "secret")
                    )
    return found
