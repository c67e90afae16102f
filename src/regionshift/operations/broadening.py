"""Which access a plan opens in existing regions, and what of it is allowed. Equal regions are shown together.

Existing regions are those with a release. For a new region or a new environment only the number of roles and
permissions is shown: nobody relied on anything there, and existing resources get nothing by it. An existing resource
may get the same access to a new region that it has to another one. That is shown and needs no permission: naming the
region is the permission.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from regionshift.engine.events import ResourceStep
from regionshift.iam.documents import Condition, Part, Policy, PolicyKind, Statement, Unreadable
from regionshift.iam.growth import Opened, opened
from regionshift.infrastructure.policies.statement import known_later
from regionshift.operations.policy_documents import PolicyDocument, policy_documents, safeguards
from regionshift.report.values import Finding, Growth

_REGION = "{region}"
_EVERY, _EVERY_OTHER, _SO_FAR = "{every region}", "{every other region}", "{every region so far}"
_MOST_NAMED = 12
_AS_ELSEWHERE = "as in the other regions"
_MADE_ANEW = "of a resource that is created here"
_PUT_BACK = "put back as the last run left it"
_TO_BE_MADE = known_later("").partition(":")[0]
# KMS Developer Guide, "Key identifiers": of a key, of a multi-Region key; and of one that is still to be made.
_KEY = re.compile(
    r"(?P<region>[a-z0-9-]+)(?P<account>:\d*:key/)"
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|\$\{[^}]*\})"
)


def growth_of(
    steps: Sequence[ResourceStep], regions: Collection[str], standing: Collection[str], release: str = ""
) -> tuple[Growth, ...]:
    """The access that ``steps`` open in existing regions, with equal regions together.

    Args:
        steps: one a resource (`final_steps`). regions: all of the environment. standing: those with a release.
        release: the digest of the planned release. An id with unknown values counts for this release alone.
    """
    told = _Told(tuple(regions), frozenset(standing), release)
    stood = _as_they_stood(steps)
    before = {(each.label, each.region): each for each in _subjects(stood) if each.was_read_back}
    for subject in _subjects(steps):
        if subject.region in standing:
            found, more = subject.opened, subject.beside_new_regions(set(regions) - set(standing), standing)
            same = before.get((subject.label, subject.region)) if more else None
            if same is not None:
                more = min(more, same.opened, key=len)
            why = _MADE_ANEW if subject.is_made_anew(more) else ""
            told.add(subject, [*more, *subject.unknown()], why)
            if not more and found:
                told.add(subject, found, _AS_ELSEWHERE if same is None else _PUT_BACK)
    put_back = {(each.step.urn, each.what) for each in safeguards(stood) if not each.is_opened}
    for each in safeguards(steps):
        if each.is_opened and each.step.region in standing:
            what = f"{each.what}: {_short(each.before)} → {_short(each.after)}"
            told.put(
                f"{_kind_of(each.step)} {each.subject}",
                each.step.region,
                [what],
                why=_PUT_BACK if (each.step.urn, each.what) in put_back else "",
                is_known=True,
            )
    return told.growth()


def _as_they_stood(steps: Sequence[ResourceStep]) -> list[ResourceStep]:
    """The change from what the last run left: access that somebody removed since was already given."""
    return [
        replace(step, op="update" if step.op in ("create", "import") else step.op, old=step.stood)
        if step.stood
        else step
        for step in steps
    ]


def made_findings(steps: Sequence[ResourceStep], standing: Collection[str]) -> list[Finding]:
    """A finding on how many roles and permissions are created in regions without a release."""
    new = [
        each
        for each in policy_documents(steps)
        if each.step.op == "create" and each.step.region not in standing
    ]
    roles = sum(each.kind is PolicyKind.TRUST for each in new)
    given = [each.new for each in new if each.kind is PolicyKind.IDENTITY]
    if not roles:
        return []
    rights = sum(
        len(statement.actions.values) * len(statement.resources.values if statement.resources else "*")
        for policy in given
        if isinstance(policy, Policy)
        for statement in policy
        if statement.effect == "Allow"
    )
    unknown = sum(isinstance(policy, Unreadable) for policy in given)
    where = sorted({str(each.step.region) for each in new})
    said = f"{roles} new roles with {rights} permissions in "
    said += f"{len(where)} regions" if len(where) > 1 else where[0]
    if unknown:
        said += f"; what {unknown} of their {len(given)} policies allow is known when what they name is made"
    return [Finding("rights", "info", said, None, "nothing to do: no existing role gets more rights")]


def allowed(growth: Iterable[Growth], ids: Collection[str]) -> tuple[tuple[Growth, ...], list[Finding]]:
    """``growth`` with the allowed ids marked, and an error for what ``ids`` do not allow.

    One id may stand for all growth together. Then nothing else is allowed with it.
    """
    counted = [each for each in growth if each.is_counted]
    together = _digest([each.id for each in counted])
    marked = tuple(
        replace(each, is_allowed=each.is_counted and (each.id in ids or together in ids)) for each in growth
    )
    if not counted:
        return marked, []
    left = [each for each in marked if each.is_counted and not each.is_allowed]
    if not left:
        said = f"more rights than before, in {len(counted)} ways: {_subjects_of(counted)}"
        return marked, [Finding("growth", "warning", said, None, "allowed by --allow-broadening")]
    remedy = "read what is opened; if it is meant: " + " ".join(
        f"--allow-broadening {each.id}" for each in left[:3]
    )
    if len(counted) > 1:
        remedy = f"read what is opened; if all of it is meant: --allow-broadening {together}; or each by its own id"
    return marked, [
        Finding("growth", "error", f"more rights than before: {_subjects_of(left)}", None, remedy)
    ]


def _subjects_of(growth: Sequence[Growth]) -> str:
    more = f" and {len(growth) - _MOST_NAMED} more" if len(growth) > _MOST_NAMED else ""
    return ", ".join(each.subject for each in growth[:_MOST_NAMED]) + more


@dataclass(frozen=True)
class _Subject:
    """All documents of one subject and kind."""

    label: str
    region: str
    documents: tuple[PolicyDocument, ...]

    @property
    def _known(self) -> list[PolicyDocument]:
        return [each for each in self.documents if not isinstance(each.new, Unreadable)]

    @property
    def _old(self) -> list[Policy]:
        return [each.old for each in self._known if isinstance(each.old, Policy)]

    @property
    def _new(self) -> list[Policy]:
        return [each.new for each in self._known if isinstance(each.new, Policy)]

    @property
    def was_read_back(self) -> bool:
        """Whether somebody may have changed it since the last run."""
        return any(each.step.stood for each in self.documents)

    @cached_property
    def opened(self) -> list[Opened]:
        """The access that it gets, as far as it is known."""
        return opened(self._old, self._new)

    def beside_new_regions(self, new_regions: Collection[str], standing: Collection[str]) -> list[Opened]:
        """The same without the access to a new region that it already has to another region, which is not its own.

        The key of a new region then counts as any key that it had in the other region. Every other key is itself.
        """
        found = self.opened
        others = sorted(set(standing) - {self.region}) if found and new_regions else []
        as_there = (
            opened(
                [_with_any_key(policy, other) for policy in self._old],
                [_in_region(policy, new_regions, other) for policy in self._new],
            )
            for other in others
        )
        return min([found, *as_there], key=len)

    def is_made_anew(self, found: Sequence[Opened]) -> bool:
        """Whether it is the policy of a resource that this plan creates, and it admits no anonymous caller.

        The new resource holds nothing yet, so nobody gets access to existing data. This restores, for example, a
        resource that somebody deleted by hand.
        """
        return not any(each.is_public for each in found) and all(
            each.kind is PolicyKind.RESOURCE
            and each.step.op == "create"
            and (each.step.type == each.about or all(_is_to_be_made(one) for one in found))
            for each in self.documents
        )

    def unknown(self) -> list[str]:
        """In sentences, what cannot be told."""
        return [
            f"what {each.step.name} allows is not known: {each.new}"
            for each in self.documents
            if isinstance(each.new, Unreadable)
            and not (each.step.op == "same" and str(each.old) == str(each.new))
        ]


def _is_to_be_made(found: Opened) -> bool:
    return bool(found.resources) and all(each.startswith(_TO_BE_MADE) for each in found.resources)


def _subjects(steps: Sequence[ResourceStep]) -> Iterator[_Subject]:
    by_subject: dict[tuple[str, str], list[PolicyDocument]] = {}
    for each in policy_documents(steps):
        if each.stays and each.step.region:
            by_subject.setdefault((_label(each), each.step.region), []).append(each)
    for (label, region), documents in by_subject.items():
        if any(each.step.changes for each in documents):
            yield _Subject(label, region, tuple(documents))


def _label(document: PolicyDocument) -> str:
    if document.kind is PolicyKind.TRUST:
        return f"who may assume the role {document.subject}"
    if document.kind is PolicyKind.IDENTITY:
        return f"{_kind_of_type(document.about)} {document.subject}"
    return f"{_kind_of(document.step)} {document.subject}"


def _kind_of(step: ResourceStep) -> str:
    return _kind_of_type(step.type)


def _kind_of_type(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rpartition(":")[2]).lower()


def _any_key(text: str, regions: Collection[str]) -> str:
    return _KEY.sub(
        lambda found: f"{found['region']}{found['account']}key" if found["region"] in regions else found[0],
        text,
    )


def _with_any_key(policy: Policy, region: str) -> Policy:
    """``policy`` with each key of ``region``, and also with any key there in its place."""
    return _retold(policy, lambda text: (text, _any_key(text, (region,))))


def _in_region(policy: Policy, regions: Collection[str], other: str) -> Policy:
    """``policy`` with each of ``regions`` replaced by ``other``, and their keys by any key there."""

    def told(text: str) -> tuple[str]:
        text = _any_key(text, regions)
        for region in regions:
            text = re.sub(rf"{re.escape(region)}(?!\d)", other, text)
        return (text,)

    return _retold(policy, told)


def _retold(policy: Policy, told: Callable[[str], Iterable[str]]) -> Policy:
    def values(found: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for text in found for each in told(text)))

    def part(found: Part | None) -> Part | None:
        return replace(found, values=values(found.values)) if found else None

    def statement(found: Statement) -> Statement:
        conditions = tuple(
            Condition(each.operator, each.key, values(each.values)) for each in found.conditions
        )
        return replace(
            found, resources=part(found.resources), principals=part(found.principals), conditions=conditions
        )

    return Policy(tuple(map(statement, policy)))


class _Told:
    """Collects growth, with the regions where it is the same."""

    def __init__(self, regions: tuple[str, ...], standing: frozenset[str], release: str) -> None:
        self._regions, self._standing, self._release = regions, standing, release
        self._found: dict[tuple[str, tuple[str, ...], str, bool], list[str]] = {}

    def add(self, subject: _Subject, found: Sequence[Opened | str], why: str) -> None:
        alike = _Alike(self._regions, self._standing, subject.region)
        said = sorted(each if isinstance(each, str) else _sentence(each, alike) for each in found)
        is_known = not any(isinstance(each, str) for each in found)
        if said:
            self.put(subject.label, subject.region, said, why=why, is_known=is_known)

    def put(self, label: str, region: str | None, said: Sequence[str], *, why: str, is_known: bool) -> None:
        """Add growth. ``why``: why it needs no permission; "" when it does."""
        texts = tuple(self._told(each, str(region)) for each in said)
        key = (self._told(label, str(region)), texts, why, is_known)
        self._found.setdefault(key, []).append(str(region))

    def growth(self) -> tuple[Growth, ...]:
        """The collected growth, equal regions together. The id covers the regions it was collected for."""
        found = []
        for (label, said, why, is_known), where in self._found.items():
            regions = tuple(dict.fromkeys([*(each for each in self._regions if each in where), *where]))
            id_ = _digest([*self._regions, label, *said, "" if is_known else self._release, "in", *regions])
            found.append(Growth(id_, label, regions, said, not why, why=why))
        return tuple(found)

    def _told(self, text: str, region: str) -> str:
        return re.sub(rf"{re.escape(region)}(?!\d)", _REGION, text)


def _sentence(found: Opened, alike: _Alike) -> str:
    actions, resources = ", ".join(found.actions), ", ".join(alike.told(found.resources))
    who = "anybody" if found.is_public else ", ".join(alike.told(found.principals))
    if found.today:
        rest = len(found.today) - _MOST_NAMED
        actions += f" (today {', '.join(found.today[:_MOST_NAMED])}{f' and {rest} more' if rest > 0 else ''})"
    what = f"{actions} on {resources}" if resources else actions
    bounds = (f"{each.operator} {each.key} {', '.join(alike.told(each.values))}" for each in found.conditions)
    held = f", if {' and '.join(bounds)}" if found.conditions else ""
    said = {
        "action": f"may {what}{held}",
        "resource": f"may {what} too{held}",
        "principal": f"may {what}{held}",
        "condition": f"may {what} on a weaker condition{held or ': none'}",
        "denied": f"no more denied {what}{held}",
    }[found.aspect]
    if found.principals:
        said = f"{who} {said}" if found.aspect != "denied" else f"{said} to {who}"
    return f"{said}; not certain: {found.why}" if found.why else said


@dataclass(frozen=True)
class _Alike:
    """Merges texts that are the same for every region, for every existing one, or for all except ``own``."""

    regions: tuple[str, ...]
    standing: frozenset[str]
    own: str

    def told(self, texts: Sequence[str]) -> list[str]:
        """``texts`` in alphabetical order."""
        shapes: dict[str, set[str]] = {}
        for text in texts:
            for region in (each for each in self.regions if each in text):
                shapes.setdefault(text.replace(region, _EVERY), set()).add(region)
        words = {
            _SO_FAR: self.standing,
            _EVERY_OTHER: set(self.regions) - {self.own},
            _EVERY: set(self.regions),
        }
        told = {
            shape: word
            for word, regions in words.items()
            for shape, found in shapes.items()
            if found == regions and len(self.regions) > 1
        }
        return sorted({self._shape(text, told) for text in texts})

    def _shape(self, text: str, told: Mapping[str, str]) -> str:
        shapes = (text.replace(region, _EVERY) for region in self.regions if region in text)
        return next((shape.replace(_EVERY, told[shape]) for shape in shapes if shape in told), text)


def _short(value: object) -> str:
    return (
        "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    )


def _digest(said: Sequence[str]) -> str:
    """An id of 64 bits: finding other growth with the same id takes about 10^19 tries."""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
