"""`regionshift local`: the embedded AWS by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionshift.cli.opening import settings_of
from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_for_shell, print_json, screen_of
from regionshift.errors import EXIT_FAILED, EXIT_OK, WorkFailed
from regionshift.report.terminal import facts_table
from regionshift.surroundings import ProjectFiles

if TYPE_CHECKING:
    from regionshift.local.emulator import LocalCloud


def run_local_up(choices: Choices, port: int | None, weather: str | None, seed: int | None) -> int:
    """Start the embedded AWS for the account of the settings (or of --account)."""
    from regionshift.local import emulator

    account = choices.account or settings_of(choices).account
    files = ProjectFiles(choices.config)
    files.make_home()
    cloud = emulator.up(files.cloud, account, port, weather, seed)
    _show(choices, cloud)
    return EXIT_OK


def run_local_status(choices: Choices) -> int:
    """Show where it listens; 1 when it does not run."""
    from regionshift.local import emulator

    cloud = emulator.status(ProjectFiles(choices.config).cloud)
    if cloud is None:
        if choices.as_json:
            print_json({"running": False})
        else:
            console(choices).print("The embedded AWS does not run. Start it: regionshift local up")
        return EXIT_FAILED
    _show(choices, cloud)
    return EXIT_OK


def run_local_env(choices: Choices) -> int:
    """What points the AWS CLI and SDKs of a shell at it, as lines to `eval`; 1 when it does not run."""
    from regionshift.local import emulator

    cloud = emulator.status(ProjectFiles(choices.config).cloud)
    if cloud is None:
        if not choices.as_json:
            # `eval` takes no notice of how the command in $(…) ended, only of what it printed.
            screen_of(stderr=False).print("false  # the embedded AWS does not run")
        raise WorkFailed(
            "The embedded AWS does not run.", remedy="start it: regionshift local up", error_id="RS-LOCAL-001"
        )
    region = settings_of(choices).regions.primary
    # AWS SDKs and Tools Reference Guide, "Environment variables list".
    variables = {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_CA_BUNDLE": str(cloud.ca_bundle),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    if choices.as_json:
        print_json(variables)
        return EXIT_OK
    # A profile or a session's token of the person's own would be mixed with this key.
    print_for_shell(variables, unset=("AWS_PROFILE", "AWS_SESSION_TOKEN"))
    return EXIT_OK


def run_local_down(choices: Choices, *, wipe: bool) -> int:
    """Stop it; nothing to stop is fine."""
    from regionshift.local import emulator

    was_running = emulator.down(ProjectFiles(choices.config).cloud, wipe=wipe)
    if choices.as_json:
        print_json({"was_running": was_running, "wiped": wipe})
    else:
        said = "stopped" if was_running else "was not running"
        console(choices).print(f"The embedded AWS {said}{' and is wiped' if wipe else ''}.")
        # The engine's stacks that are left: `destroy` removes the one of its environment.
        if wipe and any(ProjectFiles(choices.config).home.glob("state/engine/.pulumi/stacks/*/*.json")):
            console(choices).print(
                "The state still names an environment that was in it: `regionshift up --refresh` creates it"
                " again, `regionshift destroy` deletes it from the state.",
            )
    return EXIT_OK


def _show(choices: Choices, cloud: LocalCloud) -> None:
    facts = {
        "endpoint": cloud.endpoint,
        "account": cloud.account,
        "ca_bundle": str(cloud.ca_bundle),
        "pid": cloud.pid,
        "weather": cloud.weather,
        "seed": cloud.seed,
    }
    if choices.as_json:
        print_json({"running": True, **facts})
        return
    console(choices).print(facts_table((name, str(value)) for name, value in facts.items()))
