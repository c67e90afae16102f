"""The files that `regionshift ci` writes: what they may do, what they refuse, and that no change of a user is lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_jobs import Ended, Machines, evaluated
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.errors import InputError
from regionshift.operations.pipelines.files import Place, github_files, gitlab_files
from regionshift.settings.components import PIPELINE_SESSION, PipelineRole
from regionshift.settings.config import MigrationConfig

BIN = Path(sys.executable).parent
ACTIONLINT = Path(__file__).parents[2] / ".cache/bin/actionlint"
IMAGE = "registry.example.com/tools/regionshift@sha256:" + "0" * 64
SHARED: dict[str, Any] = {
    "project": "orders",
    "environment": "dev",
    "network": {"vpc_cidr": "10.0.0.0/16"},
    "state": "s3://team-state/orders?region=eu-central-1",
    "state_secrets": "awskms://alias/team-state?region=eu-central-1",
    "account": "123456789012",
    "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "ap-southeast-2"]},
    "pipeline": {"repository": "octo-org/orders", "image": IMAGE},
    "deployment": {"approve": [2, 3]},
    "application": {"secrets": {"token": {"env": "ORDERS_TOKEN"}, "key": {"env": "ORDERS_KEY"}}},
}
# The commits that these tags name, as `git ls-remote` of each repository tells.
PINNED = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/download-artifact": ("3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"),
    "actions/setup-python": ("5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0"),
    "actions/upload-artifact": ("bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "aws-actions/configure-aws-credentials": ("e6de054238d6b7531b4efff3b6587d9aade6a06c", "v6.2.3"),
    "github/codeql-action/upload-sarif": ("8aad20d150bbac5944a9f9d289da16a4b0d87c1e", "v4.36.2"),
    "pulumi/actions": ("8e5e406f4007fca908480587cb9893c07090f58d", "v7.0.0"),
}
CHANGING = ("up", "promote", "rollback", "resume")


def settings(**more: Any) -> MigrationConfig:
    return MigrationConfig.model_validate({**SHARED, **more})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A repository with settings in a folder of it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/dev.yaml").write_text(yaml.safe_dump(SHARED), encoding="utf-8")
    return Place.of(tmp_path / "envs/dev.yaml")


@pytest.fixture
def workflows(place: Place) -> dict[str, Any]:
    found = github_files(settings(), place)
    return {re.sub(r".*-dev-(.*)\.yml", r"\1", path): yaml.safe_load(text) for path, text in found.items()}


def _jobs(workflows: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(flow, name, job) for flow, each in workflows.items() for name, job in each["jobs"].items()]


def _actions(job: Any) -> list[str]:
    return [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step]


MANY = {
    "as they are": {},
    "no secrets": {"application": {}},
    "no approval": {"deployment": {"approve": []}},
    "one region": {"regions": {"primary": "us-east-1"}, "deployment": {"approve": [1]}},
    "approved from the first wave on": {"deployment": {"approve": [1, 2, 3, 30]}},
    "another partition": {
        "regions": {"primary": "us-gov-west-1", "secondaries": ["us-gov-east-1"]},
        "state": "s3://team-state/orders?region=us-gov-west-1",
        "state_secrets": "awskms://alias/team-state?region=us-gov-west-1",
    },
}


@pytest.mark.skipif(not ACTIONLINT.exists(), reason="actionlint is built by `make tools`, which needs Go")
@pytest.mark.parametrize("more", MANY.values(), ids=MANY)
def test_actionlint_finds_nothing(place: Place, more: dict[str, Any]) -> None:
    folder = _written(place, more)
    # Of concurrency it does not know `queue` yet (GitHub Docs, "Control the concurrency of workflows and jobs").
    known = ["-ignore", 'unexpected key "queue" for "concurrency" section']
    done = subprocess.run(
        [ACTIONLINT, *known, *folder.iterdir()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("more", MANY.values(), ids=MANY)
def test_zizmor_finds_nothing(place: Place, more: dict[str, Any]) -> None:
    command = [BIN / "zizmor", "--offline", "--no-config", "--quiet", "--persona", "pedantic"]
    done = subprocess.run([*command, _written(place, more)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_would_find_what_is_wrong(place: Place) -> None:
    folder = _written(place, {})
    path = next(folder.glob("*-rollback.yml"))
    text = path.read_text(encoding="utf-8").replace('"$REASON"', '"${{ inputs.reason }}"')
    path.write_text(text.replace("contents: read", "contents: reed"), encoding="utf-8")
    command = [BIN / "zizmor", "--offline", "--no-config", "--quiet", path]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    if ACTIONLINT.exists():
        assert b"reed" in subprocess.run([ACTIONLINT, path], capture_output=True, check=False).stdout


def _written(place: Place, more: dict[str, Any]) -> Path:
    for path, text in github_files(settings(**more), place).items():
        (place.root / path).parent.mkdir(parents=True, exist_ok=True)
        (place.root / path).write_text(text, encoding="utf-8")
    return place.root / ".github/workflows"


def test_every_action_is_one_commit_that_we_looked_up(place: Place) -> None:
    for text in github_files(settings(), place).values():
        uses = re.findall(r"uses: *(.*)", text)
        assert uses
        for each in uses:
            name, commit, tag = re.fullmatch(r"(\S+)@([0-9a-f]{40}) # (v[0-9.]+)", each).groups()  # type: ignore[union-attr]
            assert PINNED[name] == (commit, tag)


def test_a_job_may_just_what_it_does(workflows: dict[str, Any]) -> None:
    """Who has an identity has no right to write in the repository, and the other way round."""
    for flow, name, job in _jobs(workflows):
        assert workflows[flow]["permissions"] == {}
        actions, given = _actions(job), dict(job["permissions"])
        takes_a_role = "aws-actions/configure-aws-credentials" in actions
        assert (given.pop("id-token", None) == "write") == takes_a_role
        assert ("actions/checkout" in actions) == takes_a_role
        assert not takes_a_role or given.pop("contents") == "read"
        assert given == {
            ("preview", "comment"): {"pull-requests": "write"},
            ("preview", "findings"): {"security-events": "write"},
            ("promote", "settings"): {"pull-requests": "write", "contents": "write"},
            ("up", "reviewers"): {"actions": "read"},
            ("resume", "reviewers"): {"actions": "read"},
        }.get((flow, name), {})


def test_every_job_takes_the_role_of_its_task(workflows: dict[str, Any]) -> None:
    """One that changes something takes its role in that role's environment, where GitHub asks who reviews it."""
    found = {}
    for flow, name, job in _jobs(workflows):
        for step in job["steps"]:
            role = step.get("with", {}).get("role-to-assume")
            if role:
                found[flow, name] = (role.rpartition("/")[2], job.get("environment"))
                assert step["with"]["role-duration-seconds"] == PIPELINE_SESSION
    config = settings()
    preview, deploy, operate = (
        (role.role_name(config), role.github_environment(config))
        for role in (PipelineRole.PREVIEW, PipelineRole.DEPLOY, PipelineRole.OPERATE)
    )
    assert found == {
        ("preview", "preview"): preview,
        ("up", "up"): deploy,
        ("up", "wave-2"): deploy,
        ("up", "wave-3"): deploy,
        ("nightly", "drift"): preview,
        ("nightly", "validate"): operate,
        ("promote", "plan"): preview,
        ("promote", "promote"): deploy,
        ("rollback", "rollback"): deploy,
        ("resume", "resume"): deploy,
    }


def test_there_is_no_key_and_no_secret_but_the_applications(place: Place) -> None:
    for text in github_files(settings(), place).values():
        assert "access-key" not in text
        assert set(re.findall(r"secrets\.(\w+)", text)) <= {"ORDERS_TOKEN", "ORDERS_KEY"}
    assert "secrets." not in "".join(github_files(settings(application={}), place).values())


def test_one_run_is_at_work_and_none_is_cancelled(workflows: dict[str, Any]) -> None:
    for flow, each in workflows.items():
        at_once = each["concurrency"]
        assert at_once["cancel-in-progress"] is False
        if flow in CHANGING:
            assert at_once == {"group": "regionshift-dev", "cancel-in-progress": False, "queue": "max"}


def test_no_script_has_an_expression_in_it(workflows: dict[str, Any]) -> None:
    scripts = [step["run"] for _, _, job in _jobs(workflows) for step in job["steps"] if "run" in step]
    assert len(scripts) > 20
    assert [script for script in scripts if "${{" in script] == []


def test_a_fork_and_dependabot_get_no_preview_and_another_branch_nothing(workflows: dict[str, Any]) -> None:
    mine = {"github.repository": "octo-org/orders", "github.ref": "refs/heads/main"}
    head = "github.event.pull_request.head.repo.full_name"
    preview = workflows["preview"]["jobs"]["preview"]["if"]
    assert "pull_request_target" not in str(workflows["preview"])
    author = {"github.event.pull_request.user.login": "octocat"}
    assert evaluated(preview, {**mine, **author, head: "octo-org/orders"}, {})
    assert not evaluated(preview, {**mine, **author, head: "mallory/orders"}, {})
    # Whoever pushed to its branch since is the actor of the event, and reviewed nothing.
    author = {"github.event.pull_request.user.login": "dependabot[bot]", "github.actor": "octocat"}
    assert not evaluated(preview, {**mine, **author, head: "octo-org/orders"}, {})
    mine["inputs.wave"] = "2"
    calm = {"cancelled": False, "failure": False}
    for flow in ("nightly", *CHANGING):
        asked = [job["if"] for job in workflows[flow]["jobs"].values() if "github.ref" in job.get("if", "")]
        assert asked
        for each in asked:
            condition = each.removeprefix("${{").removesuffix("}}").strip()
            assert evaluated(condition, mine, calm)
            assert not evaluated(condition, {**mine, "github.ref": "refs/heads/other"}, calm)


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    """GitHub, for jobs that take no role: without a repository to check out, and without an AWS."""
    return Machines(tmp_path, tmp_path, {}, {}, dict.fromkeys, "123456789012")


@pytest.mark.parametrize("flow", ["up", "resume"])
def test_no_wave_is_applied_that_nobody_is_asked_for(
    workflows: dict[str, Any], machines: Machines, flow: str
) -> None:
    work = next(name for name in workflows[flow]["jobs"] if name != "reviewers")
    inputs: dict[str, object] = {"inputs.wave": "2"}

    def outcome() -> tuple[str, str]:
        asked = machines.run(workflows[flow], "reviewers", inputs)
        return asked.outcome, asked.said

    for rules in (None, (), ("wait_timer", "branch_policy")):
        if rules is not None:
            machines.protect("orders.dev.deploy", *rules)
        ended, said = outcome()
        assert ended == "failure"
        assert "no required reviewers of the environment orders.dev.deploy were found" in said
        refused = machines.run(workflows[flow], work, inputs, needs={"reviewers": Ended("failure")})
        assert refused.outcome == "skipped"
    machines.protect("orders.dev.deploy", "branch_policy", "required_reviewers")
    assert outcome()[0] == "success"


def test_without_approvals_nobody_is_asked_for_reviewers(place: Place) -> None:
    for text in github_files(settings(deployment={"approve": []}), place).values():
        assert "reviewers" not in text


def test_the_job_that_opens_a_pull_request_can_be_run_again(
    workflows: dict[str, Any], machines: Machines
) -> None:
    kept = machines.folder / "artifacts/regionshift-dev-settings"
    kept.mkdir(parents=True)
    (kept / "dev.yaml").write_text("project: orders\n", encoding="utf-8")
    for attempt in ("1", "2"):
        values: dict[str, object] = {"github.run_attempt": attempt}
        done = machines.run(workflows["promote"], "settings", values, needs={"promote": Ended("success")})
        assert done.outcome == "success", done.said
    known = json.loads(machines.github.read_text())
    assert [pull["head"] for pull in known["pulls"]] == [
        "regionshift/promote-4711-1",
        "regionshift/promote-4711-2",
    ]
    assert "close it and open it again" in known["pulls"][0]["body"]


HOSTILE = (
    "$(touch owned)",
    "`touch owned`",
    "; touch owned",
    "--to-nothing",
    "-y",
    "a b",
    "a\nb",
    '"',
    "'",
    "../x",
    "é",
)


def _steps(workflows: dict[str, Any], flow: str, name: str) -> list[str]:
    """The steps that look at inputs: whatever stands before the first action."""
    steps = workflows[flow]["jobs"][name]["steps"]
    first = next(number for number, step in enumerate(steps) if "uses" in step)
    return [step["run"] for step in steps[:first]]


def _ends(script: str, folder: Path, **variables: str) -> int:
    for shell in (["bash", "-eo", "pipefail"], ["sh", "-e"]):
        done = subprocess.run(
            [*shell, "-c", script],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", **variables},
            check=False,
            capture_output=True,
        )
    assert not (folder / "owned").exists()
    return done.returncode


@pytest.mark.parametrize("text", HOSTILE)
def test_inputs_are_looked_at_before_anything_else(
    workflows: dict[str, Any], tmp_path: Path, text: str
) -> None:
    (script,) = _steps(workflows, "rollback", "rollback")
    assert _ends(script, tmp_path, RUN=text, REASON="too slow") == 2
    (script,) = _steps(workflows, "resume", "resume")
    assert _ends(script, tmp_path, RUN=text, WAVE="2", DIRECTION="finish") == 2
    assert _ends(script, tmp_path, RUN="move-1", WAVE=text, DIRECTION="finish") == 2
    for job in ("plan", "promote"):
        (script,) = _steps(workflows, "promote", job)
        assert _ends(script, tmp_path, REGION=text) == 2


def test_right_inputs_pass(workflows: dict[str, Any], tmp_path: Path) -> None:
    (script,) = _steps(workflows, "rollback", "rollback")
    for run_id in ("", "000003-deployment-8669ed", "move-1"):
        assert _ends(script, tmp_path, RUN=run_id, REASON="it's too slow; `look` $(here)") == 0
    assert _ends(script, tmp_path, RUN="", REASON="") == 2
    assert _ends(script, tmp_path, RUN="", REASON="a\nb") == 2
    assert _ends(script, tmp_path, RUN="", REASON="a" * 201) == 2
    (script,) = _steps(workflows, "resume", "resume")
    for run_id, wave, direction, code in (
        ("", "", "finish", 0),
        ("", "", "take back", 2),
        ("000003-deployment-8669ed", "", "take back", 0),
        ("000003-deployment-8669ed", "2", "finish", 0),
        ("000003-deployment-8669ed", "30", "finish", 0),
        ("000003-deployment-8669ed", "31", "finish", 2),
        ("000003-deployment-8669ed", "", "finish", 2),
        ("", "2", "finish", 2),
        ("000003-deployment-8669ed", "2", "take back", 2),
    ):
        assert _ends(script, tmp_path, RUN=run_id, WAVE=wave, DIRECTION=direction) == code
    (script,) = _steps(workflows, "promote", "promote")
    assert [
        _ends(script, tmp_path, REGION=region) for region in ("eu-west-1", "ap-southeast-2", "us-east-1", "")
    ] == [0, 0, 2, 2]


def test_gitlabs_jobs_are_the_same(place: Place) -> None:
    (text,) = gitlab_files(settings(), place).values()
    jobs = yaml.safe_load(text)
    base = jobs[".regionshift-dev"]
    assert base["interruptible"] is False
    assert base["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "sts.amazonaws.com"}}
    assert base["image"] == IMAGE
    deploy = PipelineRole.DEPLOY.arn(settings())
    for name, job in jobs.items():
        whole = {**jobs[job["extends"]], **job} if "extends" in job else job
        if whole.get("variables", {}).get("AWS_ROLE_ARN") == deploy:
            assert whole["resource_group"] == "regionshift-dev", name
            assert '"main"' in whole["rules"][0]["if"], name
        for need in job.get("needs", []):
            assert need["job"] in jobs
        script = " ".join(job.get("script", []))
        assert not re.search(r'(?<!["+{=])\$\{?(RUN|REASON|REGION|regionshift_run)\b(?!:)', script), name
    assert jobs["regionshift dev wave-3"]["rules"][0]["when"] == "manual"
    assert "AWS_ACCESS_KEY_ID" not in text


def test_a_pipelines_variables_do_not_change_what_gitlabs_jobs_install_and_run(
    place: Place, tmp_path: Path
) -> None:
    # A secret of the application is the job's own, whatever it is called.
    config = settings(application={"secrets": {"token": {"env": "PYTHON_TOKEN"}}})
    (text,) = gitlab_files(config, place).values()
    lines = yaml.safe_load(text)[".regionshift-dev"]["before_script"]
    first = next(number for number, line in enumerate(lines) if "pip install" in line)
    kept = {
        "REGIONSHIFT_ALLOW_BROADENING": "a1 b2",
        "PYTHON_TOKEN": "x=y",
        "AWS_ROLE_ARN": "arn:x",
        "RUN": "1",
    }
    given = {
        **kept,
        "PATH": "/usr/bin:/bin",
        "AWS_ID_TOKEN": "token",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "PIP_INDEX_URL": "https://mallory.example",
        "PIP_FIND_LINKS": "a\nREGIONSHIFT_CONFIG=b",
        "PYTHONPATH": "mallory",
        "REGIONSHIFT_CONFIG": "mallory.yaml",
        "REGIONSHIFT_ENDPOINT": "https://mallory.example",
        "AWS_ENDPOINT_URL_STS": "https://mallory.example",
    }
    for shell in ("bash", "sh"):
        script = "\n".join(["set -e", *lines[:first], "env"])
        done = subprocess.run([shell, "-c", script], env=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        assert kept.items() <= found.items()
        assert found["REGIONSHIFT_CONFIG"] == "envs/dev.yaml"
        assert "mallory" not in done.stdout


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"state": ""}, "state"),
        ({"state": "file:///tmp/state"}, "state"),
        ({"state_secrets": None}, "state"),
    ],
)
def test_settings_that_no_machine_shares_are_refused(place: Place, more: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as refused:
        github_files(settings(**more), place)
    assert refused.value.where == where
    with pytest.raises(InputError, match="container image"):
        gitlab_files(settings(pipeline={}), place)


@pytest.mark.parametrize("name", ["a b.yaml", "$(x).yaml", "${{ x }}.yaml", "-c.yaml"])
def test_a_path_that_a_shell_would_read_otherwise_is_refused(place: Place, name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        github_files(settings(), Place(place.root, place.root / name))


@pytest.fixture
def ci(place: Place, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `regionshift ci github`; gives its exit code and what it said."""

    def command(*options: str) -> tuple[int, str]:
        code = run(app, ["ci", "github", "--config", str(place.config), *options])
        return code, "".join(capsys.readouterr())

    return command


def test_what_nobody_changed_is_written_anew(ci: Any, place: Place) -> None:
    assert ci("--check")[0] == 1
    assert not (place.root / ".github").exists()
    assert ci()[0] == 0
    assert ci("--check")[0] == 0
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(text.replace("- 3", "- 1"), encoding="utf-8")
    code, said = ci("--check")
    assert code == 1
    assert "outdated" in said
    assert ci()[0] == 0
    up = place.root / ".github/workflows/regionshift-dev-up.yml"
    assert "wave-1:" in up.read_text(encoding="utf-8")
    # A checkout may have other ends of lines.
    up.write_bytes(up.read_bytes().replace(b"\n", b"\r\n"))
    assert ci("--check")[0] == 0


def test_what_somebody_changed_is_not_lost(ci: Any, place: Place) -> None:
    assert ci()[0] == 0
    up = place.root / ".github/workflows/regionshift-dev-up.yml"
    mine = up.read_text(encoding="utf-8").replace("ubuntu-24.04", "my-runner")
    up.write_text(mine, encoding="utf-8")
    assert ci("--check")[0] == 0  # what we would write has not changed
    assert ci()[0] == 0
    assert up.read_text(encoding="utf-8") == mine
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(text.replace("- 3", "- 1"), encoding="utf-8")
    before = {path: path.read_bytes() for path in up.parent.iterdir()}
    code, said = ci()
    assert code == 3
    assert "my-runner" in said
    assert "--overwrite" in said
    assert {path: path.read_bytes() for path in up.parent.iterdir()} == before
    assert ci("--check")[0] == 1
    assert ci("--overwrite")[0] == 0
    assert "my-runner" not in up.read_text(encoding="utf-8")
    assert ci("--check")[0] == 0


def test_a_file_of_the_same_name_that_is_not_ours_is_not_lost(ci: Any, place: Place) -> None:
    up = place.root / ".github/workflows/regionshift-dev-up.yml"
    up.parent.mkdir(parents=True)
    up.write_bytes(b"name: mine \xff\n")
    assert ci()[0] == 3
    assert up.read_bytes() == b"name: mine \xff\n"
    shutil.rmtree(up.parent)
    assert ci()[0] == 0
