"""What the embedded S3 answers is the same XML to the letter, whoever writes it."""

from __future__ import annotations

from xml.etree.ElementTree import Comment, Element, SubElement, tostring

from hypothesis import given
from hypothesis import strategies as st

from regionshift.local.speed import fast_tostring

NAMES = st.sampled_from(["Version", "Key", "ETag", "xsi:type", "a"])
TEXTS = st.none() | st.text(max_size=12)
SPECIAL = "{urn:of-its-own}Key"


@st.composite
def elements(draw: st.DrawFn, deep: int = 3, names: st.SearchStrategy[str] = NAMES) -> Element:
    element = Element(draw(names), draw(st.dictionaries(names, st.text(max_size=6), max_size=2)))
    element.text, element.tail = draw(TEXTS), draw(TEXTS)
    if deep:
        element.extend(draw(st.lists(elements(deep=deep - 1, names=names), max_size=3)))
    return element


def _fails(*_: object, **__: object) -> str:
    raise AssertionError("left to the standard library")


@given(elements())
def test_plain_elements_are_written_to_the_letter(root: Element) -> None:
    assert fast_tostring(_fails)(root, encoding="unicode") == tostring(root, encoding="unicode")


@given(elements(names=st.sampled_from(["Key", SPECIAL])))
def test_namespaces_are_left_to_the_standard_library(root: Element) -> None:
    assert fast_tostring(tostring)(root, encoding="unicode") == tostring(root, encoding="unicode")


def test_what_is_no_plain_element_is_left_to_the_standard_library() -> None:
    root = Element("root")
    root.append(Comment("said"))
    SubElement(root, "Key").text = "k"
    quickly = fast_tostring(tostring)
    assert quickly(root, encoding="unicode") == tostring(root, encoding="unicode")
    assert quickly(root) == tostring(root)
