"""What every resource type of the local provider must do, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from provider_cases import CASES
from provider_lab import Case, Lab, opened

from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.wire import Properties, Unknown

pytestmark = [pytest.mark.provider, pytest.mark.parametrize("case", CASES, ids=str)]


def _with(inputs: Properties, name: str, value: object) -> Properties:
    changed = {**inputs, name: value}
    return {key: item for key, item in changed.items() if item is not None}


def _without(properties: Properties, names: set[str]) -> Properties:
    return {name: value for name, value in properties.items() if name not in names}


def test_what_is_made_is_there_with_all_outputs_and_no_difference(case: Case, lab: Lab) -> None:
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    assert made.identity
    missing = [name for name in BY_TOKEN[case.token].outputs if made.properties.get(name) is None]
    assert not missing
    assert not lab.plan(made, inputs).paths
    assert not lab.plan(made, inputs).changes


def test_a_refresh_of_what_nobody_touched_changes_nothing(case: Case, lab: Lab) -> None:
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    refreshed = lab.refresh(made)
    assert refreshed is not None
    assert refreshed.inputs == made.inputs
    assert refreshed.properties == made.properties
    assert not lab.plan(refreshed, inputs).changes


def test_a_preview_tells_what_is_not_known_yet(case: Case, lab: Lab) -> None:
    previewed = lab.preview(case.token, case.build(lab))
    for name in BY_TOKEN[case.token].outputs:
        assert isinstance(previewed[name], Unknown)


def test_what_can_change_in_place_does(case: Case, lab: Lab) -> None:
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    for name, value in case.changes.items():
        inputs = _with(inputs, name, value(lab) if callable(value) else value)
        planned = lab.plan(made, inputs)
        assert name in planned.names
        assert not planned.replaces
        made = lab.update(made, inputs)
        refreshed = lab.refresh(made)
        assert refreshed is not None
        assert not lab.plan(refreshed, inputs).paths, name


def test_what_aws_cannot_change_replaces(case: Case, lab: Lab) -> None:
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    for name, value in case.replaces.items():
        assert name in lab.plan(made, _with(inputs, name, value)).replaces


def test_a_change_behind_its_back_is_seen_and_repaired(case: Case, lab: Lab) -> None:
    if case.meddle is None:
        pytest.skip("every input replaces or AWS does not tell it back: nothing can drift in place")
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    case.meddle(lab, made)
    drifted = lab.refresh(made)
    assert drifted is not None
    assert case.drifts <= lab.plan(drifted, inputs).names
    assert not lab.plan(drifted, inputs).replaces
    repaired = lab.refresh(lab.update(drifted, inputs))
    assert repaired is not None
    assert not lab.plan(repaired, inputs).paths


def test_what_is_deleted_is_gone_and_may_be_deleted_again(case: Case, lab: Lab) -> None:
    made = lab.create(case.token, case.build(lab))
    lab.delete(made)
    assert case.outlives or lab.refresh(made) is None
    lab.delete(made)


def test_what_a_killed_run_made_is_taken_over(
    case: Case, lab: Lab, cloud: LocalCloud, tmp_path: Path
) -> None:
    inputs = case.build(lab)
    lost = lab.create(case.token, inputs)
    with opened(cloud, lab.region, tmp_path) as after:
        after.unique = lab.unique
        found = after.create(case.token, inputs)
    assert found.identity == lost.identity
    volatile = set(BY_TOKEN[case.token].volatile)
    assert _without(found.properties, volatile) == _without(lost.properties, volatile)
    assert not lab.plan(found, inputs).changes


def test_what_exists_can_be_imported(case: Case, lab: Lab) -> None:
    if not case.importable:
        pytest.skip("it cannot be found by its id alone")
    inputs = case.build(lab)
    made = lab.create(case.token, inputs)
    imported = lab.imported(case.token, made.identity)
    assert imported is not None
    opaque = {name for name, of in BY_TOKEN[case.token].fields.items() if of.opaque}
    assert lab.plan(imported, inputs).names <= opaque


def test_an_input_of_the_wrong_type_is_refused_before_anything_is_called(case: Case, lab: Lab) -> None:
    urn = lab.urn(case.token, "wrong")
    inputs = {name: ["wrong", {"type": True}] for name in BY_TOKEN[case.token].fields}
    with pytest.raises(AssertionError, match="must be"):
        lab.check(urn, inputs)
