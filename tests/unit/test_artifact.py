"""The function's zip: the same bytes, only verified contents, complete in an empty interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from importlib.util import find_spec
from pathlib import Path

import pytest

from regionshift.artifact import ArtifactError, build, lock
from regionshift.artifact.build import pack
from regionshift.artifact.lock import LOCK, SELECTIONS, lock_text, read_lock

# What Lambda's Python runtimes bring: boto3 and what it needs, but jmespath, which the artifact has itself.
RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "six", "urllib3")
PYTHONS = ("3.11", "3.12", "3.13")


def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    with zipfile.ZipFile(build(tmp_path / "cache").path) as archive:
        archive.extractall(folder)
    return folder


def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def in_empty_interpreter(
    python: str, paths: list[Path], program: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # The paths go to the front as Lambda does it; -I and -S leave nothing else but the standard library.
    setup = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}; "
    return subprocess.run(
        [python, "-I", "-S", "-B", "-c", setup + program],
        env=env or {},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def interpreter(version: str) -> str:
    if sys.version.startswith(f"{version}."):
        return sys.executable
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no python{version} here: the artifact is not tried on that runtime")
    return python


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = build(tmp_path / "one"), build(tmp_path / "other")
    assert one.sha256 == other.sha256
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.sha256 in one.path.name


def test_the_order_of_the_files_does_not_matter() -> None:
    files = {"b": b"2", "a/c": b"1", "a": b""}
    assert pack(files) == pack(dict(reversed(files.items())))
    assert pack(files) != pack(files | {"b": b"3"})


def test_everyone_may_read_what_is_in_it_and_nothing_is_compiled(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path).path) as archive:
        entries = archive.infolist()
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert not [entry.filename for entry in entries if entry.filename.endswith((".so", ".pyd", ".pyc"))]
    assert not [entry.filename for entry in entries if "boto" in entry.filename.split("/")[0]]
    assert sum(entry.file_size for entry in entries) < 5_000_000


def test_a_file_that_is_there_is_used_again_and_a_broken_one_replaced(tmp_path: Path) -> None:
    first = build(tmp_path)
    before = first.path.stat().st_mtime_ns
    assert build(tmp_path).path.stat().st_mtime_ns == before
    first.path.write_bytes(b"half")
    assert build(tmp_path).path.stat().st_size > 4
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_the_lock_is_that_of_the_tested_environment() -> None:
    assert LOCK.read_text(encoding="utf-8") == lock_text()
    assert set(read_lock()) == {selection.name for selection in SELECTIONS}


def _fake_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of jmespath's installation that a test may spoil."""
    real = lock.distribution("jmespath")
    assert real.files is not None
    for path in real.files:
        if not path.as_posix().startswith("..") and path.suffix != ".pyc":
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.locate(), target)
    info = next(tmp_path.glob("jmespath-*.dist-info"))

    def find(name: str) -> Distribution:
        return PathDistribution(info) if name == "jmespath" else real.from_name(name)

    monkeypatch.setattr(lock, "distribution", find)
    return tmp_path


def test_a_changed_file_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _fake_installation(tmp_path / "site", monkeypatch)
    build(tmp_path / "good")
    with (root / "jmespath" / "ast.py").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ArtifactError, match=r"jmespath/ast\.py"):
        build(tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_another_version_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _fake_installation(tmp_path / "site", monkeypatch)
    metadata = next(root.glob("jmespath-*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1", "Version: 99", 1))
    with pytest.raises(ArtifactError, match=r"jmespath 99\S* is installed, but the function is locked to"):
        build(tmp_path / "bad")


def test_a_missing_file_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _fake_installation(tmp_path / "site", monkeypatch)
    (root / "jmespath" / "ast.py").unlink()
    with pytest.raises(ArtifactError, match=r"ast\.py") as caught:
        build(tmp_path / "bad")
    assert caught.value.remedy


@pytest.mark.parametrize("version", PYTHONS)
def test_it_imports_in_an_empty_interpreter(version: str, tmp_path: Path) -> None:
    paths = [unpacked(tmp_path), runtime(tmp_path)]
    done = in_empty_interpreter(
        interpreter(version), paths, "import migration_handler; print(migration_handler.handler.__module__)"
    )
    assert done.stdout.strip() == "regionshift.function.migration_handler", done.stderr


@pytest.mark.parametrize(
    "missing",
    ["aws_lambda_powertools", "aws_xray_sdk", "wrapt", "jmespath", "typing_extensions.py", "regionshift"],
)
def test_without_one_of_its_parts_it_does_not_work(missing: str, tmp_path: Path) -> None:
    task = unpacked(tmp_path)
    part = task / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    # The tracer imports its parts only where it traces, which it does in Lambda.
    env = {"LAMBDA_TASK_ROOT": str(task)}
    program = "import migration_handler; from aws_lambda_powertools import Tracer; Tracer(service='test')"
    done = in_empty_interpreter(sys.executable, [task, runtime(tmp_path)], program, env)
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr


def test_it_answers_where_nothing_can_be_reached(tmp_path: Path) -> None:
    """The whole path of a call runs on the artifact's own parts, and gives an answer without any cloud."""
    env = {
        "REGION": "eu-west-1",
        "ACCOUNT": "123456789012",
        "ENVIRONMENT": "dev",
        "DEPLOYMENT_BUCKET": "bucket",
        "CONFIG_PARAMETER": "/parameter",
        "NOTIFICATION_TOPIC": "arn:aws:sns:eu-west-1:123456789012:topic",
        "VALIDATION_LOG_GROUP": "/validation",
        "KMS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "PATH": os.environ.get("PATH", ""),
    }
    program = "import json, migration_handler as m; print('ANSWER' + json.dumps(m.handler({}, None)))"
    done = in_empty_interpreter(sys.executable, [unpacked(tmp_path), runtime(tmp_path)], program, env)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert lines, done.stderr
    answer = json.loads(lines[0].removeprefix("ANSWER"))
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["status"], body["code"]) == (500, "error", "ValidationFailed")
    assert set(body["validation_results"].values()) == {False}
    assert all("not reached" in json.dumps(found) for found in body["details"].values())
