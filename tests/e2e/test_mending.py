"""What fails is named, and the next run goes on; secrets that wait for their deletion are taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e_place import SENTINEL, Place, census

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
REGION = "eu-central-1"
SECRETS = {"token": {"env": "ORDERS_TOKEN"}, "signing-key": {"file": "signing.key"}}
BYTES = b"\xff\x00\r\nno text\n"


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Place:
    place = make_place(
        regions={"primary": REGION},
        application={"store": "secretsmanager", "secrets": SECRETS},
    )
    (place.folder / "signing.key").write_bytes(BYTES)
    return place


def test_what_is_in_the_way_is_named_and_the_next_up_goes_on(place: Place) -> None:
    assert place.run("local", "up").code == 0
    sns = place.clients.get("sns", REGION)
    topic = sns.create_topic(Name=f"orders-alarms-{REGION}-dev")["TopicArn"]
    failed = place.run("up", "--yes")
    assert failed.code == 3, failed.said
    assert REGION in failed.err
    assert f"orders-alarms-{REGION}-dev" in failed.err
    assert "next:" in failed.err
    assert "Traceback" not in failed.said
    assert not census(place.clients, [REGION], "dev")[f"{REGION} Vpcs"], "it is found before anything is made"
    sns.delete_topic(TopicArn=topic)
    mended = place.run("up", "--yes")
    assert mended.code == 0, mended.said


def test_up_after_destroy_takes_pending_secrets_back(place: Place) -> None:
    gone = place.run("destroy", "--yes", "--json")
    assert gone.code == 0, gone.said
    kept = [each for each in gone.json["kept"] if ":secret:" in each["what"]]
    assert len(kept) == 3
    assert all(each["until"] for each in kept)
    up = place.run("up", "--yes")
    assert up.code == 0, up.said
    arn = place.run("outputs", "--json").json[f"deployment_config_secret_arn_{REGION.replace('-', '_')}"]
    assert arn in {each["what"] for each in kept}
    vault = place.clients.get("secretsmanager", REGION)
    names = vault.get_paginator("list_secrets").paginate().search("SecretList[].Name")
    (name,) = [name for name in names if name.endswith("signing-key")]
    assert vault.get_secret_value(SecretId=name)["SecretBinary"] == BYTES


def test_a_secret_of_the_application_goes_only_when_that_is_allowed(place: Place) -> None:
    del place.settings["application"]["secrets"]
    place.write()
    refused = place.run("up", "--yes", "--json")
    assert refused.code == 3
    assert [each["code"] for each in refused.json["error"]["findings"]] == ["data-loss"] * 2
    assert SENTINEL not in refused.said


def test_a_protected_environment_must_first_be_set_free(place: Place) -> None:
    place.settings["application"]["secrets"] = SECRETS
    place.settings["protect"] = True
    place.write()
    assert place.run("up", "--yes", "--no-validate").code == 0
    assert '"protect":true' in _engines_state(place), "the engine itself refuses too"
    assert place.run("destroy", "--yes").code == 3
    place.settings["protect"] = False
    place.write()
    assert place.run("up", "--yes", "--no-validate").code == 0
    assert '"protect":true' not in _engines_state(place)
    done = place.run("destroy", "--yes")
    assert done.code == 0, done.said


def _engines_state(place: Place) -> str:
    (path,) = (place.folder / ".regionshift/state/engine/.pulumi/stacks").glob("*/dev.json")
    return path.read_text(encoding="utf-8").replace(" ", "")
