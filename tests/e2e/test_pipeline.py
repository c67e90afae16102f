"""The workflows that `regionshift ci github` writes, run: every job in a clean checkout, on one embedded AWS.

Each works as the role that `bootstrap` made for it. The story goes on from test to test: `bootstrap`, a pull request,
the first `up`, a change with an approval a wave whose second job's machine is lost, the nightly checks, a rollback, the
commands for any other CI, and another primary by hand.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_place import ACCOUNT, COMMAND, ON_AWS, SENTINEL, settings

from github_jobs import Ended, Machines, git
from regionshift.aws.clients import Clients
from regionshift.local import emulator
from service_models import record

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(ON_AWS), reason="its machines are this one, and its AWS is the embedded one"),
]
CANARY, OTHER, PRIMARY = "eu-west-1", "ap-southeast-2", "us-east-1"
ELSEWHERE = "eu-central-1"


@dataclass
class Team:
    """A repository with settings and their workflows, and the cloud that all machines share."""

    cloud: emulator.LocalCloud
    clients: Clients
    machines: Machines
    work: Path
    told: list[str] = field(default_factory=list)

    def commit(self, **more: Any) -> None:
        """Change the settings on the branch that is deployed, with the workflows that right ones make."""
        path = self.work / "regionshift.yaml"
        values = yaml.safe_load(path.read_text()) if path.exists() else {}
        path.write_text(yaml.safe_dump({**values, **more}), encoding="utf-8")
        subprocess.run([COMMAND, "ci", "github"], cwd=self.work, check=False, capture_output=True)
        git(self.work, "add", "--all")
        git(self.work, "-c", "user.name=dev", "-c", "user.email=dev@example.com", "commit", "-qm", "change")
        git(self.work, "push", "--quiet", "origin", "main")

    def workflow(self, name: str) -> dict[str, Any]:
        return self.machines.workflow(f".github/workflows/regionshift-dev-{name}.yml")

    def job(self, flow: str, name: str, values: dict[str, object] | None = None, **more: Any) -> Ended:
        done = self.machines.run(self.workflow(flow), name, values or {}, **more)
        self.told.append(done.said)
        return done

    def up(self) -> Ended:
        """The first jobs of a merge: who approves, then the change up to the first approval."""
        return self.job("up", "up", needs={"reviewers": self.job("up", "reviewers")})

    @property
    def state(self) -> tuple[str, str]:
        """The bucket and the prefix that `bootstrap` wrote into the settings."""
        text = yaml.safe_load((self.work / "regionshift.yaml").read_text())["state"]
        bucket, _, prefix = text.removeprefix("s3://").partition("?")[0].partition("/")
        return bucket, prefix

    def memory(self) -> list[int]:
        """What runs in AWS itself: the canary, the other, the primary."""
        found = []
        for region in (CANARY, OTHER, PRIMARY):
            functions = self.clients.get("lambda", region).list_functions()["Functions"]
            found += [f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"]]
        return found

    def has_begun(self, step: str) -> bool:
        """Whether the journal says that ``step`` of the newest run begins."""
        s3, (bucket, prefix) = self.clients.get("s3", ELSEWHERE), self.state
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/journal/")
        keys = sorted(
            each["Key"] for page in pages for each in page.get("Contents", []) if "/runs/" in each["Key"]
        )
        newest = keys[-1].rpartition("/")[0]
        bodies = (
            s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in reversed(keys) if newest in key
        )
        return any(f'"step":"{step}"'.encode() in body for body in bodies)

    def a_minute_passes(self) -> None:
        """The lease of a machine that is lost runs out: it is as long as nothing."""
        s3, (bucket, prefix) = self.clients.get("s3", ELSEWHERE), self.state
        (key,) = [
            each["Key"]
            for each in s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/locks/")["Contents"]
            if each["Key"].endswith(".json")
        ]
        lease = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert lease["holder"]
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**lease, "length": 0.0}).encode())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The repository, its bucket and key; the cloud goes when the module ends."""
    folder = tmp_path_factory.mktemp("team")
    record(folder / "cloud")
    cloud = emulator.up(folder / "cloud", ACCOUNT)
    clients = Clients(key=cloud.key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", "origin.git")
    git(folder, "clone", "--quiet", "origin.git", "work")
    git(folder / "work", "checkout", "-qB", "main")
    variables = {
        "REGIONSHIFT_ENDPOINT": cloud.endpoint,
        "REGIONSHIFT_CA_BUNDLE": str(cloud.ca_bundle),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
    }
    machines = Machines(
        folder / "origin.git",
        folder,
        variables,
        {"ORDERS_TOKEN": SENTINEL},
        lambda role: {"REGIONSHIFT_LOCAL_ROLE": role},
        ACCOUNT,
    )
    made = Team(cloud, clients, machines, folder / "work")
    (folder / "work/requirements.txt").write_text("regionshift\n")
    given = settings(deployment={"bake": 0, "approve": [2, 3]})
    (folder / "work/regionshift.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    # An administrator, once; the preview lays the empty state down, which the previewing role may not write.
    for command in (
        ["bootstrap", "--yes", "--region", ELSEWHERE, "--repository", "octo-org/orders"],
        ["preview"],
    ):
        done = subprocess.run(
            [COMMAND, *command],
            cwd=folder / "work",
            env={**os.environ, **variables, "ORDERS_TOKEN": SENTINEL},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(folder / "work/.regionshift")
    machines.protect("orders.dev.deploy", "required_reviewers", "branch_policy")
    made.commit()
    yield made
    emulator.down(folder / "cloud", wipe=True)


PULL_REQUEST = {
    "github.event.pull_request.head.repo.full_name": "octo-org/orders",
    "github.event.pull_request.number": 7,
    "github.event.pull_request.user.login": "octocat",
}


def test_a_pull_request_is_told_what_it_would_change(team: Team) -> None:
    fork = {**PULL_REQUEST, "github.event.pull_request.head.repo.full_name": "mallory/orders"}
    skipped = team.job("preview", "preview", fork)
    assert skipped.outcome == "skipped"
    assert team.job("preview", "comment", fork, needs={"preview": skipped}).outcome == "skipped"
    done = team.job("preview", "preview", PULL_REQUEST)
    assert done.outcome == "success", done.said
    for _ in range(2):  # the second writes the same comment anew
        told = team.job("preview", "comment", PULL_REQUEST, needs={"preview": done})
        assert told.outcome == "success", told.said
    (comment,) = json.loads(team.machines.github.read_text())["comments"]
    assert comment["body"].startswith("<!-- regionshift preview regionshift.yaml -->")
    assert "to create, 0 unchanged" in comment["body"]
    artifacts = team.machines.folder / "artifacts/regionshift-dev-preview"
    assert len(json.loads((artifacts / "preview.json").read_text())["changes"]) > 200
    assert team.memory() == []


def test_a_preview_that_is_refused_says_why_in_the_comment(team: Team) -> None:
    team.commit(protect="perhaps")
    done = team.job("preview", "preview", PULL_REQUEST)
    told = team.job("preview", "comment", PULL_REQUEST, needs={"preview": done})
    team.commit(protect=False)
    assert done.outcome == "failure"
    assert told.outcome == "success", told.said
    (comment,) = json.loads(team.machines.github.read_text())["comments"]
    assert 'found "perhaps"; allowed: true or false' in comment["body"]


def test_the_first_up_waits_for_nobody(team: Team) -> None:
    done = team.up()
    assert done.outcome == "success", done.said
    assert done.outputs == {"run": "", "wave": ""}
    assert team.memory() == [512] * 3
    skipped = team.job("up", "wave-2", needs={"up": done})
    assert skipped.outcome == "skipped"
    assert team.job("up", "wave-3", needs={"up": done, "wave-2": skipped}).outcome == "skipped"


def test_a_change_takes_a_job_and_an_approval_a_wave_and_bears_the_loss_of_a_machine(team: Team) -> None:
    team.commit(function={"memory": 640})
    first = team.up()
    assert first.outcome == "success", first.said
    assert first.outputs["wave"] == "2"
    assert team.memory() == [640, 512, 512]
    assert team.job("up", "wave-3", needs={"up": first, "wave-2": Ended("skipped")}).outcome == "skipped"

    lost = team.job("up", "wave-2", needs={"up": first}, killed_when=lambda: team.has_begun("wave-2/apply"))
    assert lost.outcome == "failure"
    assert team.job("up", "wave-3", needs={"up": first, "wave-2": lost}).outcome == "skipped"
    team.a_minute_passes()
    for _ in range(2):  # run again, and once more: it approves its own wave alone
        second = team.job("up", "wave-2", needs={"up": first})
        assert second.outcome == "success", second.said
        assert second.outputs["wave"] == "3"
        assert team.memory() == [640, 640, 512]
    # By hand, with no wave named: nothing is approved, whatever waits.
    by_hand: dict[str, object] = {"inputs.direction": "finish", "inputs.run": "", "inputs.wave": ""}
    asked = team.job("resume", "reviewers", by_hand)
    assert asked.outcome == "skipped"
    resumed = team.job("resume", "resume", by_hand, needs={"reviewers": asked})
    assert resumed.outcome == "success", resumed.said
    assert team.memory() == [640, 640, 512]
    third = team.job("up", "wave-3", needs={"up": first, "wave-2": second})
    assert third.outcome == "success", third.said
    assert third.outputs["wave"] == ""
    assert team.memory() == [640] * 3


def test_the_night_finds_nothing(team: Team) -> None:
    for name in ("drift", "validate"):
        done = team.job("nightly", name)
        assert done.outcome == "success", done.said
    report = team.machines.folder / "artifacts/regionshift-dev-validate/validate.xml"
    assert 'failures="0"' in report.read_text()


def test_a_rollback_by_hand_takes_no_input_for_a_command(team: Team) -> None:
    for run in ("$(touch /tmp/owned)", "--to-nothing"):
        refused = team.job("rollback", "rollback", {"inputs.run": run, "inputs.reason": "x"})
        assert refused.outcome == "failure"
        assert "has to be" in refused.said
        assert "Roll back" not in refused.said
    reason = "too slow; `touch owned` $(touch owned)"
    done = team.job("rollback", "rollback", {"inputs.run": "", "inputs.reason": reason})
    assert done.outcome == "success", done.said
    assert team.memory() == [512] * 3
    team.commit(function={"memory": 512})


def _any_other(number: int) -> dict[str, Any]:
    """A job of any other CI: the commands that docs/pipeline.md gives for it, the file kept from job to job."""
    text = (Path(__file__).parents[2] / "docs/pipeline.md").read_text(encoding="utf-8")
    section = text.partition("## Any other\n")[2].partition("\n## ")[0]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[number]
    role = "arn:aws:iam::123456789012:role/orders.dev.deploy"
    kept = {"name": "handed-over", "path": "handed-over.env"}
    steps = [
        {"uses": "actions/checkout@v7", "with": {"persist-credentials": False}},
        {
            "uses": "aws-actions/configure-aws-credentials@v6",
            "with": {"role-to-assume": role, "allowed-account-ids": ACCOUNT},
        },
        *([{"uses": "actions/download-artifact@v8", "with": {"name": "handed-over"}}] if number else []),
        {"run": commands, "id": "commands", "env": {"ORDERS_TOKEN": SENTINEL}},
        {"uses": "actions/upload-artifact@v7", "with": kept},
    ]
    return {"jobs": {"job": {"permissions": {"contents": "read", "id-token": "write"}, "steps": steps}}}


def test_the_commands_for_any_other_ci_do_the_same(team: Team) -> None:
    team.commit(function={"memory": 768})
    for number, memory in ((0, [768, 512, 512]), (1, [768, 768, 512]), (1, [768] * 3)):
        done = team.machines.run(_any_other(number), "job", {})
        team.told.append(done.said)
        assert done.outcome == "success", done.said
        assert team.memory() == memory
    team.commit(function={"memory": 512})
    assert team.machines.run(_any_other(0), "job", {}).outcome == "success"
    done = team.machines.run(_any_other(2), "job", {})
    assert done.outcome == "success", done.said
    assert team.memory() == [768] * 3
    team.commit(function={"memory": 768})


def _on_gitlab(team: Team, name: str, **variables: str) -> tuple[Ended, dict[str, str]]:
    """Run one of GitLab's jobs; gives what it hands over in its report of variables, too.

    GitLab runs ``before_script`` and ``script`` as one, and merges the variables of what a job extends (GitLab Docs,
    "CI/CD YAML syntax reference"). What makes the embedded AWS the AWS of a runner comes in between, as the first
    takes away what a pipeline's variables may not say.
    """
    jobs = yaml.safe_load((team.work / ".gitlab/regionshift-dev.yml").read_text())

    def extended(job: dict[str, Any]) -> dict[str, Any]:
        base = extended(jobs[job["extends"]]) if "extends" in job else {}
        return {**base, **job, "variables": {**base.get("variables", {}), **job.get("variables", {})}}

    job = extended(jobs[f"regionshift dev {name}"])
    runner = {**team.machines.variables, **team.machines.take_role(job["variables"]["AWS_ROLE_ARN"])}
    runner |= {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    exports = [f"export {key}={shlex.quote(text)}" for key, text in runner.items()]
    given = {**job["variables"], "AWS_ID_TOKEN": "token", "ORDERS_TOKEN": SENTINEL, **variables}
    steps = [
        {"uses": "actions/checkout@v7", "with": {"persist-credentials": False}},
        {"run": "\n".join([*job["before_script"], *exports, *job["script"]]), "id": "job", "env": given},
        {
            "uses": "actions/upload-artifact@v7",
            "with": {"name": "gitlab", "path": "handed-over.env preview.md"},
        },
    ]
    flow = {"jobs": {"job": {"permissions": {"contents": "read", "id-token": "write"}, "steps": steps}}}
    done = team.machines.run(flow, "job", {})
    team.told.append(done.said)
    file = team.machines.folder / "artifacts/gitlab/handed-over.env"
    lines = file.read_text().splitlines() if file.exists() else []
    return done, dict(line.split("=") for line in lines)


def test_the_jobs_of_gitlab_do_the_same(team: Team) -> None:
    image = f"registry.example.com/runner@sha256:{'0' * 64}"
    repository = yaml.safe_load((team.work / "regionshift.yaml").read_text())["pipeline"]
    team.commit(function={"memory": 512}, pipeline={**repository, "image": image})
    subprocess.run([COMMAND, "ci", "gitlab"], cwd=team.work, check=True, capture_output=True)
    team.commit()

    def ran(name: str, **variables: str) -> dict[str, str]:
        done, handed = _on_gitlab(team, name, **variables)
        assert done.outcome == "success", done.said
        return handed

    stood = ran("up")  # what stood before, or the environment's first
    while "regionshift_wave" in stood:
        stood = ran(f"wave-{stood['regionshift_wave']}", **stood)
    assert "No wave waits." in _on_gitlab(team, "wave-2")[0].said
    team.commit(function={"memory": 896})
    ran("preview", CI_PIPELINE_SOURCE="merge_request_event")
    assert "896" in (team.machines.folder / "artifacts/gitlab/preview.md").read_text()
    handed = ran("up")
    assert handed["regionshift_wave"] == "2"
    assert team.memory() == [896, 512, 512]
    after = ran("wave-2", **handed)
    assert (after["regionshift_run"], after["regionshift_wave"]) == (handed["regionshift_run"], "3")
    assert team.memory() == [896, 896, 512]
    for wrong in ("", "$(touch /tmp/here)", "000099-deployment-abcdef"):
        assert _on_gitlab(team, "take back", RUN=wrong)[0].outcome == "failure"
    ran("take back", RUN=handed["regionshift_run"])
    assert team.memory() == [512] * 3
    team.commit(function={"memory": 512})


def test_another_primary_by_hand_gives_the_settings_back_as_a_pull_request(team: Team) -> None:
    same = team.up()
    assert same.outcome == "success", same.said
    values: dict[str, object] = {"inputs.region": CANARY, "inputs.source_lost": False}
    plan = team.job("promote", "plan", values)
    assert plan.outcome == "success", plan.said
    done = team.job("promote", "promote", values, needs={"plan": plan})
    assert done.outcome == "success", done.said
    opened = team.job("promote", "settings", values, needs={"promote": done})
    assert opened.outcome == "success", opened.said
    known = json.loads(team.machines.github.read_text())
    (pull,) = known["pulls"]
    assert (pull["base"], pull["head"]) == ("main", "regionshift/promote-4711-1")
    changed = yaml.safe_load(base64.b64decode(known["files"]["regionshift.yaml"]))
    assert changed["regions"]["primary"] == CANARY
    team.commit(regions=changed["regions"])
    after = team.job("preview", "preview", PULL_REQUEST)
    assert after.outcome == "success", after.said
    artifacts = team.machines.folder / "artifacts/regionshift-dev-preview"
    assert json.loads((artifacts / "preview.json").read_text())["changes"] == []


def test_no_secret_was_told_anywhere(team: Team) -> None:
    kept = [path.read_bytes() for path in (team.machines.folder / "artifacts").rglob("*") if path.is_file()]
    assert [
        each for each in [*kept, *(said.encode() for said in team.told)] if SENTINEL.encode() in each
    ] == []
