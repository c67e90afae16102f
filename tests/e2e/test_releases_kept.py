"""Releases that are kept: what is said of them, which make way, and going back to one, by another program too."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e_place import SENTINEL, Place

import regionshift
from regionshift import artifact
from regionshift.journal.sealing import key_from_file

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
PRIMARY, NEAR, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"
OTHER_SECRET = "s3ntinel-another-value-never-to-be-shown"


@pytest.fixture(scope="module")
def up(make_place: Callable[..., Place]) -> Place:
    """Three regions that are up and change in one wave; only the newest release is kept for its own sake."""
    place = make_place(
        regions={"primary": PRIMARY, "secondaries": [NEAR, FAR]},
        deployment={"waves": [[PRIMARY, NEAR, FAR]], "keep_releases": 1, "keep_days": 30},
    )
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    return place


def _change(place: Place, megabytes: int, *options: str, **more: str) -> str:
    """`up` with more memory; the digest of the release that it made."""
    place.settings["function"] = {"memory": megabytes}
    place.write()
    done = place.run("up", "--yes", *options, **more)
    assert done.code == 0, done.said
    return str(_kept(place)[0]["digest"])


def _kept(place: Place) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.run("releases", "--json").json
    return found


def _digests(place: Place) -> set[str]:
    return {str(each["digest"]) for each in _kept(place)}


def _age(place: Place, digest: str, days: int) -> None:
    """Make a release older than it is: no part of its digest, but of its seal, so who has the key does it."""
    folder = "releases/orders.dev"
    path = place.folder / f".regionshift/state/{folder}/{digest}.json"
    content = json.loads(path.read_text())
    del content["seal"]
    content["at"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    said = json.dumps(content, sort_keys=True, separators=(",", ":"))
    seal = key_from_file(place.folder / ".regionshift/state.key").mac(folder, digest, said)
    path.write_text(json.dumps({**content, "seal": seal}))


def _artifacts(place: Place) -> set[str]:
    return {path.stem for path in (place.folder / ".regionshift/state/artifacts/orders.dev").glob("*.zip")}


def _memories(place: Place) -> dict[str, int]:
    found = {}
    for region in place.regions:
        functions = place.clients.get("lambda", region).list_functions()["Functions"]
        found[region] = next(f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"])
    return found


def _another_artifact(folder: Path, text: str) -> tuple[str, str]:
    """The real function with one more file in its zip: its path, and its SHA-256."""
    path = folder / f"{text}.zip"
    shutil.copy(artifact.build(folder).path, path)
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("note.txt", text)
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_difference_tells_settings_artifact_and_that_a_secret_changed(up: Place, tmp_path: Path) -> None:
    (first,) = _kept(up)
    path, sha256 = _another_artifact(tmp_path, "second")
    second = _change(up, 600, REGIONSHIFT_TEST_ARTIFACT=path, ORDERS_TOKEN=OTHER_SECRET)
    told = up.run("diff", first["digest"][:8], second[:8], "--json")
    assert told.code == 0, told.said
    assert {each["path"]: (each["before"], each["after"]) for each in told.json} == {
        "artifact": (first["artifact"], sha256),
        "config.function.memory": (512, 600),
        "secrets.token": ("(changed)", "(changed)"),
    }
    newest = _kept(up)[0]
    assert newest["difference"] == told.json
    assert (newest["previous"], newest["regions"]) == (first["digest"], up.regions)
    assert all(newest[name] for name in ("at", "by", "tool", "plugin", "program"))
    for columns in (80, 120):
        for command in (["releases"], ["diff", first["digest"], second]):
            shown = up.run(*command, COLUMNS=str(columns))
            assert shown.code == 0, shown.said
            assert max(map(len, shown.out.splitlines())) <= columns


def test_a_release_that_is_not_there_is_one_clear_error(up: Place) -> None:
    newest = _kept(up)[0]["digest"]
    for other in ("ffffffff", "abc", "../../keys"):
        done = up.run("diff", newest, other, "--json")
        assert done.code == 2, done.said
        assert other in done.json["error"]["message"]
        assert done.json["error"]["remedy"] == "see: regionshift releases"


def test_old_releases_make_way_and_none_that_is_in_use(up: Place, tmp_path: Path) -> None:
    second, first = (str(each["digest"]) for each in _kept(up))
    _age(up, first, 31)
    path, brought = _another_artifact(tmp_path, "third")
    third = _change(up, 640, REGIONSHIFT_TEST_ARTIFACT=path)
    # By age: the first is older than 30 days and nowhere any more; the second is not that old.
    assert _digests(up) == {second, third}

    # The far region stays behind at the third, however old that gets.
    fourth = _change(up, 680, "--skip-region", FAR)
    _age(up, third, 31)
    fifth = _change(up, 720, "--skip-region", FAR)
    assert _digests(up) == {second, third, fourth, fifth}
    assert _kept(up)[-1]["regions"] == [FAR]

    # By number, with no age to keep them: only what the newest deployment came from and went to is in use.
    up.settings["deployment"]["keep_days"] = 0
    sixth = _change(up, 760)
    assert _digests(up) == {third, fifth, sixth}
    assert brought in _artifacts(up)
    assert _artifacts(up) == {str(each["artifact"]) for each in _kept(up)}


def test_the_oldest_release_that_is_kept_is_gone_back_to_from_its_kept_artifact(up: Place) -> None:
    oldest = _kept(up)[-1]
    assert _memories(up) == dict.fromkeys(up.regions, 760)
    shutil.rmtree(up.folder / ".regionshift/artifacts")
    done = up.run("rollback", "--yes", "--json")
    assert done.code == 0, done.said
    assert done.json["regions"] == dict.fromkeys(up.regions, "rolled back")
    assert _memories(up) == {PRIMARY: 720, NEAR: 720, FAR: 640}
    code = up.clients.get("lambda", FAR).list_functions()["Functions"]
    runs = next(each["CodeSha256"] for each in code if "-migration-" in each["FunctionName"])
    assert base64.b64decode(runs).hex() == oldest["artifact"]


def test_what_was_taken_back_is_not_taken_back_twice_nor_what_is_gone(up: Place) -> None:
    again = up.run("rollback", "--yes", "--json")
    assert again.code == 3, again.said
    assert "left nothing to roll back" in again.json["error"]["message"]
    assert "regionshift history" in again.json["error"]["remedy"]
    runs = [run["run_id"] for run in up.run("history", "--json").json if "-deployment-" in run["run_id"]]
    first, third = runs[-1], runs[-3]
    changed = up.run("rollback", third, "--yes", "--json")
    assert changed.code == 3, changed.said
    assert "was changed again since" in changed.json["error"]["message"]
    assert "newest first" in changed.json["error"]["remedy"]
    whole = up.run("rollback", first, "--yes", "--json")
    assert whole.code == 2, whole.said
    assert "regionshift destroy" in whole.json["error"]["remedy"]


def test_a_release_of_another_program_says_which_version_it_needs(up: Place, tmp_path: Path) -> None:
    other = tmp_path / "regionshift"
    shutil.copytree(Path(regionshift.__file__).parent, other, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "infrastructure/program.py").open("a", encoding="utf-8") as program:
        program.write("# another program\n")
    before, programs = _memories(up), {each["program"] for each in _kept(up)}
    newer = _change(up, 800, PYTHONPATH=str(tmp_path))
    assert {each["program"] for each in _kept(up) if each["digest"] == newer} - programs
    told = {each["path"] for each in up.run("diff", _kept(up)[1]["digest"], newer, "--json").json}
    assert "program" in told
    assert "* made for another program" in up.run("releases").out

    refused = up.run("rollback", "--yes", "--json", PYTHONPATH=str(tmp_path))
    assert refused.code == 3, refused.said
    assert f"needs regionshift {regionshift.__version__}" in refused.json["error"]["message"]
    assert "program" in refused.json["error"]["message"]
    assert _memories(up) == dict.fromkeys(up.regions, 800)
    back = up.run("rollback", "--yes", "--json")
    assert back.code == 0, back.said
    assert _memories(up) == before


def test_no_secret_can_be_read_or_guessed_from_what_is_kept(up: Place) -> None:
    state = up.folder / ".regionshift"
    files = [path for path in state.rglob("*") if path.is_file() and "cloud" not in path.parts]
    assert {"state", "engine"} <= {path.relative_to(state).parts[0] for path in files}
    for value in (SENTINEL, OTHER_SECRET):
        plain = value.encode()
        wanted = {plain, base64.b64encode(plain)}
        for name in ("md5", "sha1", "sha256", "sha512"):
            for text in (plain, b"token" + plain, b"token=" + plain):
                digest = hashlib.new(name, text).digest()
                wanted |= {digest, digest.hex().encode(), base64.b64encode(digest)}
        found = [path for path in files if any(each in path.read_bytes() for each in wanted)]
        assert found == []
        assert [said for said in up.told if value in said] == []
