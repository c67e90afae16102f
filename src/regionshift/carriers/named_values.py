"""Named values: what parameters and secrets have in common. They are read, written and compared one by one."""

from __future__ import annotations

import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError, ParamValidationError

from regionshift.carriers.carrier import (
    Before,
    Carried,
    Conflict,
    Cost,
    DataLocation,
    Entry,
    Failed,
    Item,
    ItemState,
    Level,
    OutOfTimeError,
    Proof,
    Undone,
    UnfinishedItem,
    VersionIdentity,
    Work,
    Written,
    changed_since,
)
from regionshift.carriers.side_by_side import side_by_side
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.waiting import AT_ONCE, Waiter

ClientSource = Callable[[str, str], Any]
"""Returns the boto3 client of (service, region)."""

# The codes with which both services throttle. PutParameter allows only 3 calls a second (AWS General Reference,
# "Systems Manager endpoints and quotas").
TOO_OFTEN = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "TooManyUpdates"})
_ATTEMPTS = 8
_FIRST_WAIT = 0.2  # seconds, doubled each time
_LOOKS_AT_ONCE = 8
MEANWHILE = "someone else wrote here while the migration ran"
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
RULES = ("arn", "region")
"""``arn``: the region field of ARNs. ``region``: the region's name as a whole word anywhere."""


@dataclass(frozen=True)
class Value:
    """A value in memory. ``repr``, logs and tracebacks do not show it."""

    text: str | None = field(default=None, repr=False)
    binary: bytes | None = field(default=None, repr=False)


class NamedError(Exception):
    """A call for one name failed. Never contains AWS's message, which can quote the refused value."""

    def __init__(self, code: str, operation: str) -> None:
        super().__init__(f"{operation} answered {code}")
        self.code = code
        self.operation = operation


class ThrottledError(NamedError):
    """The service still throttles, or does not show a write yet. A later call will succeed."""


class UnclearError(NamedError):
    """The service had an internal failure. It may have done the write."""


class ConcurrentWriteError(NamedError):
    """Somebody else wrote a name at the target while the migration ran."""

    def __init__(self, operation: str) -> None:
        super().__init__("Stranger", operation)

    def __str__(self) -> str:
        return MEANWHILE


def call(operation: Callable[..., Any], **given: Any) -> Any:
    """Make one API call. Retry while the service throttles.

    Raises:
        ThrottledError: the service still throttles.
        UnclearError: an internal failure of the service.
        NamedError: the service refused.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return operation(**given)
        except ClientError as error:
            refusal = _refusal(error)
            if not isinstance(refusal, ThrottledError) or attempt == _ATTEMPTS - 1:
                raise refusal from None
            pause(attempt)
        except ParamValidationError:
            # Its message quotes the value, and would reach the state machine.
            raise NamedError("ParamValidation", getattr(operation, "__name__", "the call")) from None
    raise AssertionError("the last attempt returns or raises")


def pause(attempt: int) -> None:
    """Wait twice as long after each attempt, with jitter, so that throttled callers do not retry together."""
    time.sleep(_FIRST_WAIT * 2**attempt * (0.5 + random.random() / 2))


def _refusal(error: ClientError) -> NamedError:
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    if code in TOO_OFTEN:
        return ThrottledError(code, error.operation_name)
    inside = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return (UnclearError if inside else NamedError)(code, error.operation_name)


def is_not_visible_yet(error: Exception, codes: Collection[str], has_time: Callable[[], bool]) -> bool:
    """Whether ``error`` has one of ``codes`` for "not found", which follow a write that is not visible yet.

    Raises:
        ThrottledError: it has, and time ran out; the next call continues.
    """
    if not isinstance(error, NamedError) or error.code not in codes:
        return False
    if not has_time():
        raise ThrottledError(error.code, error.operation) from error
    return True


def pages(operation: Callable[..., Any], field_name: str, **given: Any) -> Iterator[dict[str, Any]]:
    """Yield all entries of a paged listing."""
    token: dict[str, str] = {}
    while True:
        answer = call(operation, **given, **token)
        yield from answer[field_name]
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


@contextmanager
def listed(what: str, region: str) -> Iterator[None]:
    """Translate errors of the listing in the block.

    Raises:
        Refused: no permission.
        WorkFailed: any other error.
    """
    try:
        yield
    except NamedError as error:
        if error.code in DENIED:
            raise Refused(
                f"No permission to list {what}.",
                where=region,
                remedy="Grant the migration's role what the plan names.",
                error_id="RS-CARRY-006",
            ) from error
        raise WorkFailed(
            f"{what} cannot be listed: {error}.", where=region, error_id="RS-CARRY-011"
        ) from error


@contextmanager
def batch_seen(what: str, entry: Entry) -> Iterator[None]:
    """Translate errors of the calls in the block that read a whole batch.

    Raises:
        OutOfTimeError: the service throttles; the next call continues.
        WorkFailed: the service refused.
    """
    try:
        yield
    except ThrottledError as error:
        raise OutOfTimeError(str(error)) from error
    except NamedError as error:
        remedy = "Grant the migration's role what the plan names." if error.code in DENIED else None
        where = f"{entry.source.region} to {entry.target.region}"
        raise WorkFailed(
            f"{what} cannot be read: {error}.", where=where, remedy=remedy, error_id="RS-CARRY-011"
        ) from error


def looked_at(what: str, key: str, look: Callable[[], Item | None]) -> Item | None:
    """Return the result of ``look`` for one planned item; a conflict when the service refuses.

    Raises:
        WorkFailed: the service throttles.
    """
    try:
        return look()
    except ThrottledError as error:
        raise WorkFailed(f"{what} cannot be read: {error}.", where=key, error_id="RS-CARRY-011") from error
    except NamedError as error:
        return Item(key, ItemState.CONFLICT, reason=f"it cannot be read: {error}")


def looked_at_together(
    what: str, look: Callable[[str, Carried | None], Item | None], given: Iterable[tuple[str, Carried | None]]
) -> Iterator[Item]:
    """Yield the results of ``look`` for pairs of key and earlier copy, several at once, in their order.

    Raises:
        WorkFailed: see ``looked_at``.
    """

    def one(key: str, ours: Carried | None) -> Item | None:
        return looked_at(what, key, lambda: look(key, ours))

    with ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="look") as pool:
        yield from filter(None, side_by_side(pool, lambda pair: one(*pair), given, 2 * _LOOKS_AT_ONCE))


Description = Mapping[str, Any]
"""The service's metadata of one name, without its value."""
Both = tuple[Description | None, Description | None]
"""The metadata at the source and at the target."""


class NamedCarrier(ABC):
    """Copies, proves and undoes a batch, one name after the other. Subclasses handle one name.

    When the service throttles, the name is left for the next call, which finds its writes by ``Carrier.recover``.
    A read that may be stale is repeated before the item fails.

    Class attributes:
        what: the kind of data, as the first word of a sentence.
    """

    what: ClassVar[str]
    _waiter: Waiter = AT_ONCE

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | UnfinishedItem]:
        """See ``Carrier.copy``."""
        keys = [item.key for item in work.items]
        both = self._both(work.entry, keys)
        if both is None:
            yield from map(UnfinishedItem, keys)
            return
        for item in work.items:
            if not work.has_time():
                yield UnfinishedItem(item.key)
                continue
            made = list(written.get(item.key, ()))
            try:
                self._carry(work, item, before[item.key], both(item.key), made)
            except ThrottledError:
                yield UnfinishedItem(item.key)
            except NamedError as error:
                yield Failed(item.key, str(error), tuple(made))
            else:
                yield Written(item.key, tuple(made), adopted=item.key in written)

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | UnfinishedItem]:
        """See ``Carrier.verify``."""
        items = [item for item in work.items if item.key in written]
        evidence = "value and settings" if level is Level.FULL else "version, listing"
        for is_last in self._waiter.looks():
            keys, doubtful = [item.key for item in items], list[Item]()
            both = self._both(work.entry, keys)
            if both is None:
                yield from map(UnfinishedItem, keys)
                return
            for item in items:
                made = VersionIdentity.read(written[item.key].versions[-1])
                try:
                    problem = self._problem(work.entry, item, made, level, both(item.key))
                except ThrottledError:
                    yield UnfinishedItem(item.key)
                    continue
                except NamedError as error:
                    problem = str(error)
                if problem and not is_last:
                    doubtful.append(item)
                else:
                    yield Proof(item.key, level, not problem, "" if problem else evidence, problem)
            items = doubtful
            if not items or not work.has_time():
                yield from (UnfinishedItem(item.key) for item in items)
                return

    def undo(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """See ``Carrier.undo``."""
        items = [item for item in work.items if item.key in written]
        for is_last in self._waiter.looks():
            keys, doubtful = [item.key for item in items], list[Item]()
            target = self._seen(work.entry, work.entry.target, keys)
            if target is None:
                yield from map(UnfinishedItem, keys)
                return
            for item in items:
                made = VersionIdentity.read(written[item.key][-1])
                try:
                    there = target(item.key)
                    if not is_last and not self._shows(there, made):
                        doubtful.append(item)
                    else:
                        yield self._take_back(work, item, before[item.key], made, there)
                except ThrottledError:
                    yield UnfinishedItem(item.key)
                except NamedError as error:
                    yield Conflict(item.key, str(error))
            items = doubtful
            if not items or not work.has_time():
                yield from (UnfinishedItem(item.key) for item in items)
                return

    def _both(self, entry: Entry, keys: Sequence[str]) -> Callable[[str], Both] | None:
        source = self._seen(entry, entry.source, keys)
        target = source and self._seen(entry, entry.target, keys)
        return (lambda key: (source(key), target(key))) if source and target else None

    def _seen(
        self, entry: Entry, place: DataLocation, keys: Sequence[str]
    ) -> Callable[[str], Description | None] | None:
        """See ``_described``; None when the service throttles, so that all names are left for the next call."""
        try:
            with batch_seen(self.what, entry):
                return self._described(place, keys)
        except OutOfTimeError:
            return None

    @abstractmethod
    def _described(self, place: DataLocation, keys: Sequence[str]) -> Callable[[str], Description | None]:
        """Return a function that gives the metadata at ``place`` of one of ``keys``, now or when the batch began."""

    @abstractmethod
    def _carry(self, work: Work, item: Item, before: Before, both: Both, made: list[str]) -> None:
        """Write one name, unless ``made`` has its version (an identity) already; add the version to ``made``.

        Raises:
            NamedError: it could not be written, or somebody else wrote there.
        """

    @abstractmethod
    def _problem(self, entry: Entry, item: Item, made: VersionIdentity, level: Level, both: Both) -> str:
        """Return why ``made`` is not proven at ``level``; empty when it is."""

    @abstractmethod
    def _shows(self, there: Description | None, made: VersionIdentity) -> bool:
        """Whether the metadata ``there`` shows the version ``made`` already."""

    @abstractmethod
    def _take_back(
        self, work: Work, item: Item, before: Before, made: VersionIdentity, there: Description | None
    ) -> Undone | Conflict:
        """Restore one name at the target to its state before ``made``. ``there``: its present metadata."""


def decide(
    ours: Carried | None, source: VersionIdentity, target: VersionIdentity | None
) -> tuple[ItemState, str]:
    """Return the state of one name in the plan, and the reason when it is a conflict."""
    if ours and (target is None or not target.is_recorded_as(ours.target_version, ours.ended)):
        return ItemState.CONFLICT, changed_since(ours, deleted=target is None)
    if ours and source.is_recorded_as(ours.source_version, ours.ended):
        return ItemState.SAME, ""
    return (ItemState.NEW if target is None else ItemState.CHANGED), ""


def add_named_cost(cost: Cost, item: Item, level: Level) -> None:
    """Add the requests for one value and its settings; at level ``full``, both sides are read again."""
    del item
    cost.writes += 1
    cost.reads += 4 if level is Level.FULL else 0


def tags_of(entries: list[dict[str, str]] | None) -> dict[str, str]:
    """Return AWS's list of tags as a mapping, without AWS's own (``aws:``), which nobody else can set."""
    return {tag["Key"]: tag["Value"] for tag in entries or [] if not tag["Key"].startswith("aws:")}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a mapping of tags as AWS's list."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def require_rules(entry: Entry) -> None:
    """Check the rewrite rules of an entry.

    Raises:
        InputError: a rule does not exist.
    """
    if "" in entry.replace:
        raise InputError(
            "An empty text cannot be replaced.",
            where="rewrite.replace",
            remedy="name the text to replace",
            error_id="RS-CARRY-005",
        )
    for rule in entry.rewrite:
        if rule not in RULES:
            raise InputError(
                f"There is no rewrite rule {rule!r}.",
                where="rewrite",
                remedy=f"Use {' or '.join(RULES)}.",
                error_id="RS-CARRY-005",
            )


def rewritten(entry: Entry, value: Value) -> tuple[Value, dict[str, int]]:
    """Return the value for the target, and how often each rule changed it. Binary values do not change.

    The entry's own texts are replaced last, in one pass and the longest first, so that no replacement is replaced
    again.
    """
    if value.text is None or not (entry.rewrite or entry.replace):
        return value, {}
    text = value.text
    counts: dict[str, int] = {}
    for rule in RULES:
        if rule in entry.rewrite:
            text, number = _pattern(rule, entry.source.region).subn(
                lambda match: match[0].replace(entry.source.region, entry.target.region), text
            )
            if number:
                counts[rule] = number
    if entry.replace:
        longest_first = sorted(entry.replace, key=len, reverse=True)
        pattern = re.compile("|".join(re.escape(wanted) for wanted in longest_first))
        text, number = pattern.subn(lambda match: entry.replace[match[0]], text)
        if number:
            counts["replace"] = number
    return Value(text), counts


def rewrites_of(entry: Entry, value: Callable[[], Value]) -> str:
    """Return the rewrites of one item as text for a plan. Reads its value only when the entry has rules."""
    if not entry.rewrite and not entry.replace:
        return ""
    return ", ".join(f"{rule} ×{number}" for rule, number in rewritten(entry, value())[1].items())


def _pattern(rule: str, region: str) -> re.Pattern[str]:
    name = re.escape(region)
    if rule == "arn":
        return re.compile(rf"\barn:aws[a-z-]*:[a-z0-9-]*:{name}:")
    return re.compile(rf"(?<![A-Za-z0-9-]){name}(?![A-Za-z0-9-]|[a-z]\b)")
