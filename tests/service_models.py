"""What AWS's own service models (botocore's) say about requests that were recorded at the embedded AWS's door.

A request is read back by its service's protocol (https://smithy.io/2.0/aws/protocols/index.html) and held against the
shape of its operation's input: required members, lengths, ranges, patterns, enums, and names that the model does not
know. botocore checks names, types, required members and least lengths before it sends; patterns, greatest lengths,
enums and ranges are left to the service, and what is not sent by botocore (the S3 transport) is checked by nobody.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import RpcV2CBORParser

from regionshift.local.state import REQUESTS

# Names in the credential scope that are not botocore's name of the service.
_NAMES = {
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
# Headers of the protocols, of signatures and of checksums that are sent in a trailer: no member of any input.
_OF_TRANSPORT = re.compile(
    r"x-amz-(date|content-sha256|security-token|user-agent|target|trailer|te|decoded-content-length"
    r"|checksum-\w+|sdk-checksum-algorithm|query-mode|api-version|cf-id)$|x-amzn-(query-mode|trace-id)$"
)
_SIGNED_IN_QUERY = re.compile(
    r"X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token)$"
)
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/")
_UNREAD = object()  # a body that was not recorded, or that is the payload as it is


@dataclass(frozen=True)
class Recorded:
    """A request as it came in; header names are in lower case, ``body`` is None where it was not kept."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None

    @staticmethod
    def of(line: bytes) -> Recorded:
        found = json.loads(line)
        body = found.pop("body")
        return Recorded(**found, body=None if body is None else body.encode("latin-1"))

    @property
    def service(self) -> str:
        """botocore's name of the service, by what the request is signed for; empty when it is not signed."""
        signed = dict(parse_qsl(self.query)).get("X-Amz-Credential")
        found = _SCOPE.search(
            self.headers.get("authorization", "") if signed is None else f"Credential={signed}"
        )
        if found is None and b"Action=AssumeRoleWithWebIdentity" in (self.body or b""):
            return "sts"  # who has a token has no key yet (STS API Reference, "AssumeRoleWithWebIdentity")
        return _NAMES.get(found[1], found[1]) if found else ""


_read_to: dict[Path, int] = {}  # each recording, and the byte up to which it has been read


def record(state_dir: Path) -> None:
    """Have every request to the embedded AWS of ``state_dir`` written down, from its next start on."""
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / REQUESTS).touch()
    _read_to[state_dir / REQUESTS] = 0


def new_violations() -> list[str]:
    """What AWS's models do not allow of what was recorded since this was asked last, each once."""
    found: dict[str, None] = {}
    for path in [path for path in _read_to if path.exists()]:  # some are wiped with their cloud
        with path.open("rb") as file:
            file.seek(_read_to[path])
            lines = file.readlines()
            _read_to[path] = file.tell()
        for line in lines:
            recorded = Recorded.of(line)
            if not recorded.path.startswith("/_ministack/"):
                found |= dict.fromkeys(violations(recorded))
    return list(found)


@dataclass(frozen=True)
class Read:
    """A request read by its model: ``unknown`` names what was sent and is in no member of the input."""

    operation: OperationModel
    parameters: Mapping[str, Any]
    unknown: tuple[str, ...] = ()


def violations(recorded: Recorded) -> list[str]:
    """What the model of the request's service does not allow of it; empty when it is right.

    Raises:
        LookupError: the request is not signed, or the service has no such operation.
    """
    read = read_back(recorded)
    problems = [f"{name}: unknown" for name in read.unknown]
    shape = read.operation.input_shape
    if shape is not None:
        problems += checker(recorded.service, shape)(read.parameters, "")
    of = f"{read.operation.service_model.service_name} {read.operation.name}"
    return [f"{of} {problem}" for problem in problems]


def read_back(recorded: Recorded) -> Read:
    """The operation of a request, and its parameters as a caller of botocore would give them."""
    if not recorded.service:
        raise LookupError(f"not signed: {recorded.method} {recorded.path}")
    service = model(recorded.service)
    # Several services speak several protocols; what was sent says which of them.
    if "x-amz-target" in recorded.headers:
        operation = service.operation_model(recorded.headers["x-amz-target"].rpartition(".")[2])
        return _read_whole(operation, json.loads(recorded.body or b"{}"), _from_json)
    if recorded.headers.get("smithy-protocol") == "rpc-v2-cbor":
        operation = service.operation_model(recorded.path.rpartition("/")[2])
        sent = RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(recorded.body or b"\xa0")))
        return _read_whole(operation, sent, lambda value, _shape, _name, _unknown: value)
    if service.protocol in ("query", "ec2"):
        return _read_form(service, recorded)
    return _read_rest(service, recorded)


@cache
def model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _read_whole(operation: OperationModel, sent: Any, convert: Callable[..., Any]) -> Read:
    unknown: list[str] = []
    shape = operation.input_shape
    return Read(operation, convert(sent, shape, "", unknown) if shape else {}, tuple(unknown))


def _from_json(value: Any, shape: Shape, name: str, unknown: list[str]) -> Any:
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            members = {
                each.serialization.get("name", key): (key, each) for key, each in shape.members.items()
            }
            unknown += [f"{name}.{each}" for each in value if each not in members]
            return {
                members[key][0]: _from_json(each, members[key][1], f"{name}.{key}", unknown)
                for key, each in value.items()
                if key in members
            }
        case "list" if isinstance(value, list):
            return [_from_json(each, shape.member, name, unknown) for each in value]
        case "map" if isinstance(value, dict):
            return {key: _from_json(each, shape.value, name, unknown) for key, each in value.items()}
        case "blob":
            return base64.b64decode(value)
    return value


def _read_form(service: ServiceModel, recorded: Recorded) -> Read:
    form = dict(parse_qsl((recorded.body or b"").decode(), keep_blank_values=True))
    operation = service.operation_model(form.pop("Action"))
    form.pop("Version")
    shape = operation.input_shape
    read: Any = _from_form(form, shape, "", service.protocol == "ec2") if shape else {}
    return Read(operation, read or {}, tuple(form))


def _from_form(form: dict[str, str], shape: Shape, prefix: str, is_ec2: bool) -> Any:
    """What stands under ``prefix``, taken out of the form; None when there is nothing."""
    if not any(key == prefix or key.startswith(prefix and f"{prefix}.") for key in form):
        return None
    dotted = f"{prefix}." if prefix else ""
    match shape.type_name:
        case "structure":
            found = {}
            for name, member in shape.members.items():
                value = _from_form(form, member, dotted + _form_name(name, member, is_ec2), is_ec2)
                if value is not None:
                    found[name] = value
            return found
        case "list":
            if form.get(prefix) == "":
                form.pop(prefix)
                return []
            return list(_numbered(form, _of_list(shape, prefix, is_ec2), shape.member, is_ec2))
        case "map":
            entries = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
            keys = _numbered(
                form, entries, shape.key, is_ec2, "." + shape.key.serialization.get("name", "key")
            )
            values = _numbered(
                form, entries, shape.value, is_ec2, "." + shape.value.serialization.get("name", "value")
            )
            return dict(zip(keys, values, strict=True))
    return _plain(form.pop(prefix), shape) if prefix in form else None


def _of_list(shape: Shape, prefix: str, is_ec2: bool) -> str:
    if is_ec2:
        return prefix
    name = shape.member.serialization.get("name", "member")
    if shape.serialization.get("flattened"):
        return ".".join([*prefix.split(".")[:-1], name]) if name != "member" else prefix
    return f"{prefix}.{name}"


def _numbered(form: dict[str, str], prefix: str, shape: Shape, is_ec2: bool, more: str = "") -> Iterator[Any]:
    number = 1
    while (value := _from_form(form, shape, f"{prefix}.{number}{more}", is_ec2)) is not None:
        yield value
        number += 1


def _form_name(name: str, member: Shape, is_ec2: bool) -> str:
    if not is_ec2:
        return str(member.serialization.get("name", name))
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    given = str(member.serialization.get("name", name))
    return given[0].upper() + given[1:]


def _plain(text: str, shape: Shape) -> Any:
    """A value as it is written in headers, URLs, forms and XML."""
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "boolean":
            return {"true": True, "false": False}[text.lower()]
        case "blob":
            return base64.b64decode(text)
        case "list":
            return [_plain(each.strip(), shape.member) for each in text.split(",")]
    return text


def _read_rest(service: ServiceModel, recorded: Recorded) -> Read:
    query = parse_qsl(recorded.query, keep_blank_values=True)
    operation, labels = _operation(service, recorded, dict(query))
    literals = _literals(operation)
    shape = operation.input_shape
    found: dict[str, Any] = {}
    known = {key for key, _ in literals}
    prefixes: list[str] = []
    payload = shape.serialization.get("payload") if shape else None
    in_body: dict[str, Shape] = {}
    for name, member in (shape.members if shape else {}).items():
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                found[name] = _plain(labels[wire], member)
            case "header":
                known.add(wire.lower())
                if wire.lower() in recorded.headers:
                    found[name] = _plain(recorded.headers[wire.lower()], member)
            case "headers":
                prefixes.append(wire.lower())
                starts = {k: v for k, v in recorded.headers.items() if k.startswith(wire.lower())}
                if starts:
                    found[name] = {key[len(wire) :]: value for key, value in starts.items()}
            case "querystring":
                known.add(wire)
                given = [value for key, value in query if key == wire]
                if given:
                    found[name] = [*given] if member.type_name == "list" else _plain(given[0], member)
            case _ if payload in (None, name):
                in_body[name] = member
    unknown = [key for key, _ in query if key not in known and not _SIGNED_IN_QUERY.match(key)]
    unknown += [
        key
        for key in recorded.headers
        if key.startswith("x-amz")
        and key not in known
        and not _OF_TRANSPORT.match(key)
        and not key.startswith(tuple(prefixes) or "\0")
    ]
    for name, value in _body(service, recorded, payload, in_body, unknown):
        found[name] = value
    return Read(operation, found, tuple(unknown))


def _body(
    service: ServiceModel,
    recorded: Recorded,
    payload: str | None,
    members: dict[str, Shape],
    unknown: list[str],
) -> Iterator[tuple[str, Any]]:
    """The members that the body holds."""
    if payload and members[payload].type_name in ("blob", "string"):
        yield payload, _UNREAD
        return
    if not members or not recorded.body:
        if members and recorded.body is None:
            yield from ((name, _UNREAD) for name in members)
        return
    if service.protocol == "rest-json":
        sent = json.loads(recorded.body)
        if payload:
            yield payload, _from_json(sent, members[payload], payload, unknown)
            return
        names = {each.serialization.get("name", key): (key, each) for key, each in members.items()}
        unknown += [key for key in sent if key not in names]
        yield from (
            (names[key][0], _from_json(each, names[key][1], key, unknown))
            for key, each in sent.items()
            if key in names
        )
        return
    root = ElementTree.fromstring(recorded.body)
    if payload:
        yield payload, _from_xml(root, members[payload], payload, unknown)


def _from_xml(node: ElementTree.Element, shape: Shape, name: str, unknown: list[str]) -> Any:
    match shape.type_name:
        case "structure":
            found: dict[str, Any] = {}
            left = {_tag(child) for child in node}
            for key, member in shape.members.items():
                wire = _xml_name(key, member)
                if member.serialization.get("xmlAttribute"):
                    given = [
                        v for k, v in node.attrib.items() if k.rpartition("}")[2] == wire.rpartition(":")[2]
                    ]
                    found |= {key: given[0]} if given else {}
                    continue
                children = [child for child in node if _tag(child) == wire]
                left.discard(wire)
                if children and member.type_name == "list" and member.serialization.get("flattened"):
                    found[key] = [
                        _from_xml(each, member.member, f"{name}.{key}", unknown) for each in children
                    ]
                elif children:
                    found[key] = _from_xml(children[0], member, f"{name}.{key}", unknown)
            unknown += [f"{name}.{tag}" for tag in left]
            return found
        case "list":
            return [_from_xml(child, shape.member, name, unknown) for child in node]
    return _plain(node.text or "", shape)


def _xml_name(key: str, member: Shape) -> str:
    if member.type_name == "list" and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", member.serialization.get("name", key)))
    return str(member.serialization.get("name", key))


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _operation(
    service: ServiceModel, recorded: Recorded, query: Mapping[str, str]
) -> tuple[OperationModel, Mapping[str, str]]:
    """The operation whose URL fits best: most of what tells it from others (labels, literals, required) is there."""
    best: tuple[int, OperationModel, Mapping[str, str]] | None = None
    for operation, pattern, literals, required in _routes(service.service_name):
        fits = pattern.fullmatch(recorded.path)
        if operation.http["method"] != recorded.method or not fits:
            continue
        told = [
            *(query.get(key) in (value, None if value else "") and key in query for key, value in literals)
        ]
        told += [name in (query if place == "querystring" else recorded.headers) for place, name in required]
        if all(told) and (best is None or len(told) + fits.re.groups > best[0]):
            labels = {key: unquote(value) for key, value in fits.groupdict().items()}
            best = (len(told) + fits.re.groups, operation, labels)
    if best is None:
        raise LookupError(f"{service.service_name} has no {recorded.method} {recorded.path}?{recorded.query}")
    return best[1], best[2]


Route = tuple[OperationModel, re.Pattern[str], tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


@cache
def _routes(service: str) -> tuple[Route, ...]:
    operations = (model(service).operation_model(name) for name in model(service).operation_names)
    return tuple(_route(operation) for operation in operations if not operation.deprecated)


def _route(operation: OperationModel) -> Route:
    path = operation.http["requestUri"].partition("?")[0]
    pieces = re.split(r"\{(\w+)(\+?)\}", path)
    pattern = re.escape(pieces[0])
    for name, greedy, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'}){re.escape(rest)}"
    if path.endswith("}") and not path.endswith("+}"):
        pattern += "/?"  # a bucket is also named as a folder
    shape = operation.input_shape
    required = (
        (member.serialization["location"], member.serialization.get("name", name).lower())
        if member.serialization.get("location") == "header"
        else ("querystring", member.serialization.get("name", name))
        for name, member in (shape.members if shape else {}).items()
        if name in shape.required_members
        and member.serialization.get("location") in ("header", "querystring")
    )
    return operation, re.compile(pattern, re.DOTALL), _literals(operation), tuple(required)


def _literals(operation: OperationModel) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True))


Check = Callable[[Any, str], list[str]]
_checkers: dict[tuple[str, str], Check] = {}


def checker(service: str, shape: Shape) -> Check:
    """What holds a value against ``shape`` and says what is wrong, by the member's path; made once a shape."""
    key = service, shape.name
    if key not in _checkers:
        parts: list[Check] = []

        def check(value: Any, at: str) -> list[str]:
            for part in () if value is _UNREAD else parts:
                if found := part(value, at):
                    return found
            return []

        _checkers[key] = check  # before its members are asked: shapes can hold themselves
        parts += _parts(service, shape)
    return _checkers[key]


def _parts(service: str, shape: Shape) -> Iterator[Check]:
    limits = shape.metadata
    low, high = limits.get("min", -math.inf), limits.get("max", math.inf)
    match shape.type_name:
        case "structure":
            yield _structure(service, shape)
        case "list":
            yield _sized(low, high)
            member = checker(service, shape.member)
            yield lambda value, at: [w for i, each in enumerate(value) for w in member(each, f"{at}[{i}]")]
        case "map":
            yield _sized(low, high)
            keys, values = checker(service, shape.key), checker(service, shape.value)
            yield lambda value, at: [
                w for k, v in value.items() for w in (*keys(k, f"{at}[{k!r}]"), *values(v, f"{at}[{k!r}]"))
            ]
        case "string":
            yield (
                lambda value, at: (
                    [] if isinstance(value, str) else [f"{at}: {type(value).__name__}, not text"]
                )
            )
            yield _sized(low, high)
            if shape.enum:
                yield (
                    lambda value, at: (
                        [] if value in shape.enum else [f"{at}: {value!r} is none of {shape.enum}"]
                    )
                )
            if "pattern" in limits:
                pattern = translated(limits["pattern"])
                yield (
                    lambda value, at: (
                        []
                        if pattern.fullmatch(value)
                        else [f"{at}: {value!r} does not match {limits['pattern']}"]
                    )
                )
        case "blob":
            yield _sized(low, high)
        case "integer" | "long" | "float" | "double":
            yield (
                lambda value, at: [] if low <= value <= high else [f"{at}: {value} is not in {low} to {high}"]
            )


def _sized(low: float, high: float) -> Check:
    return lambda value, at: (
        [] if low <= len(value) <= high else [f"{at}: {len(value)} long, not {low} to {high}"]
    )


def _structure(service: str, shape: Shape) -> Check:
    members = {name: checker(service, member) for name, member in shape.members.items()}

    def check(value: Any, at: str) -> list[str]:
        found = [f"{at}.{name}: missing" for name in shape.required_members if name not in value]
        if shape.is_tagged_union and len(value) != 1:
            found.append(f"{at}: {len(value)} of a union's members, not one")
        return found + [w for name, each in value.items() for w in members[name](each, f"{at}.{name}")]

    return check


# Unicode classes that `re` lacks, by what it has; each takes a little more than it should, never less.
_CLASSES = {"L": r"\w", "M": r"\w\u0300-\u036f", "N": r"\w", "Z": r"\s", "S": r"\W", "P": r"\W", "C": r"\W"}


@cache
def translated(pattern: str) -> re.Pattern[str]:
    """A pattern of the models (Java's, for the whole text, in UTF-16) for Python."""
    pattern = re.sub(r"\\[pP]\{(?:Is)?([LMNZSPC])\w*\}", lambda found: _CLASSES[found[1]], pattern)
    pattern = re.sub(r"(\\[wsd])-", r"\1\\-", pattern)  # where Java takes the dash as it is
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
    pattern = pattern.replace(r"\p{ASCII}", r"\x00-\x7f").replace(r"\p{Graph}", r"\x21-\x7e")
    return re.compile(pattern)


def main(recording: Path) -> None:
    """Say how many requests of how many operations a recording has, and what is wrong with them."""
    operations: set[str] = set()
    wrong: dict[str, None] = {}
    lines = recording.read_bytes().splitlines()
    for line in lines:
        recorded = Recorded.of(line)
        if not recorded.path.startswith("/_ministack/"):
            operation = read_back(recorded).operation
            operations.add(f"{operation.service_model.service_name} {operation.name}")
            wrong |= dict.fromkeys(violations(recorded))
    print(f"{len(lines)} requests of {len(operations)} operations, {len(wrong)} violations", *wrong, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
