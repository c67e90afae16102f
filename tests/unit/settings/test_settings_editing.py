"""Changing the regions of a settings file: just those characters, and back to the byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from regionshift.errors import InputError
from regionshift.settings.document import read_document
from regionshift.settings.editing import (
    Edit,
    add_secondary,
    applied,
    names_regions,
    remove_secondary,
    set_values,
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
    assert taken_back(Edit.model_validate_json(edit.model_dump_json()), after) == text


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


# What a re-dump of the file would write in another way, though it means the same (docs/adr/012).
ODD_LINES = [
    "# kept: a comment  ",
    "",
    "account: 012345678901",
    "project:   'a b'   # kept",
    "state: ~",
    "protect: FALSE",
    "function: { memory:  0x200,timeout: '5m' }",
    'environment: "d\\x65v"',
    "alerts:\n      errors: +1\n      emails: [ a@b.de\n        ,c@d.de ]",
    "tags: {A: &one 'x', B: *one, Since: 2024-01-01}",
    "application:\n  config:\n     motto: one\n       two\n     text: |-\n       a  \n\n       b",
]


@st.composite
def hand_written(draw: st.DrawFn) -> str:
    """A settings file with a primary, secondaries and perhaps waves, laid out as somebody might."""
    named = draw(st.permutations(["us-east-1", "eu-west-1", "eu-west-2", "sa-east-1"]))
    named = named[: draw(st.integers(2, 4))]
    pad = " " * draw(st.integers(1, 5))

    def quoted(region: str) -> str:
        mark = draw(st.sampled_from(["", "'", '"']))
        return f"{mark}{region}{mark}"

    def listed(regions: Sequence[str]) -> str:
        gap, comma = draw(st.sampled_from(["", " ", "  "])), draw(st.sampled_from([", ", " ,", ",  "]))
        return f"[{gap}{comma.join(map(quoted, regions))}{gap}]"

    remark = st.sampled_from(["", "   # kept", " "])
    flow = draw(st.booleans())
    dash = draw(st.sampled_from([pad + "- ", pad + "-   ", pad + "  - "]))
    lines = "".join(f"\n{dash}{quoted(region)}{draw(remark)}" for region in named[1:])
    fields = [
        f"primary: {quoted(named[0])}",
        f"secondaries: {listed(named[1:])}" if flow or draw(st.booleans()) else f"secondaries:{lines}",
    ]
    fields = draw(st.permutations(fields))
    regions = (
        f" {{{', '.join(fields)}}}" if flow else "".join(f"\n{pad}{each}{draw(remark)}" for each in fields)
    )
    parts = draw(st.lists(st.sampled_from(ODD_LINES), unique=True))
    parts.insert(draw(st.integers(0, len(parts))), f"regions:{regions}")
    if draw(st.booleans()):
        waves = [listed(wave) for wave in (named[1:], named[:1])]
        written = (
            f" [{', '.join(waves)}]" if draw(st.booleans()) else "".join(f"\n  - {each}" for each in waves)
        )
        parts.append(f"deployment: # kept\n  waves:{written}")
    text = "\n".join(parts) + draw(st.sampled_from(["", "\n", "\n\n", "\n...\n"]))
    return draw(st.sampled_from(["", "\ufeff", "---\n"])) + text.replace(
        "\n", draw(st.sampled_from(["\n", "\r\n"]))
    )


def _one_piece(longer: str, shorter: str) -> bool:
    """Whether ``shorter`` is ``longer`` without one piece."""
    more = len(longer) - len(shorter)
    return any(longer[:at] + longer[at + more :] == shorter for at in range(len(shorter) + 1))


def _line_ends(text: str) -> set[str]:
    return set(re.findall("\r?\n", text))


@given(hand_written())
@example("regions:\r\n  primary: us-east-1\r\n  secondaries:\r\n  - eu-west-1")
def test_every_other_byte_of_a_hand_written_file_stays(text: str) -> None:
    """And the file is read as before, but for the regions."""
    before: Any = read_document(text).value
    primary, secondaries = names_regions(text) or ("", ())
    new = secondaries[0]

    edit = swap_primary(text, primary, new)
    after = applied(edit, text)
    mask = partial(re.sub, f"{primary}|{new}", "·")
    assert mask(after) == mask(text)
    assert taken_back(edit, after) == text
    assert names_regions(after) == (new, (primary, *secondaries[1:]))

    more = applied(add_secondary(text, "il-central-1"), text)
    assert _one_piece(more, text)
    assert _line_ends(more) == _line_ends(text) or "\n" not in text
    less_edit = remove_secondary(more, new)
    less = applied(less_edit, more)
    assert _one_piece(more, less)
    assert taken_back(less_edit, less) == more

    for changed, named in (
        (after, {primary, *secondaries}),
        (less, {primary, *secondaries[1:], "il-central-1"}),
    ):
        read: Any = read_document(changed).value
        assert {read["regions"]["primary"], *read["regions"]["secondaries"]} == named
        kept = before.keys() - {"regions", "deployment"}
        assert {key: read[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("regions: &r {primary: us-east-1, secondaries: [eu-west-1]}\ntags: {A: *r}\n", "unusual"),
        ("regions:\n  primary: us-east-1\n  secondaries: &s\n  - eu-west-1\ncarry: *s\n", "unusual"),
        ("regions:\r  primary: us-east-1\r  secondaries:\r  - eu-west-1\r", "unusual"),
    ],
)
def test_an_edit_that_would_change_more_than_the_regions_is_refused(written: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        add_secondary(written, "sa-east-1")


GIVEN = {
    "state": "s3://bucket/environments?region=eu-central-1",
    "access.boundary": "arn:x",
    "pipeline.branch": "b",
}


@pytest.mark.parametrize(
    "text",
    [
        "project: shop\n",
        "project: shop",
        "project: shop\r\naccess:\r\n  # who\r\n  operators: [a]\r\n",
        "access: {operators: [a]}  # who\nproject: shop\n",
        "access: {}\nproject: shop\n",
        "state: ''  # here\npipeline:\n    branch: 'old' # it\naccess:\n  boundary: old\n  operators: [a]\n",
        "# only a comment\nproject: shop\n# and another\n",
    ],
)
def test_values_are_set_and_nothing_else_changes(text: str) -> None:
    wanted: Any = read_document(text).value
    for path, value in GIVEN.items():
        section, _, name = path.rpartition(".")
        (wanted.setdefault(section, {}) if section else wanted)[name] = value
    made = set_values(text, GIVEN)
    assert read_document(made).value == wanted
    comments = list(re.findall(r"#[^\r\n]*", text))
    assert list(re.findall(r"#[^\r\n]*", made)) == comments
    assert ("\r\n" in text) == ("\r\n" in made)
    assert set_values(made, GIVEN) == made


@pytest.mark.parametrize(
    "text",
    ["{project: shop}\n...\n", "- project\n", "access: [a]\n", "access: &a {}\nother: *a\n", "a: {b\n"],
)
def test_what_cannot_be_set_exactly_is_refused_with_the_lines(text: str) -> None:
    with pytest.raises(InputError) as refused:
        set_values(text, GIVEN)
    assert "access.boundary: arn:x" in str(refused.value.remedy)
