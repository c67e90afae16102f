"""The schema of SARIF: of OASIS's for 2.1.0 the objects that our files have, with all their fields and rules.

JSON Schema, draft 4; ``sarif-2.1.0.json`` has the excerpt, and here is every keyword that it uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text(encoding="utf-8"))
_KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda value, kinds: any(
        _KINDS[one](value) for one in ([kinds] if isinstance(kinds, str) else kinds)
    ),
    "enum": lambda value, allowed: value in allowed,
    "pattern": lambda value, pattern: bool(re.search(pattern, value)),
    "minimum": lambda value, least: value >= least,
    "maximum": lambda value, most: value <= most,
    "minItems": lambda value, least: len(value) >= least,
    "uniqueItems": lambda value, wanted: not wanted or len({json.dumps(one) for one in value}) == len(value),
    "required": lambda value, names: set(names) <= value.keys(),
    "anyOf": lambda value, choices: any(fits(value, one) for one in choices),
    "format": lambda value, _: isinstance(value, str),
}


def check(value: Any, schema: Mapping[str, Any] = SCHEMA, where: str = "the file") -> None:
    """Raise AssertionError where ``value`` breaks ``schema``."""
    known = schema.get("properties", {})
    for keyword, rule in schema.items():
        if keyword in _RULES:
            assert _RULES[keyword](value, rule), f"{where}: {keyword} {rule}"
        elif keyword == "$ref":
            check(value, SCHEMA["definitions"][rule.rpartition("/")[2]], where)
        elif keyword == "items":
            for place, each in enumerate(value):
                check(each, rule, f"{where}[{place}]")
        elif keyword == "properties":
            for name in known.keys() & value.keys():
                check(value[name], known[name], f"{where}.{name}")
        elif keyword == "additionalProperties":
            strange = sorted(value.keys() - known.keys())
            assert rule is not False or not strange, f"{where}: {strange}"
            for name in strange:
                check(value[name], {} if rule is True else rule, f"{where}.{name}")
        else:
            assert keyword in ("$comment", "definitions"), keyword


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether ``value`` keeps to ``schema``."""
    try:
        check(value, schema)
    except AssertionError:
        return False
    return True
