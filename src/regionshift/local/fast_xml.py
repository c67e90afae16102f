"""The embedded S3 writes its answers as XML in a third of the time, so that listings leave room for other work.

A migration lists versions on both sides, before and after. The standard library looks at every element for
namespaces first; the answers of S3 have none but the one that stands in the root as an attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element


def install() -> None:
    """Put it into the running ministack."""
    from ministack.services import s3  # type: ignore[import-untyped]

    s3.tostring = fast_tostring(s3.tostring)


def fast_tostring(tostring: Callable[..., str]) -> Callable[..., str]:
    """``tostring``, which is left with what has namespaces of its own or is not to be text."""

    def quickly(root: Element, encoding: str = "us-ascii", **more: object) -> str:
        pieces: list[str] = []
        if encoding != "unicode" or more or not _write(root, pieces):
            return tostring(root, encoding=encoding, **more)
        return "".join(pieces)

    return quickly


def _write(element: Element, pieces: list[str]) -> bool:
    """Append the element's text; false when it is not as plain as that."""
    tag = element.tag
    if not isinstance(tag, str) or tag.startswith("{"):
        return False
    attributes = "".join(f' {name}="{_quoted(value)}"' for name, value in element.attrib.items())
    if any(name.startswith("{") for name in element.attrib):
        return False
    text = _escaped(element.text) if element.text else ""
    if len(element):
        pieces.append(f"<{tag}{attributes}>{text}")
        if not all(_write(child, pieces) for child in element):
            return False
        pieces.append(f"</{tag}>")
    else:
        pieces.append(f"<{tag}{attributes}>{text}</{tag}>" if text else f"<{tag}{attributes} />")
    if element.tail:
        pieces.append(_escaped(element.tail))
    return True


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    text = _escaped(text).replace('"', "&quot;")
    return text.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#09;")
