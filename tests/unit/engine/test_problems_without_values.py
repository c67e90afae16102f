"""What AWS and its plugin say of a value that they refuse is told without the value."""

from __future__ import annotations

import base64
import json

import pytest
from pulumi.automation import DiagnosticEvent

from planted_values import Search, planted, planted_bytes
from regionshift.engine.events import problem_of
from regionshift.errors import texts_of, without_texts
from regionshift.settings.config import MigrationConfig

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
    message = _problem(WAYS[way], texts_of([TEXT, BINARY]))
    hidden = Search()
    hidden.look("problem", message)
    hidden.require_nothing("problem")
    assert message.startswith("creating SSM Parameter (/a): ValidationException: Value ")
    assert "[secret]" in message


@pytest.mark.parametrize("value", ["SS", "a", "True"])
def test_a_value_that_hides_nothing_leaves_the_words_as_they_are(value: str) -> None:
    assert _problem("True", texts_of([value])) == _problem("True", set())


# What Go 1.25 writes for it, by strconv.Quote, QuoteToASCII, json.Marshal, url.QueryEscape and url.PathEscape.
_ODD = 'a\x1b<b>&é\u2028 c@"\\\f😀'
_IN_GO = {
    "%q": r"""a\x1b<b>&é\u2028 c@\"\\\f😀""",
    "%+q": r"""a\x1b<b>&\u00e9\u2028 c@\"\\\f\U0001f600""",
    "JSON": r"""a\u001b\u003cb\u003e\u0026é\u2028 c@\"\\\f😀""",
    "JSON before Go 1.22": r"""a\u001b\u003cb\u003e\u0026é\u2028 c@\"\\\u000c😀""",
    "%q of JSON": r"""a\\u001b\\u003cb\\u003e\\u0026é\\u2028 c@\\\"\\\\\\f😀""",
    "query": "a%1B%3Cb%3E%26%C3%A9%E2%80%A8+c%40%22%5C%0C%F0%9F%98%80",
    "path": "a%1B%3Cb%3E&%C3%A9%E2%80%A8%20c@%22%5C%0C%F0%9F%98%80",
}


@pytest.mark.parametrize("way", _IN_GO)
def test_what_go_writes_for_an_odd_value_is_hidden(way: str) -> None:
    said = without_texts(f"got {_IN_GO[way]}, want less", texts_of([_ODD]))
    assert said == "got [secret], want less"


def test_a_short_value_is_hidden_as_a_word_and_not_in_others() -> None:
    hidden = texts_of(["dev", "$x9!", "eu-west-1"], shown=["eu-west-1"])
    for said in ("a developer in eu-west-1", "device", "_dev"):
        assert without_texts(said, hidden) == said
    for before in ("", "value ", "'", "a=", "a-", r"a\n", r"\u003d", "%3D", r"\x1b"):
        assert without_texts(f"{before}dev, so", hidden) == f"{before}[secret], so"
    assert without_texts("a$x9!b", hidden) == "a[secret]b"


def test_what_the_settings_show_is_not_hidden() -> None:
    settings = {
        "project": "Shop",
        "environment": "dev",
        "environment_suffix": "pr-7",
        "account": "012345678901",
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1"]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
    shown = MigrationConfig.model_validate(settings).shown
    said = "shop-worker-eu-west-1-pr-7 of Shop, dev, 012345678901, us-east-1"
    values = ["Shop", "shop", "dev", "pr-7", "012345678901", "us-east-1", "eu-west-1"]
    assert without_texts(said, texts_of(values, shown)) == said
    assert without_texts(said, texts_of(values)) != said
