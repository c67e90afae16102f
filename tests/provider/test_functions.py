"""What the contract cannot say about functions: their code runs, and versions are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provider_cases.functions import HANDLER, archive, function_inputs, new_function
from provider_lab import Lab, opened
from pulumi.runtime import rpc

from regionshift.local import emulator
from regionshift.local.provider.wire import Asset

pytestmark = pytest.mark.provider

_FUNCTION = "aws:lambda/function:Function"


def _said(lab: Lab, name: str) -> str:
    answer = lab.client("lambda").invoke(FunctionName=name)
    return str(json.loads(answer["Payload"].read())["said"])


def test_the_code_given_is_the_code_that_runs(lab: Lab) -> None:
    inputs = function_inputs(lab)
    made = lab.create(_FUNCTION, inputs)
    assert _said(lab, made.identity) == "first"
    changed = {**inputs, "code": archive(lab, HANDLER % "second")}
    updated = lab.update(made, changed)
    assert _said(lab, made.identity) == "second"
    assert updated.properties["codeSha256"] != made.properties["codeSha256"]


def test_code_that_was_changed_behind_its_back_is_put_back(lab: Lab) -> None:
    inputs = function_inputs(lab)
    made = lab.create(_FUNCTION, inputs)
    inputs = {**inputs, "sourceCodeHash": made.properties["codeSha256"]}
    made = lab.update(made, inputs)
    other = archive(lab, HANDLER % "stray")
    assert other.path is not None
    packed = Path(other.path).read_bytes()
    lab.client("lambda").update_function_code(FunctionName=made.identity, ZipFile=packed)
    drifted = lab.refresh(made)
    assert drifted is not None
    assert lab.plan(drifted, inputs).names == {"sourceCodeHash"}
    lab.update(drifted, inputs)
    assert _said(lab, made.identity) == "first"


def test_a_folder_and_a_map_of_texts_are_archives_too(lab: Lab) -> None:
    folder = lab.folder / "source"
    folder.mkdir()
    (folder / "main.py").write_text(HANDLER % "from a folder")
    inputs = function_inputs(lab)
    from_folder = Asset(rpc._special_archive_sig, digest="1", path=str(folder))
    made = lab.create(_FUNCTION, {**inputs, "code": from_folder})
    assert _said(lab, made.identity) == "from a folder"
    text = Asset(rpc._special_asset_sig, digest="2", text=HANDLER % "from a text")
    entries = Asset(rpc._special_archive_sig, digest="3", entries={"main.py": text})
    lab.update(made, {**inputs, "code": entries})
    assert _said(lab, made.identity) == "from a text"


def test_a_published_version_is_told(lab: Lab) -> None:
    inputs = {**function_inputs(lab), "publish": True}
    made = lab.create(_FUNCTION, inputs)
    assert made.properties["version"] == "1"
    assert made.properties["qualifiedArn"].endswith(":1")
    updated = lab.update(made, {**inputs, "memorySize": 256})
    assert updated.properties["version"] == "2"


def test_a_function_of_somebody_else_is_left_alone(lab: Lab) -> None:
    made = new_function(lab)
    with pytest.raises(Exception, match="exist"):
        lab.create(_FUNCTION, function_inputs(lab), "another")
    assert lab.refresh(made) is not None


def test_a_function_of_a_new_role_stands_up_and_changes_on_a_day_as_on_aws(tmp_path: Path) -> None:
    state_dir = tmp_path / "cloud"
    cloud = emulator.up(state_dir, "123456789012", weather="aws", seed=3)
    try:
        with opened(cloud, "eu-west-1", tmp_path) as lab:
            inputs = function_inputs(lab)
            made = lab.create(_FUNCTION, inputs)
            assert lab.update(made, {**inputs, "timeout": 9}).properties["timeout"] == 9
        assert " for lambda" in (state_dir / "emulator.log").read_text()  # something was refused on the way
    finally:
        emulator.down(state_dir, wipe=True)
