"""Changes just the regions that a settings file names, and leaves every other character as it is.

An edit is a list of replacements in the text, so that it can be written down, shown and taken back exactly.
What cannot be changed exactly (an alias, a tag, a value written in an unusual way) is refused with the lines
that a person should write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from regionshift.errors import InputError

_BOM = "\ufeff"


@dataclass(frozen=True)
class Replacement:
    """``before`` stands at ``start`` (in characters) of the text and gives way to ``after``."""

    start: int
    before: str
    after: str


@dataclass(frozen=True)
class Edit:
    """A change of one text: its replacements in rising order, and the SHA-256 (hex) of the bytes at both ends."""

    replacements: tuple[Replacement, ...]
    digest_before: str
    digest_after: str

    def to_json(self) -> dict[str, object]:
        """The edit as plain JSON."""
        return {
            "replacements": [[each.start, each.before, each.after] for each in self.replacements],
            "digest_before": self.digest_before,
            "digest_after": self.digest_after,
        }


def edit_from_json(content: object) -> Edit:
    """What :meth:`Edit.to_json` wrote. Raises ValueError for anything else."""
    if not isinstance(content, Mapping):
        raise ValueError("an edit is an object")
    made = tuple(Replacement(int(s), str(b), str(a)) for s, b, a in content["replacements"])
    return Edit(made, str(content["digest_before"]), str(content["digest_after"]))


def digest_of_text(text: str) -> str:
    """SHA-256 (hex) of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def applied(edit: Edit, text: str) -> str:
    """``text`` after the edit. Raises ValueError when it is not the text that the edit was made for."""
    return _replaced(text, edit.replacements, edit.digest_before, edit.digest_after)


def taken_back(edit: Edit, text: str) -> str:
    """``text`` as it was before the edit, to the byte. Raises ValueError when it is not the edited text."""
    back, moved = [], 0
    for each in edit.replacements:
        back.append(Replacement(each.start + moved, each.after, each.before))
        moved += len(each.after) - len(each.before)
    return _replaced(text, back, edit.digest_after, edit.digest_before)


def swap_primary(text: str, old: str, new: str) -> Edit:
    """Make ``new`` the primary and put ``old`` where it stood among the secondaries, and in the waves.

    Raises:
        InputError: the text does not name them in a way that can be changed exactly.
    """
    regions = _regions(text, _lines_to_write(text, old, new))
    found = [node for node in regions.secondaries if node.value == new]
    if regions.primary.value != old or len(found) != 1:
        raise regions.refused(f"the file does not name {old} as primary and {new} once as secondary")
    other = {old: new, new: old}
    # The primary is of the last wave, so waves that are written change with it.
    waves = [regions.exactly(node, other[node.value]) for node in _in_waves(text) if node.value in other]
    return _edit(text, [regions.exactly(regions.primary, new), regions.exactly(found[0], old), *waves])


def add_secondary(text: str, region: str) -> Edit:
    """Name ``region`` as the last secondary. Raises InputError as :func:`swap_primary`."""
    regions = _regions(text, f"add {region} to `secondaries` under `regions`")
    holder = regions.holder
    if holder is None:
        return _edit(text, [regions.new_list(region)])
    if holder.flow_style:
        if not holder.value:
            inside = regions.at(holder.start_mark) + 1
            return _edit(text, [Replacement(inside, "", region)])
        return _edit(text, [Replacement(regions.at(holder.value[-1].end_mark), "", f", {region}")])
    last = regions.exactly(holder.value[-1], holder.value[-1].value)
    line_start = text.rfind("\n", 0, last.start) + 1
    lead = text[line_start : last.start].rstrip(" '\"")
    if lead.strip() != "-":
        raise regions.refused("the list of secondaries is written in an unusual way")
    return _edit(text, [_new_line(text, last.start, f"{lead} {region}")])


def remove_secondary(text: str, region: str) -> Edit:
    """Name ``region`` no more. Raises InputError as :func:`swap_primary`."""
    regions = _regions(text, f"take {region} out of `secondaries` under `regions`")
    places = [place for place, node in enumerate(regions.secondaries) if node.value == region]
    if regions.holder is None or len(places) != 1:
        raise regions.refused(f"the file does not name {region} once as a secondary")
    nodes, place = regions.secondaries, places[0]
    regions.exactly(nodes[place], region)
    start, end = regions.at(nodes[place].start_mark), regions.at(nodes[place].end_mark)
    if regions.holder.flow_style:
        if place + 1 < len(nodes):
            end = regions.at(nodes[place + 1].start_mark)
        elif place:
            start = regions.at(nodes[place - 1].end_mark)
    elif len(nodes) == 1:
        raise regions.refused(f"{region} is the only secondary")
    else:
        start = text.rfind("\n", 0, start) + 1
        end = text.find("\n", end) + 1 or len(text)
    if "#" in text[start:end] and regions.holder.flow_style:
        raise regions.refused("a comment stands between the secondaries")
    return _edit(text, [Replacement(start, text[start:end], "")])


def names_regions(text: str) -> tuple[str, tuple[str, ...]] | None:
    """The primary and the secondaries as the text itself names them; None when it does not."""
    try:
        regions = _regions(text, "")
    except InputError:
        return None
    return str(regions.primary.value), tuple(str(node.value) for node in regions.secondaries)


@dataclass(frozen=True)
class _Regions:
    """The nodes of ``regions`` in a text."""

    text: str
    mapping: yaml.MappingNode
    primary: yaml.ScalarNode
    holder: yaml.SequenceNode | None
    remedy: str
    shift: int

    @property
    def secondaries(self) -> list[yaml.ScalarNode]:
        return list(self.holder.value) if self.holder else []

    def at(self, mark: Any) -> int:
        return int(mark.index) + self.shift

    def exactly(self, node: yaml.ScalarNode, value: str) -> Replacement:
        """Replace just the value of ``node``; quotes around it stay."""
        start, end = self.at(node.start_mark), self.at(node.end_mark)
        written = self.text[start:end]
        inner = written[1:-1] if written[:1] in "'\"" else written
        if inner != node.value:
            raise self.refused(f"{written!r} is not written plainly")
        return Replacement(start + (len(written) - len(inner)) // 2, inner, value)

    def new_list(self, region: str) -> Replacement:
        if self.mapping.flow_style:
            return Replacement(self.at(self.primary.end_mark), "", f", secondaries: [{region}]")
        key = next(key for key, value in self.mapping.value if value is self.primary)
        start = self.at(key.start_mark)
        indent = self.text[self.text.rfind("\n", 0, start) + 1 : start]
        return _new_line(self.text, self.at(self.primary.start_mark), f"{indent}secondaries: [{region}]")

    def refused(self, why: str) -> InputError:
        return InputError(
            f"The regions in the settings cannot be changed exactly: {why}.",
            where="regions",
            remedy=f"change them yourself: {self.remedy}",
        )


def _regions(text: str, remedy: str) -> _Regions:
    def refused(why: str) -> InputError:
        return InputError(
            f"The regions in the settings cannot be changed exactly: {why}.",
            where="regions",
            remedy=f"change them yourself: {remedy}",
        )

    plain = text.removeprefix(_BOM)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(plain, Loader=yaml.SafeLoader)):
            raise refused("the file has aliases")
        root = yaml.compose(plain, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise refused("it is no YAML") from None
    mapping = _child(root, "regions")
    primary, holder = _child(mapping, "primary"), _child(mapping, "secondaries")
    if not isinstance(mapping, yaml.MappingNode) or not isinstance(primary, yaml.ScalarNode):
        raise refused("the file does not name the primary")
    if holder is not None and not (
        isinstance(holder, yaml.SequenceNode)
        and all(isinstance(node, yaml.ScalarNode) for node in holder.value)
    ):
        raise refused("the secondaries are no list of regions")
    return _Regions(text, mapping, primary, holder, remedy, len(text) - len(plain))


def _in_waves(text: str) -> list[yaml.ScalarNode]:
    root = yaml.compose(text.removeprefix(_BOM), Loader=yaml.SafeLoader)
    holder = _child(_child(root, "deployment"), "waves")
    waves = holder.value if isinstance(holder, yaml.SequenceNode) else []
    nodes = [node for wave in waves if isinstance(wave, yaml.SequenceNode) for node in wave.value]
    return [node for node in nodes if isinstance(node, yaml.ScalarNode)]


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if name.value == key]
    return found[0] if len(found) == 1 else None


def _lines_to_write(text: str, old: str, new: str) -> str:
    named = names_regions(text) if old else None
    others = [old if region == new else region for region in (named[1] if named else (new,))]
    return f"regions: {{primary: {new}, secondaries: [{', '.join(others)}]}}"


def _new_line(text: str, inside: int, line: str) -> Replacement:
    """``line`` after the one that ``inside`` stands in, with the text's own line ends."""
    end = text.find("\n", inside)
    if end < 0:
        return Replacement(len(text), "", f"\n{line}")
    ending = "\r\n" if text[end - 1] == "\r" else "\n"
    return Replacement(end + 1, "", line + ending)


def _edit(text: str, replacements: Sequence[Replacement]) -> Edit:
    ordered = tuple(sorted(replacements, key=lambda each: each.start))
    after = _spliced(text, ordered)
    return Edit(ordered, digest_of_text(text), digest_of_text(after))


def _replaced(text: str, replacements: Sequence[Replacement], before: str, after: str) -> str:
    if digest_of_text(text) != before:
        raise ValueError("the text was changed by somebody else")
    made = _spliced(text, replacements)
    if digest_of_text(made) != after:
        raise ValueError("the edit does not give what it gave before")
    return made


def _spliced(text: str, replacements: Sequence[Replacement]) -> str:
    parts, last = [], 0
    for each in replacements:
        if text[each.start : each.start + len(each.before)] != each.before:
            raise ValueError("the text does not hold what is to be replaced")
        parts += [text[last : each.start], each.after]
        last = each.start + len(each.before)
    return "".join([*parts, text[last:]])
