"""Convert property values between the engine's messages and plain Python values.

The special forms (secrets, assets, archives, unknown values) are those of the Pulumi SDK
(``pulumi.runtime.rpc``; ``sdk/go/common/resource/properties.go``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

Properties = dict[str, Any]
"""The properties of a resource: plain values, ``Asset`` and ``UNKNOWN``, by camel-case name."""

_SIGNATURE: Final = rpc._special_sig_key
_UNKNOWN_TEXTS: Final = frozenset(
    {
        rpc.UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


class Unknown:
    """A value that is known only after the change. It equals nothing, not even itself."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Asset:
    """A file, a text or an archive. Old values have only the hash, not the content."""

    signature: str
    digest: str
    text: str | None = None
    path: str | None = None
    uri: str | None = None
    entries: Mapping[str, Any] | None = None

    @property
    def is_archive(self) -> bool:
        return self.signature == rpc._special_archive_sig


def decode(properties: struct_pb2.Struct) -> Properties:
    """Return the plain values of a message. A secret becomes its value: the engine marks its outputs again."""
    return {name: _decode_value(value) for name, value in properties.fields.items()}


def _decode_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    if kind == "list_value":
        return [_decode_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
    return value.bool_value if kind == "bool_value" else None


def _decode_struct(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    if _SIGNATURE not in fields:
        return decode(struct)
    signature = fields[_SIGNATURE].string_value
    if signature == rpc._special_secret_sig:
        return _decode_value(fields["value"])
    if signature == rpc._special_output_value_sig:
        return _decode_value(fields["value"]) if "value" in fields else UNKNOWN
    if signature == rpc._special_resource_sig:
        return fields["id"].string_value or UNKNOWN
    return _decode_asset(signature, decode(struct))


def _decode_asset(signature: str, parts: Properties) -> Asset:
    return Asset(
        signature=signature,
        digest=parts.get("hash", ""),
        text=parts.get("text"),
        path=parts.get("path"),
        uri=parts.get("uri"),
        entries=parts.get("assets"),
    )


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the message of plain values, without None."""
    struct = struct_pb2.Struct()
    struct.update({name: _encode_value(value) for name, value in properties.items() if value is not None})
    return struct


def _encode_value(value: Any) -> Any:
    if isinstance(value, Unknown):
        return rpc.UNKNOWN
    if isinstance(value, Asset):
        return _encode_asset(value)
    if isinstance(value, Mapping):
        return {name: _encode_value(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_encode_value(item) for item in value]
    return value


def _encode_asset(asset: Asset) -> Any:
    parts = {"hash": asset.digest, "text": asset.text, "path": asset.path, "uri": asset.uri}
    encoded: dict[str, Any] = {name: part for name, part in parts.items() if part is not None}
    if asset.entries is not None:
        encoded["assets"] = _encode_value(asset.entries)
    return {_SIGNATURE: asset.signature, **encoded}


def contains_unknown(value: Any) -> bool:
    """Whether a value has an unknown value in it."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Asset):
        return contains_unknown(value.entries)
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    return isinstance(value, list | tuple) and any(contains_unknown(item) for item in value)
