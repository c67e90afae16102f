"""The JSON Lines of the records: UTF-8, sorted keys, so that equal records have equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from regionshift.carriers.carrier import (
    Before,
    Conflict,
    DataLocation,
    Entry,
    Failed,
    Item,
    ItemState,
    Proof,
    SourceVersion,
    Undone,
    UnfinishedItem,
    Written,
)

Line = dict[str, Any]


def dump(value: Mapping[str, Any]) -> str:
    """Return one line, without the newline."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def to_bytes(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return JSON Lines."""
    return "".join(dump(line) + "\n" for line in lines).encode()


def from_bytes(body: bytes) -> list[Line]:
    """Read the lines of a record."""
    return [json.loads(line) for line in body.splitlines() if line]


def entry_line(entry: Entry) -> Line:
    """Return an entry for plans and metadata."""
    return {
        "kind": entry.kind,
        "source": place_line(entry.source),
        "target": place_line(entry.target),
        "include": list(entry.include),
        "exclude": list(entry.exclude),
        "history": entry.history,
        "storage_class": entry.storage_class,
        "kms_key": entry.kms_key,
        "keys": list(entry.keys),
        "rewrite": list(entry.rewrite),
        "replace": dict(entry.replace),
        "tags": dict(entry.tags),
        "owned": list(entry.owned),
        "within": entry.within,
    }


def read_entry(line: Mapping[str, Any]) -> Entry:
    """Read an entry that ``entry_line`` wrote."""
    return Entry(
        line["kind"],
        DataLocation(**line["source"]),
        DataLocation(**line["target"]),
        include=tuple(line["include"]),
        exclude=tuple(line["exclude"]),
        history=line["history"],
        storage_class=line["storage_class"],
        kms_key=line["kms_key"],
        keys=tuple(line.get("keys", ())),
        rewrite=tuple(line["rewrite"]),
        replace=line.get("replace", {}),
        tags=line["tags"],
        owned=tuple(line["owned"]),
        within=line.get("within", ""),
    )


def place_line(place: DataLocation) -> Line:
    """Return region, bucket and prefix, and the bucket's owner when it is another account."""
    line = {"region": place.region, "bucket": place.bucket, "prefix": place.prefix}
    return line | {"account": place.account} if place.account else line


def item_line(item: Item) -> Line:
    """Return one item of a plan."""
    line: Line = {"key": item.key, "kind": item.kind.value}
    if item.versions:
        line["versions"] = [
            [v.id, v.etag, v.size, v.marker, v.storage_class, *([v.date] if v.date else [])]
            for v in item.versions
        ]
    if item.reason:
        line["reason"] = item.reason
    if item.rewrites:
        line["rewrites"] = item.rewrites
    return line


def read_item(line: Mapping[str, Any]) -> Item:
    """Read an item that ``item_line`` wrote."""
    versions = tuple(SourceVersion(*version) for version in line.get("versions", ()))
    return Item(
        line["key"], ItemState(line["kind"]), versions, line.get("reason", ""), line.get("rewrites", "")
    )


def before_line(before: Before) -> Line:
    """Return the earlier state of one item at the target."""
    line: Line = {"key": before.key, "version": before.version}
    if before.version is not None:
        line |= {"marker": before.marker, "etag": before.etag, "size": before.size}
    if before.detail:
        line["detail"] = dict(before.detail)
    return line


def read_before(line: Mapping[str, Any]) -> Before:
    """Read a state that ``before_line`` wrote."""
    return Before(
        line["key"],
        line["version"],
        line.get("marker", False),
        line.get("etag", ""),
        line.get("size", 0),
        line.get("detail", {}),
    )


def result_line(item: Item, outcome: Written | Failed | UnfinishedItem, proof: Proof | None) -> Line:
    """Return the result of one item; ``versions`` are those written at the target."""
    line: Line = {"key": item.key, "size": item.size, "source_version": str(item.versions[-1].identity)}
    if isinstance(outcome, Written):
        line |= {"state": "written", "versions": list(outcome.versions)}
        if outcome.adopted:
            line["adopted"] = True
    elif isinstance(outcome, Failed):
        line |= {"state": "failed", "versions": list(outcome.written), "reason": outcome.reason}
    else:
        line |= {"state": "unfinished", "versions": []}
    if proof is not None:
        line |= {"level": proof.level.value, "proven": proof.proven}
        if proof.evidence:
            line["evidence"] = proof.evidence
        if proof.reason:
            line["reason"] = proof.reason
    return line


def whole_name(target: DataLocation, key: str) -> Line:
    """Return an item's name for messages: ``item`` from bucket or region on, and for objects ``bucket``."""
    bucket = {"bucket": target.bucket} if target.bucket else {}
    return {"item": f"{target}{key}", **bucket}


def undone_line(answer: Undone | Conflict | UnfinishedItem) -> Line:
    """Return the result of one item in a rollback."""
    if isinstance(answer, UnfinishedItem):
        return {"key": answer.key, "state": "unfinished"}
    if isinstance(answer, Undone):
        line: Line = {"key": answer.key, "state": "undone", "how": answer.how}
        return line | {"version": answer.version} if answer.version else line
    return {"key": answer.key, "state": "conflict", "reason": answer.reason}
