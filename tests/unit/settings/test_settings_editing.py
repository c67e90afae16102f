"""Changing the regions of a settings file: just those characters, and back to the byte."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regionshift.errors import InputError
from regionshift.settings.editing import (
    add_secondary,
    applied,
    edit_from_json,
    names_regions,
    remove_secondary,
    swap_primary,
    taken_back,
)

HEAD = "# kept\nproject: x # kept\nregions:"
LAYOUTS = {
    "flow": HEAD + " {primary: us-east-1, secondaries: [eu-west-1, eu-west-2]} # kept\nnetwork: {}\n",
    "mixed": HEAD + "\n  primary: us-east-1 # kept\n  secondaries: [eu-west-1, 'eu-west-2']\nnetwork: {}\n",
    "block": HEAD
    + '\n  # kept\n  primary: "us-east-1"\n  secondaries:\n  - eu-west-1 # kept\n  - eu-west-2\n',
    "other order": HEAD
    + "\n    secondaries:\n      - 'eu-west-2'\n      - eu-west-1\n    primary: us-east-1",
    "windows": HEAD.replace("\n", "\r\n")
    + "\r\n  primary: us-east-1\r\n  secondaries: [eu-west-1, eu-west-2]\r\n",
    "byte order mark": "\ufeff"
    + HEAD
    + "\n  primary: us-east-1\n  secondaries: [ eu-west-2,\n    eu-west-1 ]\n",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_primary_and_secondary_change_places_and_nothing_else(text: str) -> None:
    edit = swap_primary(text, "us-east-1", "eu-west-1")
    after = applied(edit, text)
    _, before = names_regions(text) or ("", ())
    swapped = tuple("us-east-1" if region == "eu-west-1" else region for region in before)
    assert names_regions(after) == ("eu-west-1", swapped)
    assert after.count("# kept") == text.count("# kept")
    assert after.replace("eu-west-1", "·").replace("us-east-1", "·") == text.replace(
        "eu-west-1", "·"
    ).replace("us-east-1", "·")
    assert taken_back(edit_from_json(edit.to_json()), after) == text


@pytest.mark.parametrize(
    "waves",
    [
        "[[eu-west-1], [eu-west-2], [us-east-1]]",
        "\n  - [eu-west-1]\n  - - 'eu-west-2' # kept\n    - us-east-1",
    ],
)
def test_waves_that_are_written_end_with_the_new_primary(waves: str) -> None:
    text = (
        LAYOUTS["flow"] + f"deployment: {{waves: {waves}}}\n"
        if "\n" not in waves
        else (LAYOUTS["flow"] + f"deployment:\n  waves:{waves}\n")
    )
    edit = swap_primary(text, "us-east-1", "eu-west-1")
    after = yaml.safe_load(applied(edit, text))["deployment"]["waves"]
    assert after[0] == ["us-east-1"]
    assert after[-1][-1] == "eu-west-1"
    assert taken_back(edit, applied(edit, text)) == text


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_a_secondary_comes_and_goes(text: str) -> None:
    edit = add_secondary(text, "sa-east-1")
    after = applied(edit, text)
    primary, before = names_regions(text) or ("", ())
    assert names_regions(after) == (primary, (*before, "sa-east-1"))
    for leaving in (*before, "sa-east-1"):
        gone = remove_secondary(after, leaving)
        left = tuple(region for region in (*before, "sa-east-1") if region != leaving)
        assert names_regions(applied(gone, after)) == (primary, left)
        assert taken_back(gone, applied(gone, after)) == after
    assert taken_back(edit, after) == text


@pytest.mark.parametrize("regions", ["\n  primary: us-east-1 # kept\n", " {primary: us-east-1}\n"])
def test_the_first_secondary(regions: str) -> None:
    text = HEAD + regions + "network: {}\n"
    assert names_regions(applied(add_secondary(text, "eu-west-1"), text)) == ("us-east-1", ("eu-west-1",))


@pytest.mark.parametrize(
    "regions",
    [
        "\n  primary: &here us-east-1\n  secondaries: [eu-west-1]\ntags: {a: *here}\n",
        "\n  primary: !!str us-east-1\n  secondaries: [eu-west-1]\n",
        "\n  primary: us-east-1\n  secondaries: [eu-west-1, eu-west-1]\n",
        '\n  primary: "us\\x2deast-1"\n  secondaries: [eu-west-1]\n',
        "\n  primary: us-east-1\n",
        " []\n",
    ],
)
def test_what_cannot_be_changed_exactly_is_refused_with_what_to_write(regions: str) -> None:
    with pytest.raises(InputError) as refused:
        swap_primary(HEAD + regions, "us-east-1", "eu-west-1")
    assert "primary: eu-west-1" in str(refused.value.remedy)


@given(st.text(max_size=40))
def test_a_text_that_somebody_changed_is_left_alone(more: str) -> None:
    text = LAYOUTS["flow"]
    edit = swap_primary(text, "us-east-1", "eu-west-1")
    changed = applied(edit, text) + more
    if more:
        with pytest.raises(ValueError, match="somebody else"):
            taken_back(edit, changed)
    else:
        assert taken_back(edit, changed) == text
    assert yaml.safe_load(applied(edit, text))["regions"]["primary"] == "eu-west-1"
