"""Changes the regions or single values of a settings file, and leaves all other characters alone.

An edit is a list of replacements in the text, so that it can be recorded, shown and undone exactly. Before it is
returned, the new text is read again. The edit is refused if it changes anything else, for example because of an alias,
a tag or an unusual form. The error then has the lines that a person should write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from regionshift.errors import InputError
from regionshift.settings.document import YamlError, compose, read_document


class Replacement(NamedTuple):
    """``before`` stands at ``start`` (in characters) of the text and gives way to ``after``."""

    start: int
    before: str
    after: str


class Edit(BaseModel, frozen=True):
    """A change of one text: its replacements in rising order, and the SHA-256 (hex) of the bytes at both ends."""

    replacements: tuple[Replacement, ...]
    digest_before: str
    digest_after: str


def digest_of_text(text: str) -> str:
    """SHA-256 (hex) of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def applied(edit: Edit, text: str) -> str:
    """``text`` after the edit. Raises ValueError when it is not the text that the edit was made for."""
    if digest_of_text(text) != edit.digest_before:
        raise ValueError("the text was changed by somebody else")
    return _spliced(text, edit.replacements, edit.digest_after)


def taken_back(edit: Edit, text: str) -> str:
    """``text`` as it was before the edit, to the byte. Raises ValueError when it is not the edited text."""
    back, moved = [], 0
    for start, before, after in edit.replacements:
        back.append(Replacement(start + moved, after, before))
        moved += len(after) - len(before)
    reverse = Edit(replacements=tuple(back), digest_before=edit.digest_after, digest_after=edit.digest_before)
    return applied(reverse, text)


def swap_primary(text: str, old: str, new: str) -> Edit:
    """Make ``new`` the primary and put ``old`` where it stood among the secondaries, and in the waves.

    Raises:
        InputError: the text does not name them in a way that can be changed exactly.
    """
    named = names_regions(text)
    other = {old: new, new: old}
    swapped = [other.get(region, region) for region in (named[1] if named else (new,))]
    file = _SettingsText(text, f"regions: {{primary: {new}, secondaries: [{', '.join(swapped)}]}}")
    if file.primary.value != old or file.named.count(new) != 1:
        raise file.refused(f"the file does not name {old} as primary and {new} once as secondary")
    # The primary is of the last wave, so waves that are written change with it.
    nodes = [file.primary, *file.secondaries, *file.in_waves]
    changes = [file.new_value(node, other[node.value]) for node in nodes if node.value in other]
    return file.edit(changes, new, swapped, other)


def add_secondary(text: str, region: str) -> Edit:
    """Name ``region`` as the last secondary. Raises InputError as :func:`swap_primary`."""
    file = _SettingsText(text, f"add {region} to `secondaries` under `regions`")
    if file.holder is None and file.mapping.flow_style:
        change = Replacement(file.primary.end_mark.index, "", f", secondaries: [{region}]")
    elif file.holder is None:
        key = next(key for key, value in file.mapping.value if value is file.primary)
        change = file.new_line(file.primary, f"{file.before(key)}secondaries: [{region}]")
    elif not file.holder.flow_style:
        last = file.secondaries[-1]
        change = file.new_line(last, file.before(last) + region)
    elif file.secondaries:
        change = Replacement(file.secondaries[-1].end_mark.index, "", f", {region}")
    else:
        change = Replacement(file.holder.start_mark.index + 1, "", region)
    return file.edit([change], file.primary.value, [*file.named, region])


def remove_secondary(text: str, region: str) -> Edit:
    """Name ``region`` no more. Raises InputError as :func:`swap_primary`."""
    file = _SettingsText(text, f"take {region} out of `secondaries` under `regions`")
    if file.holder is None or file.named.count(region) != 1:
        raise file.refused(f"the file does not name {region} once as a secondary")
    nodes, place = file.secondaries, file.named.index(region)
    start, end = nodes[place].start_mark.index, nodes[place].end_mark.index
    if not file.holder.flow_style:
        if len(nodes) == 1:
            raise file.refused(f"{region} is the only secondary")
        start, end = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1 or len(text)
    elif place + 1 < len(nodes):
        end = nodes[place + 1].start_mark.index
    elif place:
        start = nodes[place - 1].end_mark.index
    if "#" in text[start:end] and file.holder.flow_style:
        raise file.refused("a comment stands between the secondaries")
    change = Replacement(start, text[start:end], "")
    return file.edit([change], file.primary.value, [each for each in file.named if each != region])


def set_values(text: str, values: Mapping[str, str]) -> str:
    """The text with each of ``values``, by dotted path of one section at most; what stood there gives way.

    Raises:
        InputError: the text is not written in a way that can be changed exactly; it names the lines to write.
    """
    made = text
    try:
        wanted: Any = read_document(text).value
        for path, value in values.items():
            section, _, name = path.rpartition(".")
            (wanted.setdefault(section, {}) if section else wanted)[name] = value
            made = _with_value(made, section, name, json.dumps(value))
        exact = read_document(made).value == wanted
    except (YamlError, AttributeError, TypeError):
        exact = False
    if not exact:
        raise InputError(
            "The settings are written in a way that cannot be changed exactly.",
            remedy="write it yourself: " + ", ".join(f"{path}: {value}" for path, value in values.items()),
            error_id="RS-SETTINGS-003",
        )
    return made


def _with_value(text: str, section: str, name: str, written: str) -> str:
    root = compose(text)
    holder = _child(root, section) if section else root
    ending = "\r\n" if "\r\n" in text else "\n"
    if isinstance(old := _child(holder, name), yaml.ScalarNode):
        return text[: old.start_mark.index] + written + text[old.end_mark.index :]
    if isinstance(holder, yaml.MappingNode) and holder.flow_style:
        place = holder.start_mark.index + 1
        return f"{text[:place]}{name}: {written}{', ' if holder.value else ''}{text[place:]}"
    if section and isinstance(holder, yaml.MappingNode):
        first = holder.start_mark
        place = first.index - first.column
        return f"{text[:place]}{' ' * first.column}{name}: {written}{ending}{text[place:]}"
    whole = text if text.endswith("\n") else text + ending
    return whole + (f"{section}: {{{name}: {written}}}{ending}" if section else f"{name}: {written}{ending}")


def names_regions(text: str) -> tuple[str, tuple[str, ...]] | None:
    """The primary and the secondaries as the text itself names them; None when it does not."""
    try:
        file = _SettingsText(text, "")
    except InputError:
        return None
    return file.primary.value, tuple(file.named)


class _SettingsText:
    """A text, the nodes in it that name regions, and the changes that can be made of them."""

    def __init__(self, text: str, remedy: str) -> None:
        self.text, self._remedy = text, remedy
        try:
            root = compose(text)
        except YamlError:
            raise self.refused("it is no YAML") from None
        mapping = _child(root, "regions")
        primary, holder = _child(mapping, "primary"), _child(mapping, "secondaries")
        if not isinstance(mapping, yaml.MappingNode) or not isinstance(primary, yaml.ScalarNode):
            raise self.refused("the file does not name the primary")
        if holder is not None and not isinstance(holder, yaml.SequenceNode):
            raise self.refused("the secondaries are no list of regions")
        self.mapping, self.primary, self.holder = mapping, primary, holder
        self.secondaries = _items(holder)
        if not all(isinstance(node, yaml.ScalarNode) for node in self.secondaries):
            raise self.refused("the secondaries are no list of regions")
        self.named: list[str] = [node.value for node in self.secondaries]
        waves = _child(_child(root, "deployment"), "waves")
        in_waves = [node for wave in _items(waves) for node in _items(wave)]
        self.in_waves = [node for node in in_waves if isinstance(node, yaml.ScalarNode)]

    def refused(self, why: str) -> InputError:
        return InputError(
            f"The regions in the settings cannot be changed exactly: {why}.",
            where="regions",
            remedy=f"change them yourself: {self._remedy}",
            error_id="RS-SETTINGS-003",
        )

    def before(self, node: yaml.Node) -> str:
        """The text before ``node`` in its line."""
        start = node.start_mark.index
        return self.text[self.text.rfind("\n", 0, start) + 1 : start]

    def new_line(self, node: yaml.Node, line: str) -> Replacement:
        """``line`` after the one that ``node`` stands in, with the text's own line ends."""
        end = self.text.find("\n", node.end_mark.index)
        if end < 0:  # the last line has no end of its own
            return Replacement(len(self.text), "", ("\r\n" if "\r\n" in self.text else "\n") + line)
        ending = "\r\n" if self.text[end - 1] == "\r" else "\n"
        return Replacement(end + 1, "", line + ending)

    def new_value(self, node: yaml.ScalarNode, value: str) -> Replacement:
        """Another value for ``node``; quotes around it stay."""
        start, written = node.start_mark.index, self.text[node.start_mark.index : node.end_mark.index]
        inner = written[1:-1] if written[:1] in "'\"" else written
        if inner != node.value:
            raise self.refused(f"{written!r} is not written plainly")
        return Replacement(start + (len(written) - len(inner)) // 2, inner, value)

    def edit(
        self,
        changes: Sequence[Replacement],
        primary: str,
        secondaries: Sequence[str],
        other: Mapping[str, str] = {},
    ) -> Edit:
        """The edit, when it gives these regions, ``other`` names in the waves, and nothing else."""
        ordered = tuple(sorted(changes))
        after = _spliced(self.text, ordered)
        wanted: Any = read_document(self.text).value
        wanted["regions"].update(primary=primary, secondaries=list(secondaries))
        if self.in_waves:
            wanted["deployment"]["waves"] = _renamed(wanted["deployment"]["waves"], other)
        try:
            exact = read_document(after).value == wanted
        except YamlError:
            exact = False
        if not exact:
            raise self.refused("they are written in an unusual way")
        return Edit(
            replacements=ordered,
            digest_before=digest_of_text(self.text),
            digest_after=digest_of_text(after),
        )


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if name.value == key]
    return found[0] if len(found) == 1 else None


def _items(node: yaml.Node | None) -> list[Any]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _renamed(value: object, other: Mapping[str, str]) -> object:
    if isinstance(value, list):
        return [_renamed(each, other) for each in value]
    return other.get(value, value) if isinstance(value, str) else value


def _spliced(text: str, replacements: Sequence[Replacement], digest_after: str | None = None) -> str:
    parts, last = [], 0
    for start, before, after in replacements:
        if not text.startswith(before, start):
            raise ValueError("the text to replace is missing")
        parts += [text[last:start], after]
        last = start + len(before)
    made = "".join([*parts, text[last:]])
    if digest_after and digest_of_text(made) != digest_after:
        raise ValueError("the edit does not give what it gave before")
    return made
