"""What AWS and its plugin say of a value that they refuse is told without the value."""

from __future__ import annotations

import base64
import json

import pytest
from pulumi.automation import DiagnosticEvent

from planted_values import Search, planted, planted_bytes
from regionshift.engine.events import problem_of, texts_of

TEXT, BINARY = planted("text"), planted_bytes("binary")
WAYS = {
    "plain": TEXT,
    "JSON, or Go's %q": json.dumps(TEXT),
    "JSON, not ASCII": json.dumps(TEXT, ensure_ascii=False),
    "base64": base64.b64encode(TEXT.encode()).decode(),
    "binary": base64.b64encode(BINARY).decode(),
}


def _problem(value: str, hidden: set[str]) -> str:
    said = f"<{{%reset%}}>creating SSM Parameter (/a): ValidationException: Value {value} at 'value'"
    found = problem_of(DiagnosticEvent(message=said, color="never", severity="error"), hidden)
    assert found is not None
    return found.message


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_is_repeated_is_not_told(way: str) -> None:
    search = Search()
    search.look("unhidden", _problem(WAYS[way], set()))
    assert search.found, "the search must see what is to be hidden"
    message = _problem(WAYS[way], texts_of(TEXT) | texts_of(BINARY))
    hidden = Search()
    hidden.look("problem", message)
    hidden.require_nothing("problem")
    assert message.startswith("creating SSM Parameter (/a): ValidationException: Value ")
    assert "[secret]" in message


@pytest.mark.parametrize("value", ["SS", "a", "True"])
def test_a_value_that_hides_nothing_leaves_the_words_as_they_are(value: str) -> None:
    assert _problem("True", texts_of(value)) == _problem("True", set())
