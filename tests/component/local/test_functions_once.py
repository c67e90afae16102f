"""Functions of the same code share one copy of it on the embedded AWS; other code is other code at once."""

from __future__ import annotations

import io
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.local.speed import Copies

REGION = "eu-west-1"
CODE = """
import os
import {module}

def handler(event, context):
    return [os.path.realpath({module}.__file__), {module}.WORD]
"""


def _zip(module: str, word: str) -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("code.py", CODE.format(module=module))
        archive.writestr(f"{module}.py", f"WORD = {word!r}\n")
    return code.getvalue()


@pytest.fixture
def make(clients: Clients) -> Iterator[Callable[[bytes], str]]:
    iam, functions = clients.get("iam", REGION), clients.get("lambda", REGION)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=f"role-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=policy)
    made = []

    def function(code: bytes) -> str:
        name = f"function-{uuid.uuid4().hex[:8]}"
        functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=role["Role"]["Arn"],
            Handler="code.handler",
            Code={"ZipFile": code},
        )
        made.append(name)
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return name

    yield function
    for name in made:
        functions.delete_function(FunctionName=name)


def _call(clients: Clients, name: str) -> Any:
    return json.load(clients.get("lambda", REGION).invoke(FunctionName=name)["Payload"])


def test_one_copy_serves_every_function_of_its_code(clients: Clients, make: Callable[[bytes], str]) -> None:
    module = f"words_{uuid.uuid4().hex[:8]}"
    code = _zip(module, "a")
    one, other, third = make(code), make(code), make(_zip(module, "b"))
    place, word = _call(clients, one)
    assert word == "a"
    assert _call(clients, other) == [place, "a"]
    compiled = [path.name for path in (Path(place).parent / "__pycache__").iterdir()]
    assert any(name.startswith(f"{module}.") for name in compiled)
    elsewhere, word = _call(clients, third)
    assert (elsewhere != place, word) == (True, "b")
    update = clients.get("lambda", REGION)
    update.update_function_code(FunctionName=one, ZipFile=_zip(module, "c"))
    update.get_waiter("function_updated_v2").wait(FunctionName=one)
    assert _call(clients, one)[1] == "c"
    assert _call(clients, other) == [place, "a"]


def test_only_the_copies_that_were_used_last_are_kept(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "functions")
    used = []
    for number in range(7):
        file = tmp_path / f"{number}.zip"
        file.write_bytes(_zip("words", str(number)))
        place = tmp_path / f"place-{number}"
        place.mkdir()
        with zipfile.ZipFile(file) as archive:
            copies.put_at(place, archive)
        assert (place / "words.py").read_text() == f"WORD = '{number}'\n"
        os.utime(place.resolve(), (number, number))
        used.append(place.resolve())
    copies.tidy()
    assert [copy.exists() for copy in used] == [False, False, *[True] * 5]
