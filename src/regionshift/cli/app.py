"""Every command, each a few lines: parse, call one operation, show the result, return an exit code."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from regionshift.cli.completion import complete_ids, complete_regions, complete_runs
from regionshift.cli.options import (
    CHANGE,
    DEFAULT_CONFIG,
    ENVIRONMENT,
    MACHINE,
    SETTINGS,
    SHARED,
    Account,
    Broadening,
    Choices,
    Config,
    DataLoss,
    Refresh,
    Target,
)
from regionshift.errors import InputError
from regionshift.machine import disk_trouble

_Done = TypeVar("_Done")


def takes(names: Sequence[str]) -> Callable[[Callable[..., _Done]], Callable[..., _Done]]:
    """A decorator: the command takes the shared options ``names``, and gets them as its parameter ``choices``.

    The help lists the command's own options first. A shared option that the command declares itself is listed with
    those, and is in ``choices`` too.
    """

    def declare(command: Callable[..., _Done]) -> Callable[..., _Done]:
        declared = inspect.signature(command, eval_str=True).parameters
        own = [parameter for name, parameter in declared.items() if name != "choices"]
        shared = [_parameter(name) for name in names if name not in declared]
        in_choices = [parameter.name for parameter in own if parameter.name in SHARED] + [
            parameter.name for parameter in shared
        ]

        @functools.wraps(command)
        def run(**given: Any) -> _Done:
            choices = Choices(**{name: _plain(given[name]) for name in in_choices})
            with _logged(choices, command.__name__):
                return command(
                    **{parameter.name: given[parameter.name] for parameter in own}, choices=choices
                )

        listed = [*own, *shared]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect, and Typer, look at
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in listed]
        )
        return run

    return declare


@contextmanager
def _logged(choices: Choices, command: str) -> Iterator[None]:
    """Around a command: what it does is logged as ``choices`` say.

    Raises:
        InputError: the file for it cannot be written.
    """
    if not choices.verbose and choices.log_file is None:
        yield
        return
    from regionshift import __version__, logs
    from regionshift.cli.show import console_for_log

    with ExitStack() as stack:
        listening = logs.listening(
            choices.verbosity,
            choices.log_file,
            console_for_log(choices).print,
            command=command,
            pid=os.getpid(),
        )
        try:
            stack.enter_context(listening)
        except OSError as error:
            raise _unwritable(error) from error
        with logs.timed("command", name=command, version=__version__):
            yield


def _unwritable(error: OSError) -> InputError:
    what, remedy = disk_trouble(error) or (error.strerror, "give a file in a folder that is there")
    return InputError(
        f"The log cannot be written: {what}.",
        where=f"--log-file {error.filename}",
        remedy=remedy,
        error_id="RS-FILE-002",
    )


def _parameter(name: str) -> inspect.Parameter:
    default = Choices.__dataclass_fields__[name].default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=SHARED[name])


def _plain(value: object) -> Any:
    return value.value if isinstance(value, StrEnum) else value


app = typer.Typer(
    name="regionshift",
    help="One AWS environment in several regions: create it, check it, move it, roll it back.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
local = typer.Typer(
    help="Start, stop and use the embedded AWS of this machine.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(local, name="local")
policy = typer.Typer(
    help="Print the IAM policies that the settings need.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(policy, name="policy")
ci = typer.Typer(
    help="Write the files of a pipeline, from the settings.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(ci, name="ci")
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit with 1 when a file is not up to date.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Also overwrite files that somebody changed.")]
HandOver = Annotated[
    Path | None,
    typer.Option(
        "--hand-over",
        metavar="FILE",
        help="When a wave waits for approval, add its run and number to this file and end with 0.",
    ),
]
PlanOnly = Annotated[bool, typer.Option("--plan-only", help="Show the plan, change nothing.")]


def _version(value: bool) -> None:
    if value:
        from regionshift.cli.show import screen_of
        from regionshift.engine_setup import versions

        for name, version in versions(os.environ).items():
            screen_of(stderr=False).print(f"{name} {version}", soft_wrap=True)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of the command, its engine and its AWS plugin.",
        ),
    ] = False,
) -> None:
    """One AWS environment in several regions: create it, check it, move it, roll it back.

    Exit codes: 0 done as asked, 1 failed or rolled back, 2 the input is wrong, 3 refused by a guard, 130 interrupted.
    """
    del version


@app.command("help")
def help_of(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None,
) -> None:
    """Show the help of a command, or of all of them.

    \b
    Examples:
      regionshift help
      regionshift help local up
    """
    from regionshift.cli.show import screen_of

    about: Any = context.find_root()
    for name in command or ():
        found = about.command.get_command(about, name) if hasattr(about.command, "get_command") else None
        if found is None:
            raise InputError(
                f"There is no command {name}.",
                where=about.command_path,
                remedy=f"{about.command_path} --help",
                error_id="RS-USAGE-001",
            )
        about = typer.Context(found, info_name=name, parent=about)
    for line in about.get_help().split("\n"):
        screen_of(stderr=False).print(line)


@app.command()
@takes(MACHINE)
def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|ALARM",
            autocompletion=complete_ids,
            help="The id of an error or a finding, or the name of an alarm; all of them by default.",
        ),
    ] = None,
    *,
    choices: Choices,
) -> None:
    """Explain an error, a finding or an alarm.

    Says what it means, what its likely causes are and what to do. Makes no call to AWS and reads no settings.

    \b
    Examples:
      regionshift explain RS-LOCK-001
      regionshift explain orders-replication-latency-eu-west-1-dev
      regionshift explain
    """
    from regionshift.cli.explain import run_explain

    run_explain(choices, name)


@app.command()
@takes(MACHINE)
def init(
    config: Config = DEFAULT_CONFIG,
    project: Annotated[str, typer.Option(help="The project's name.")] = "",
    environment: Annotated[str, typer.Option(help="The environment's name.")] = "dev",
    account: Annotated[str, typer.Option(help="The AWS account, 12 digits.")] = "000000000000",
    target: Target = None,
    primary: Annotated[str, typer.Option(help="The primary region.")] = "us-east-1",
    secondary: Annotated[
        list[str] | None, typer.Option(metavar="REGION", help="A secondary region; repeat for more.")
    ] = None,
    *,
    choices: Choices,
) -> None:
    """Write a commented settings file.

    \b
    Examples:
      regionshift init --project orders
      regionshift init --project orders --target aws --account 123456789012
      regionshift init --primary eu-central-1 --secondary eu-west-1
    """
    from regionshift.cli.init import run_init

    del config, account, target  # they are in choices
    run_init(choices, project, environment, primary, tuple(secondary or ("eu-west-1", "ap-southeast-2")))


@app.command()
@takes(ENVIRONMENT)
def doctor(choices: Choices) -> int:
    """Check this machine, the credentials and the account.

    Changes nothing. Lists what would stop an `up` and how to fix it, and ends with the exit code of that `up`.

    \b
    Examples:
      regionshift doctor
      regionshift doctor --target aws
    """
    from regionshift.cli.doctor import run_doctor

    return run_doctor(choices)


class BootstrapAction(StrEnum):
    """What `bootstrap` does instead of creating."""

    destroy = "destroy"


@app.command()
@takes(CHANGE)
def bootstrap(
    action: Annotated[
        BootstrapAction | None,
        typer.Argument(metavar="destroy", help="Delete what bootstrap created.", show_default=False),
    ] = None,
    *,
    choices: Choices,
    plan_only: PlanOnly = False,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository",
            help="The repository whose jobs get the roles; that of the settings by default.",
            metavar="OWNER/NAME",
        ),
    ] = None,
    gitlab: Annotated[
        str | None,
        typer.Option(
            "--gitlab",
            help="The GitLab that has --repository, instead of GitHub; that of the settings by default.",
            metavar="URL",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Where the bucket is created; by default near the primary, outside of the environment.",
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Adopt what already exists, though somebody else created it."),
    ] = False,
    allow_data_loss: DataLoss = False,
    allow_broadening: Broadening = None,
) -> int:
    """Create the state bucket and the roles of a pipeline.

    Once for each account. Creates a bucket with a key, an identity provider for GitHub or GitLab, the permissions
    boundary of the environment's roles, and the roles that jobs assume. Offers to write this into the settings.
    `bootstrap destroy` deletes it.

    \b
    Examples:
      regionshift bootstrap --repository octo-org/orders
      regionshift bootstrap --repository group/orders --gitlab https://gitlab.com
      regionshift bootstrap --plan-only
      regionshift bootstrap destroy
    """
    from regionshift.cli.bootstrap import run_bootstrap, run_bootstrap_destroy

    if action is not None:
        return run_bootstrap_destroy(choices, allow_data_loss=allow_data_loss)
    return run_bootstrap(
        choices,
        repository=repository,
        region=region,
        plan_only=plan_only,
        take_over=take_over,
        allow_broadening=allow_broadening or (),
        gitlab=gitlab,
    )


@app.command()
@takes(CHANGE)
def preview(
    choices: Choices,
    allow_data_loss: DataLoss = False,
    allow_broadening: Broadening = None,
    refresh: Refresh = False,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown", help="Also write the plan here, as a comment for a pull request.", metavar="FILE"
        ),
    ] = None,
    sarif: Annotated[
        Path | None,
        typer.Option(
            "--sarif", help="Also write the findings of policies here, for code scanning.", metavar="FILE"
        ),
    ] = None,
) -> int:
    """Show what `up` would change, and what is wrong with it.

    Changes nothing. Shows new rights, lost data, the cost a month, and each old and new value.

    \b
    Examples:
      regionshift preview
      regionshift preview --verbose
      regionshift preview --markdown comment.md --json
    """
    from regionshift.cli.up import run_preview
    from regionshift.operations.plan_up import UpOptions

    options = UpOptions(allow_data_loss, refresh, allow_broadening=tuple(allow_broadening or ()))
    return run_preview(choices, options, markdown, sarif)


@app.command()
@takes(CHANGE)
def up(
    choices: Choices,
    allow_data_loss: DataLoss = False,
    allow_broadening: Broadening = None,
    refresh: Refresh = False,
    no_validate: Annotated[
        bool, typer.Option("--no-validate", help="Do not check the regions afterwards.")
    ] = False,
    skip_region: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=complete_regions,
            metavar="REGION",
            help="Make no call to this region; repeat for more.",
        ),
    ] = None,
    despite_alarms: Annotated[
        bool,
        typer.Option(
            "--despite-alarms",
            help="Begin although alarms are red. Each of them counts again once it was green.",
        ),
    ] = False,
    rejoin: Annotated[
        str | None,
        typer.Option(
            "--rejoin",
            autocompletion=complete_regions,
            metavar="REGION",
            help="Bring a lost, fenced region back as a secondary.",
        ),
    ] = None,
    hand_over: HandOver = None,
) -> int:
    """Bring every region to what the settings say.

    Shows the plan and asks. Creates all regions at once, and later changes them wave by wave. Checks each wave, and
    rolls a failed deployment back.

    \b
    Examples:
      regionshift up
      regionshift up --yes --skip-region eu-west-1
      regionshift up --rejoin us-east-1
    """
    from regionshift.cli.up import run_up
    from regionshift.operations.plan_up import UpOptions

    if rejoin:
        from regionshift.cli.promote import require_alone, run_rejoin

        # It always reads everything back, so --refresh is what it does anyway.
        require_alone(
            {
                "--allow-data-loss": allow_data_loss,
                "--allow-broadening": bool(allow_broadening),
                "--no-validate": no_validate,
                "--skip-region": bool(skip_region),
                "--despite-alarms": despite_alarms,
                "--hand-over": hand_over is not None,
            }
        )
        return run_rejoin(choices, rejoin)
    options = UpOptions(
        allow_data_loss, refresh, tuple(skip_region or ()), despite_alarms, tuple(allow_broadening or ())
    )
    return run_up(choices, options, check=not no_validate, hand_over=hand_over)


@app.command()
@takes(ENVIRONMENT)
def validate(
    choices: Choices,
    region: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=complete_regions,
            metavar="REGION",
            help="Check only this region; repeat for more.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write the results here.", metavar="FILE")
    ] = None,
) -> int:
    """Check every region, from outside and from inside.

    \b
    Examples:
      regionshift validate
      regionshift validate --region eu-west-1 --junit checks.xml
    """
    from regionshift.cli.validate import run_validate

    return run_validate(choices, tuple(region or ()), junit)


@app.command()
@takes(ENVIRONMENT)
def outputs(choices: Choices) -> int:
    """Print the names and ARNs of the environment's resources.

    \b
    Examples:
      regionshift outputs
      regionshift outputs --json
    """
    from regionshift.cli.status import run_outputs

    return run_outputs(choices)


@app.command()
@takes(CHANGE)
def destroy(choices: Choices) -> int:
    """Delete the environment with everything in it.

    Counts what will be deleted, asks for the environment's name, deletes it, and checks that nothing is left.

    \b
    Examples:
      regionshift destroy
      regionshift destroy --yes
    """
    from regionshift.cli.destroy import run_destroy

    return run_destroy(choices)


@app.command()
@takes(CHANGE)
def migrate(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            autocompletion=complete_regions,
            help="The region that has the data; the primary by default.",
            metavar="REGION",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            autocompletion=complete_regions,
            help="The region that gets it; the first of the others by default.",
            metavar="REGION",
        ),
    ] = None,
    *,
    choices: Choices,
    plan_only: PlanOnly = False,
    migration_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="The migration's id. The id of an unfinished migration continues it."
        ),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option("--level", metavar="LEVEL", help="pinned or full; that of the settings by default."),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also compare tags, checksums and settings of items that seem equal."),
    ] = False,
) -> int:
    """Copy what `carry` names from one region to another.

    Proves each copy and keeps what it replaces, so that `rollback ID` undoes exactly this migration.

    \b
    Examples:
      regionshift migrate --plan-only
      regionshift migrate --from us-east-1 --to eu-west-1 --id move-1
    """
    from regionshift.cli.migrate import run_migrate

    return run_migrate(
        choices,
        source=source,
        target=to,
        migration_id=migration_id,
        level=level,
        plan_only=plan_only,
        deep=deep,
    )


@app.command()
@takes(CHANGE)
def rollback(
    run_id: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_runs,
            metavar="RUN",
            help="The deployment or migration to roll back; the newest deployment by default.",
        ),
    ] = None,
    *,
    choices: Choices,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; shown by `history`.")] = "",
    to_nothing: Annotated[
        bool,
        typer.Option("--to-nothing", help="Delete a region that the deployment created, with all its data."),
    ] = False,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Also undo what migrations wrote since that deployment.")
    ] = False,
    allow_data_loss: DataLoss = False,
) -> int:
    """Roll back a deployment, or undo a migration.

    Rolls a deployment back wave by wave, to the release before it.

    \b
    Examples:
      regionshift rollback
      regionshift rollback move-1 --reason "wrong bucket"
    """
    from regionshift.cli.rollback import is_of_data, run_deployment_rollback

    if run_id is None or not is_of_data(choices, run_id):
        return run_deployment_rollback(
            choices,
            run_id,
            to_nothing=to_nothing,
            allow_data_loss=allow_data_loss,
            with_data=with_data,
            reason=reason,
        )
    from regionshift.cli.migrate import run_rollback

    return run_rollback(choices, run_id, reason)


@local.command("up")
@takes(MACHINE)
def local_up(
    config: Config = DEFAULT_CONFIG,
    account: Account = None,
    port: Annotated[int | None, typer.Option(help="Loopback port; a free one by default.")] = None,
    weather: Annotated[
        str | None,
        typer.Option(
            metavar="calm|aws|storm",
            help="aws: as late and busy as AWS; storm: a bad day. By default as before.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed gives the same faults. By default as before."),
    ] = None,
    *,
    choices: Choices,
) -> int:
    """Start the embedded AWS, or find it running.

    \b
    Examples:
      regionshift local up
      regionshift local up --weather aws --seed 7
    """
    from regionshift.cli.local import run_local_up

    del config, account  # they are in choices
    return run_local_up(choices, port, weather, seed)


@local.command("status")
@takes(MACHINE)
def local_status(choices: Choices) -> int:
    """Show where the embedded AWS listens.

    Exits with 1 when it does not run.

    \b
    Examples:
      regionshift local status --json
    """
    from regionshift.cli.local import run_local_status

    return run_local_status(choices)


@local.command("env")
@takes(MACHINE)
def local_env(choices: Choices) -> int:
    """Print variables that point `aws` and SDKs at the embedded AWS.

    The region is the primary of the settings. When the embedded AWS does not run, this command and `eval` fail.

    \b
    Examples:
      eval "$(regionshift local env)"
    """
    from regionshift.cli.local import run_local_env

    return run_local_env(choices)


@local.command("down")
@takes(MACHINE)
def local_down(
    config: Config = DEFAULT_CONFIG,
    wipe: Annotated[bool, typer.Option("--wipe", help="Also delete its data.")] = False,
    *,
    choices: Choices,
) -> int:
    """Stop the embedded AWS.

    Its data is there again at the next start, unless you wipe it.

    \b
    Examples:
      regionshift local down
      regionshift local down --wipe
    """
    from regionshift.cli.local import run_local_down

    del config  # it is in choices
    return run_local_down(choices, wipe=wipe)


@policy.command("deploy")
@takes(SETTINGS)
def policy_deploy(
    role: Annotated[
        Literal["preview", "deploy", "operate"],
        typer.Option(
            "--for", help="preview: reads; deploy: everything; operate: migrations, validate and status."
        ),
    ] = "deploy",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write each policy to a file here.", metavar="FOLDER"),
    ] = None,
    *,
    choices: Choices,
) -> int:
    """Print the smallest policies that a pipeline needs.

    Gives the reason of each statement. Reads only the settings, and makes no call to AWS.

    \b
    Examples:
      regionshift policy deploy --for preview
      regionshift policy deploy --output policies
    """
    from regionshift.cli.policy import run_policy_deploy

    return run_policy_deploy(choices, role, output)


@policy.command("runtime")
@takes(SETTINGS)
def policy_runtime(
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            autocompletion=complete_regions,
            help="The primary by default, which has every role.",
        ),
    ] = None,
    *,
    choices: Choices,
) -> int:
    """Print what each role of the environment may do, and why.

    These are the roles of the function, the worker, the state machine, flow logs and replication. Reads only the
    settings, and makes no call to AWS.

    \b
    Examples:
      regionshift policy runtime
      regionshift policy runtime --region eu-west-1 --json
    """
    from regionshift.cli.policy import run_policy_runtime

    return run_policy_runtime(choices, region)


@ci.command("github")
@takes(MACHINE)
def ci_github(choices: Choices, check: Check = False, overwrite: Overwrite = False) -> int:
    """Write the workflows of GitHub Actions.

    They preview pull requests, run `up` on merge with an approval for each wave, and check every night. Promote, roll
    back and resume are started by hand.

    \b
    Examples:
      regionshift ci github
      regionshift ci github --check
    """
    from regionshift.cli.ci import run_ci

    return run_ci(choices, "github", check=check, overwrite=overwrite)


@ci.command("gitlab")
@takes(MACHINE)
def ci_gitlab(choices: Choices, check: Check = False, overwrite: Overwrite = False) -> int:
    """Write the jobs of GitLab CI/CD.

    \b
    Examples:
      regionshift ci gitlab
      regionshift ci gitlab --overwrite
    """
    from regionshift.cli.ci import run_ci

    return run_ci(choices, "gitlab", check=check, overwrite=overwrite)


@app.command()
@takes(ENVIRONMENT)
def releases(choices: Choices) -> int:
    """List the kept releases, and where each runs.

    \b
    Examples:
      regionshift releases
    """
    from regionshift.cli.status import run_releases

    return run_releases(choices)


@app.command()
@takes(ENVIRONMENT)
def diff(
    one: Annotated[
        str, typer.Argument(metavar="RELEASE", help="A release; its first six characters are enough.")
    ],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The release to compare it with.")],
    choices: Choices,
) -> int:
    """Show the differences between two releases.

    For a secret it shows only that the values differ.

    \b
    Examples:
      regionshift diff 3f9a2c 81d0e4
    """
    from regionshift.cli.status import run_diff

    return run_diff(choices, one, other)


@app.command()
@takes(ENVIRONMENT)
def history(
    run: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_runs,
            metavar="RUN",
            help="The id or number of a run, or the beginning of a migration's id.",
        ),
    ] = None,
    *,
    choices: Choices,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="NUMBER", help="How many runs.")] = 20,
    seal: Annotated[
        bool,
        typer.Option("--seal", help="Show the runs without a seal of the state's key, ask, and seal them."),
    ] = False,
) -> int:
    """List the newest runs, or show one of them.

    For one run: the changes of its settings, its steps with their times, and what failed or was rolled back and why.

    \b
    Examples:
      regionshift history
      regionshift history 3
      regionshift history move-1 --json
    """
    from regionshift.cli.history import run_history, run_seal, run_story

    if seal and run is not None:
        raise InputError(
            "--seal takes all runs that are not sealed.",
            where="history",
            remedy="regionshift history --seal",
            error_id="RS-USAGE-001",
        )
    if seal:
        return run_seal(choices)
    return run_history(choices, limit) if run is None else run_story(choices, run)


@app.command()
@takes(ENVIRONMENT)
def status(
    migration_id: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_runs, metavar="MIGRATION", help="A migration, or a run of it."
        ),
    ] = None,
    *,
    choices: Choices,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check that everything is as the migration wrote it. Changes nothing."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again and again, until Ctrl-C (exit code 130).")
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, metavar="SECONDS", help="How often --watch looks.")
    ] = 10,
) -> int:
    """Show where every region stands and what is not well.

    Exits with 1 when something is not well; the last lines say what.

    \b
    Examples:
      regionshift status
      regionshift status --watch --interval 5
      regionshift status move-1 --verify
    """
    if watch and migration_id is not None:
        raise InputError(
            "--watch shows the environment, not one migration.",
            where="status",
            remedy="regionshift status --watch",
            error_id="RS-USAGE-001",
        )
    if migration_id is not None:
        from regionshift.cli.migrate import run_migration_status

        return run_migration_status(choices, migration_id, verify=verify)
    if verify:
        raise InputError(
            "--verify needs a migration.",
            where="status",
            remedy="regionshift status ID --verify",
            error_id="RS-USAGE-001",
        )
    from regionshift.cli.status import run_status

    return run_status(choices, interval if watch else None)


@app.command()
@takes(ENVIRONMENT)
def report(
    run: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_runs,
            metavar="RUN",
            help="The id or number of a run, or a migration; the newest run by default.",
        ),
    ] = None,
    *,
    choices: Choices,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write it; ./regionshift-PROJECT-ENVIRONMENT.html by default.",
            metavar="FILE",
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> int:
    """Write one run as an HTML file.

    Shows its timeline, a map of the regions, checks, data and releases, and who did what when. The file needs no
    network. --json prints its data instead, and writes a file only with --output.

    \b
    Examples:
      regionshift report --open
      regionshift report 12 --output deployment-12.html
    """
    from regionshift.cli.report import run_report

    return run_report(choices, run, output, opens=opens)


@app.command()
@takes(CHANGE)
def drift(choices: Choices) -> int:
    """Show what on AWS differs from the releases.

    Changes nothing. Exits with 1 when something differs.

    \b
    Examples:
      regionshift drift
    """
    from regionshift.cli.status import run_drift

    return run_drift(choices)


@app.command()
@takes(CHANGE)
def resume(
    choices: Choices,
    back: Annotated[bool, typer.Option("--back", help="Roll it back instead of finishing it.")] = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Only this run; needs --wave or --back.",
            autocompletion=complete_runs,
        ),
    ] = None,
    wave: Annotated[
        int | None,
        typer.Option(
            "--wave", min=1, max=30, metavar="NUMBER", help="The only wave of --run that --yes approves."
        ),
    ] = None,
    hand_over: HandOver = None,
) -> int:
    """Continue a run that was stopped or killed.

    An `up`, `rollback`, `destroy`, `migrate`, `promote` or `move` continues where it stopped; --back undoes it.
    --run and --wave approve that wave and no other.

    \b
    Examples:
      regionshift resume
      regionshift resume --back
      regionshift resume --back --run 000003-deployment-8669ed
    """
    from regionshift.cli.resume import run_resume, run_wave

    if run is None and wave is None:
        return run_resume(choices, back=back, hand_over=hand_over)
    if back and wave is None:
        return run_resume(choices, back=True, run=run, hand_over=hand_over)
    if run is None or wave is None or back:
        raise InputError(
            "--run goes with --wave or with --back, and not with both.",
            where="resume",
            remedy="regionshift resume --run RUN --wave NUMBER --yes, or regionshift resume --run RUN --back --yes",
            error_id="RS-USAGE-001",
        )
    return run_wave(choices, run, wave, hand_over)


@app.command()
@takes(CHANGE)
def promote(
    region: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_regions, metavar="REGION", help="The secondary that becomes the primary."
        ),
    ],
    choices: Choices,
    plan_only: PlanOnly = False,
    source_lost: Annotated[
        bool, typer.Option("--source-lost", help="The primary is lost: make no call to it, and fence it.")
    ] = False,
) -> int:
    """Make a secondary the primary.

    Copies what is missing, changes the settings and reverses the replication. If a step fails, all are rolled back.

    \b
    Examples:
      regionshift promote eu-west-1 --plan-only
      regionshift promote eu-west-1 --source-lost
    """
    from regionshift.cli.promote import run_promote

    return run_promote(choices, region, lost=source_lost, plan_only=plan_only)


@app.command()
@takes(CHANGE)
def move(
    source: Annotated[
        str, typer.Option("--from", autocompletion=complete_regions, help="The primary.", metavar="REGION")
    ],
    to: Annotated[str, typer.Option("--to", help="The region that takes its place.", metavar="REGION")],
    choices: Choices,
    retire: Annotated[
        bool, typer.Option("--retire", help="Delete the old region afterwards; asks again first.")
    ] = False,
    allow_data_loss: DataLoss = False,
) -> int:
    """Move the environment to another region.

    Creates it in the new region, copies the data, and makes the new region the primary.

    \b
    Examples:
      regionshift move --from us-east-1 --to eu-west-1
      regionshift move --from us-east-1 --to eu-west-1 --retire
    """
    from regionshift.cli.move import run_move

    return run_move(choices, source, to, retire=retire, allow_data_loss=allow_data_loss)
