"""The whole life of an environment, done by roles that have just the policies that `policy deploy` prints.

The embedded AWS writes down every question that its policies are asked, and which statement alone answers it. So one
life tells of each statement, and of each action in it, whether something would be refused without it. Some statements
are taken away in earnest, and the part of the life that they serve fails. The roles of the environment's own functions,
machines and replication are held to the same.

``least_privilege.json`` beside this file has the settings, and names what this life does not ask on the embedded AWS,
each with its reason; no entry is left over. ``tests/unit/infrastructure/test_unasked_rights.py`` holds them against
AWS's reference and the tables.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from e2e_place import ACCOUNT, ON_AWS, Place

from regionshift.infrastructure.operator_rights import operator_policies
from regionshift.local.state import QUESTIONS
from regionshift.settings.components import (
    COMPONENTS,
    DEPLOYMENT_BUCKET,
    FUNCTION,
    FUNCTION_ROLE,
    LOG_BUCKET,
    WORKER_ROLE,
    PipelineRole,
)
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config
from regionshift.settings.names import NameKind

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(ON_AWS), reason="only the embedded AWS tells what was asked"),
]
FIRST, SECOND, STATE_REGION = "us-east-1", "eu-west-1", "eu-central-1"
PREVIEW, DEPLOY, OPERATE = PipelineRole.PREVIEW, PipelineRole.DEPLOY, PipelineRole.OPERATE
TABLE = json.loads((Path(__file__).parent / "least_privilege.json").read_text(encoding="utf-8"))
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
NOTHING = {"Sid": "Nothing", "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
Statement = dict[str, Any]


def document(statements: list[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Life:
    """An environment in an embedded AWS that writes its questions down, and the roles that work on it.

    Args:
        wrong: commands that ended otherwise than they should, with what they said.
        taken: what roles are for, and the actions that they lacked for a while.
        held: the statements that roles ever had, by what a role is for.
    """

    place: Place
    wrong: list[str] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)
    held: dict[str, dict[str, Statement]] = field(default_factory=dict)

    @cached_property
    def config(self) -> MigrationConfig:
        return load_config(self.place.folder / "regionshift.yaml", {}, {})

    @cached_property
    def uses(self) -> dict[str, str]:
        """What a role is for, by its name, in whatever region."""
        names = self.config.names
        ours = {role.role_name(self.config): str(role) for role in PipelineRole}
        for component in COMPONENTS:
            if component.kind is NameKind.ROLE:
                ours |= {component.name(names, region): component.part for region in (FIRST, SECOND)}
        return ours

    def make_roles(self) -> None:
        """As `bootstrap` does: each with the policies that `policy deploy` prints for it."""
        iam = self.place.clients.get("iam", FIRST)
        for role in PipelineRole:
            name = role.role_name(self.config)
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document([TRUST]))
            for policy in operator_policies(self.config, role):
                made = iam.create_policy(PolicyName=policy.name, PolicyDocument=policy.document)
                iam.attach_role_policy(RoleName=name, PolicyArn=made["Policy"]["Arn"])
        self.note_statements()

    def run(self, role: PipelineRole, *arguments: str) -> None:
        code, said = self._run(role, *arguments)
        if code:
            self.wrong.append(f"{role}: {' '.join(arguments)} ended with {code}: {said}")

    def _run(self, role: PipelineRole, *arguments: str) -> tuple[int, str]:
        done = self.place.run(*arguments, REGIONSHIFT_LOCAL_ROLE=role.role_name(self.config))
        return done.code, done.said

    def refuse(self, role: PipelineRole, sid: str, *arguments: str, of: str = "") -> None:
        """Without that statement, of the role itself or of the role named ``of``, the command fails.

        And the role is told what it may not, or asks for it and is refused.
        """
        lacking = of or role.role_name(self.config)
        use = self.uses[lacking]
        with self._without(lacking, sid):
            code, said = self._run(role, *arguments)
        lost = {action.lower() for action in _listed(self.held[use][sid]["Action"])}
        self.taken |= {(use, action) for action in lost}
        told = "".join(said.split()).lower()
        asked = {
            each["action"].lower() for each in self.questions() if each["role"] == use and not each["allowed"]
        }
        if not code or not any(action in told or action in asked for action in lost):
            self.wrong.append(f"{use} without {sid}: {' '.join(arguments)} ended with {code}: {said}")

    @contextmanager
    def _without(self, role: str, sid: str) -> Iterator[None]:
        """Meanwhile the role has its policies without that statement."""
        iam = self.place.clients.get("iam", FIRST)
        changed = False
        for arn, statements in self._managed(role):
            if (left := _less(statements, sid)) is not None:
                made = iam.create_policy(PolicyName=f"{role}-without-{sid}", PolicyDocument=document(left))[
                    "Policy"
                ]["Arn"]
                iam.attach_role_policy(RoleName=role, PolicyArn=made)
                iam.detach_role_policy(RoleName=role, PolicyArn=arn)
                yield
                iam.attach_role_policy(RoleName=role, PolicyArn=arn)
                iam.detach_role_policy(RoleName=role, PolicyArn=made)
                changed = True
        for name, statements in self._inline(role):
            if (left := _less(statements, sid)) is not None:
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document(left))
                yield
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document(statements))
                changed = True
        assert changed, f"{role} has no statement {sid}"

    def _managed(self, role: str) -> list[tuple[str, list[Statement]]]:
        iam = self.place.clients.get("iam", FIRST)
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
        found: list[tuple[str, list[Statement]]] = []
        for arn in [*pages.search("AttachedPolicies[].PolicyArn")]:
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            told: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            found.append((arn, told["Statement"]))
        return found

    def _inline(self, role: str) -> list[tuple[str, list[Statement]]]:
        iam = self.place.clients.get("iam", FIRST)
        pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
        found: list[tuple[str, list[Statement]]] = []
        for name in [*pages.search("PolicyNames[]")]:
            told: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            found.append((name, told["Statement"]))
        return found

    def note_statements(self) -> None:
        """What the roles have now; a role that is changed or goes had it all the same."""
        iam = self.place.clients.get("iam", FIRST)
        for name in [*iam.get_paginator("list_roles").paginate().search("Roles[].RoleName")]:
            if use := self.uses.get(name):
                held = self.held.setdefault(use, {})
                for _, statements in (*self._managed(name), *self._inline(name)):
                    held.update({each["Sid"]: each for each in statements})

    def questions(self) -> Iterator[dict[str, Any]]:
        """What was asked about the roles, whose names stand as what they are for."""
        with (self.place.folder / ".regionshift/cloud" / QUESTIONS).open(encoding="utf-8") as file:
            for line in file:
                question = json.loads(line)
                yield {**question, "role": self.uses.get(question["role"], "")}

    def call(self, region: str, **event: Any) -> dict[str, Any]:
        """Ask a region's function, which does it or has begun it; gives its answer's body."""
        name = FUNCTION.name(self.config.names, region)
        answer = self.place.clients.get("lambda", region).invoke(
            FunctionName=name, Payload=json.dumps(event).encode()
        )
        told = json.loads(answer["Payload"].read())
        if told.get("statusCode") not in (200, 202):
            self.wrong.append(f"the function in {region}: {event} ended with {told}")
        body: dict[str, Any] = json.loads(told.get("body", "{}"))
        return body

    def wait(self, region: str, execution: str) -> None:
        """Until the state machine has done it."""
        states = self.place.clients.get("stepfunctions", region)
        until = time.monotonic() + 300
        while (found := states.describe_execution(executionArn=execution)["status"]) == "RUNNING":
            assert time.monotonic() < until, execution
            time.sleep(0.1)
        if found != "SUCCEEDED":
            self.wrong.append(f"{execution} ended as {found}")


def _less(statements: list[Statement], sid: str) -> list[Statement] | None:
    """The others, and at least one; None when it is not among them."""
    left = [each for each in statements if each["Sid"] != sid]
    return None if len(left) == len(statements) else left or [NOTHING]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.fixture(scope="module")
def life(make_place: Callable[..., Place]) -> Life:
    """Up, a change in waves, checks, data there and back, the change back, another primary, and the end."""
    place = make_place(**TABLE["settings"])
    cloud = place.folder / ".regionshift/cloud"
    cloud.mkdir(parents=True, exist_ok=True)
    (cloud / QUESTIONS).touch()
    _seed(place)
    life = Life(place)
    life.make_roles()
    live(life)
    return life


def _seed(place: Place) -> None:
    """The bucket and key of the state, and what is to be carried."""
    clients, value = place.clients, {"Key": "team", "Value": "media"}
    for region, bucket in (
        (STATE_REGION, "team-state"),
        (FIRST, f"old-media-{FIRST}"),
        (SECOND, f"old-media-{SECOND}"),
    ):
        s3 = clients.get("s3", region)
        where: Any = {} if region == FIRST else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **where)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    # Objects of one whose owner does not own them all have ACLs, which a plan looks at.
    clients.get("s3", FIRST).put_bucket_ownership_controls(
        Bucket=f"old-media-{FIRST}", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    for region, alias in (
        (STATE_REGION, "alias/team-state"),
        (FIRST, "alias/media"),
        (SECOND, "alias/media"),
    ):
        kms = clients.get("kms", region)
        kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    under = {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": clients.get("kms", STATE_REGION).create_key()["KeyMetadata"]["Arn"],
    }
    clients.get("s3", STATE_REGION).put_bucket_encryption(
        Bucket="team-state",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": under}]},  # type: ignore[typeddict-item]
    )
    own = clients.get("kms", FIRST).create_key()["KeyMetadata"]["Arn"]
    media, old = clients.get("s3", FIRST), clients.get("s3", SECOND)
    for number in range(3):
        media.put_object(
            Bucket=f"old-media-{FIRST}",
            Key=f"a/{number}",
            Body=b"new",
            Tagging="team=media",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=own,
        )
    old.put_object(Bucket=f"old-media-{SECOND}", Key="a/0", Body=b"old", Tagging="team=old")
    ssm, vault = clients.get("ssm", FIRST), clients.get("secretsmanager", FIRST)
    ssm.put_parameter(Name="/old/plain", Value="v", Type="String", Tags=[value])
    ssm.put_parameter(Name="/old/password", Value="v", Type="SecureString", KeyId=own)
    ssm.put_parameter(Name="/keyed/password", Value="v", Type="SecureString", KeyId=own)
    clients.get("ssm", SECOND).put_parameter(Name="/old/plain", Value="before", Type="String")
    vault.create_secret(Name="old/token", SecretString="v", KmsKeyId=own, Tags=[value])
    vault.create_secret(Name="old/new", SecretString="v", KmsKeyId=own)
    by_tag = {"Key": "Carry", "Value": "yes"}
    vault.create_secret(Name="loose/token", SecretString="v", Tags=[by_tag])
    vault.create_secret(Name="loose/old", SecretString="v", Tags=[by_tag, value])
    there = clients.get("secretsmanager", SECOND)
    there.create_secret(Name="old/token", SecretString="before")
    there.create_secret(Name="loose/old", SecretString="before", Tags=[by_tag])
    for one in (vault, there):
        one.create_secret(Name="app/password", SecretString="v", KmsKeyId="alias/media")


def live(life: Life) -> None:
    """One life; before some parts a statement that they need is taken away."""
    names = life.config.names
    life.refuse(DEPLOY, "MakeKeys", "up", "--yes")
    life.run(PREVIEW, "preview")
    life.run(DEPLOY, "up", "--yes")
    life.note_statements()
    life.refuse(PREVIEW, "StateKey", "preview")
    life.run(PREVIEW, "drift")
    life.refuse(OPERATE, "CallFunction", "validate")
    life.run(OPERATE, "validate")
    _ask_functions(life)
    life.refuse(OPERATE, "StartMigrations", "migrate", *_carried("one"))
    for role, name in ((OPERATE, "one"), (DEPLOY, "two")):
        life.run(role, "migrate", *_carried(name))
        life.run(role, "status", name, "--verify")
        life.run(PREVIEW, "status", name)
        if role is OPERATE:
            life.refuse(OPERATE, "Records", "rollback", name, "--yes")
        life.run(role, "rollback", name, "--yes")
    life.run(PREVIEW, "promote", SECOND, "--plan-only")
    life.place.settings |= {"function": {"memory": 256}, "tags": {"team": "orders"}}
    life.place.write()
    life.run(PREVIEW, "preview")
    life.run(PREVIEW, "doctor")
    life.run(PREVIEW, "status")
    life.run(OPERATE, "status")
    life.refuse(DEPLOY, "Functions", "up", "--yes")
    life.run(DEPLOY, "up", "--yes")
    life.run(DEPLOY, "rollback", "--yes")
    life.place.settings |= {"function": {}, "tags": {}}
    life.place.write()
    life.run(DEPLOY, "promote", SECOND, "--yes")
    life.note_statements()
    # Last, as it turns alarms red, by which whatever changes the environment goes.
    life.place.clients.get("secretsmanager", FIRST).put_secret_value(SecretId="old/token", SecretString="w")
    life.refuse(OPERATE, "WriteSecrets", "migrate", *_carried("none"), of=WORKER_ROLE.name(names, SECOND))
    life.refuse(OPERATE, "SeeKey", "validate", of=FUNCTION_ROLE.name(names, FIRST))
    # As S3 delivers a log.
    logs = LOG_BUCKET.name(names, FIRST)
    for number in range(2):
        life.place.clients.get("s3", FIRST).put_object(Bucket=logs, Key=f"{logs}/{number}", Body=b"GET")
    life.refuse(DEPLOY, "EmptyBuckets", "destroy", "--yes")
    life.run(DEPLOY, "destroy", "--yes")


def _carried(name: str) -> tuple[str, ...]:
    return ("--from", FIRST, "--to", SECOND, "--id", name, "--yes")


def _ask_functions(life: Life) -> None:
    """What they do themselves: carry within their bucket, have the machine carry from elsewhere, take both back."""
    for region in (FIRST, SECOND):
        bucket, own = DEPLOYMENT_BUCKET.name(life.config.names, region), f"own-{region}"
        for key in ("in/a", "in/b"):
            life.place.clients.get("s3", region).put_object(
                Bucket=bucket, Key=key, Body=b"a", Tagging="team=media"
            )
        life.call(region, action="migrate", migration_id=own, source_prefix="in/", target_prefix=f"{own}/")
        life.call(region, action="rollback", migration_id=own, reason="trial")
    there = {
        "source": {"region": FIRST, "bucket": f"old-media-{FIRST}", "prefix": "a/"},
        "target": {"bucket": f"old-media-{SECOND}", "prefix": "a/"},
    }
    begun = life.call(SECOND, action="migrate", migration_id="there", **there)
    life.call(SECOND, action="migrate", migration_id="there", **there)  # looks whether it runs, and joins it
    life.wait(SECOND, begun["execution"])
    undone = life.call(SECOND, action="rollback", migration_id="there", reason="trial")
    life.wait(SECOND, undone["execution"])


def unproven(life: Life) -> dict[str, list[str]]:
    """By ``<role> <Sid>`` the actions that would not be missed."""
    needed: dict[tuple[str, str], set[str]] = {}
    for each in life.questions():
        if each["needs"]:
            needed.setdefault((each["role"], each["needs"]), set()).add(each["action"].lower())
    found = {
        f"{role} {sid}": sorted(
            action
            for action in _listed(statement["Action"])
            if action.lower() not in needed.get((role, sid), ())
        )
        for role, statements in life.held.items()
        for sid, statement in statements.items()
        if statement["Effect"] == "Allow"
    }
    return {statement: actions for statement, actions in sorted(found.items()) if actions}


def test_all_of_it_is_done_and_what_lacks_a_statement_is_refused(life: Life) -> None:
    assert life.wrong == []


def test_nobody_is_refused_anything_else(life: Life) -> None:
    """Nor does a role of the environment ask in vain for what it then goes on without."""
    refused = {
        (each["role"], each["action"])
        for each in life.questions()
        if not each["allowed"] and each["role"] and (each["role"], each["action"].lower()) not in life.taken
    }
    # Whether a key is ours its tags say, and of strangers' keys they are told to nobody.
    assert refused <= {(str(DEPLOY), "kms:ListResourceTags"), (str(PREVIEW), "kms:ListResourceTags")}


def test_every_action_of_every_statement_is_needed_or_cannot_be_asked_here(life: Life) -> None:
    """No reason is left over either, but for what only a slow replication asks."""
    assert _pairs(unproven(life)) - _named("by_chance") == _named("unasked")


def _named(part: str) -> set[tuple[str, str]]:
    return {pair for statements in TABLE[part].values() for pair in _pairs(statements)}


def _pairs(statements: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    return {(statement, action) for statement, actions in statements.items() for action in actions}
