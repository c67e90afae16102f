"""The catalogue of errors by id, for `regionshift explain` and docs/errors.md.

An error has its id (`errors.RegionshiftError.error_id`). An id never gets another meaning, because it is in logs and
tickets. Errors with the same remedy share one id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class CatalogueEntry:
    """One error.

    Args:
        exit_code: of the command; 1 instead of 2 and 3 after the command began to change something.
        happened: a sentence.
        causes: sentences, the likeliest first.
        steps: remedies in this order; commands in backquotes.
    """

    exit_code: int
    happened: str
    causes: tuple[str, ...]
    steps: tuple[str, ...]


_E = CatalogueEntry
_GO_ON = "`regionshift status` names the open run; `regionshift resume` continues it."

AREAS: Mapping[str, Mapping[str, CatalogueEntry]] = {
    "The command line": {
        "RS-USAGE-001": _E(
            2,
            "The command does not know an option or an argument, or does not accept the combination.",
            ("A name is misspelled.", "Two options exclude each other.", "A value is not allowed."),
            ("`regionshift help` lists every command; with a command's name it shows its options and examples.",),
        ),
        "RS-USAGE-002": _E(
            3,
            "The change was not confirmed, so nothing was changed.",
            ("You answered no, or typed another name.", "Nobody can answer: standard input is not a terminal."),
            (
                "`regionshift preview` shows the changes.",
                "In a script or a pipeline, read the plan first, then add `--yes`.",
            ),
        ),
        "RS-USAGE-003": _E(
            130,
            "The command was stopped before its end. The state is complete and the lock is free.",
            ("Ctrl-C or a signal.", "A question was not answered."),
            (_GO_ON, "`regionshift resume --back` undoes it instead."),
        ),
        "RS-INTERNAL-001": _E(
            1,
            "A defect of Regionshift: something unexpected happened.",
            ("The error's name and text have the details.",),
            (
                "Run the command again with `-v` to see where it fails, and report it.",
                _GO_ON,
            ),
        ),
    },
    "Settings": {
        "RS-SETTINGS-001": _E(
            2,
            "The settings file has mistakes. Nothing was changed.",
            ("A field is unknown or has a wrong value.", "Two fields contradict each other.", "The YAML is broken."),
            ("Fix each listed mistake.", "docs/settings.md describes every field."),
        ),
        "RS-SETTINGS-002": _E(
            2,
            "The command found no settings file.",
            ("You are in another folder.", "The file has another name."),
            ("Write one: `regionshift init`.", "Or name it with `--config`."),
        ),
        "RS-SETTINGS-003": _E(
            2,
            "The command must change the settings file, and cannot do it exactly.",
            (
                "Anchors, merges or variables give the value.",
                "A REGIONSHIFT_ variable or an option overrides the file.",
                "The file or its folder cannot be written.",
            ),
            ("Make the named change yourself, or remove the variable.", "Run the command again."),
        ),
        "RS-SETTINGS-004": _E(
            1,
            "A change of primary could not write the settings file, or could not restore it.",
            ("Somebody changed the file meanwhile.", "The disk or the folder's permissions do not allow it."),
            ("Write the two regions into the file, as in the error.", "`regionshift resume`"),
        ),
        "RS-SETTINGS-005": _E(
            2,
            "The value of a secret of `application.secrets` cannot be used.",
            ("Its variable, file or secret is missing or empty.", "The value is too long for its store."),
            ("Set the named variable, file or secret.", "`regionshift doctor` checks all of them."),
        ),
        "RS-SETTINGS-006": _E(
            2,
            "A region has fewer availability zones than `network.zones`.",
            ("The region has fewer zones.", "The account may not use one of them."),
            ("Lower `network.zones` to the number in the error.",),
        ),
        "RS-SETTINGS-007": _E(
            2,
            "`state` is not a place where Regionshift can keep its state.",
            ("The URL is misspelled.", "It needs credentials that are missing."),
            ("Write `file:///FOLDER` or `s3://BUCKET/PREFIX?region=REGION`.", "`regionshift doctor`"),
        ),
        "RS-SETTINGS-008": _E(
            2,
            "The files of a pipeline cannot be written from these settings.",
            ("`state` is a folder, which jobs do not share.", "`pipeline.image` is missing.", "A path is unusual."),
            ("`regionshift bootstrap` creates a bucket and a key for the state.", "docs/pipeline.md has an example."),
        ),
        "RS-SETTINGS-009": _E(
            2,
            "A pipeline's role would need more managed policies than IAM allows.",
            ("`carry` has many entries or long names.",),
            ("Shorten `carry` or the names, or ask for a higher quota in Service Quotas.",),
        ),
        "RS-SETTINGS-010": _E(
            2,
            "A proxy variable is not a URL with a host and a port.",
            ("Special characters of the password are not percent-encoded.",),
            ("Write `http://USER:PASSWORD@HOST:PORT`; a slash in the password is %2F.",),
        ),
    },
    "Files and disks": {
        "RS-FILE-001": _E(
            1,
            "A file of this machine could not be read or written.",
            ("Its permissions do not allow it.", "The disk is read-only or broken."),
            ("Fix the cause in the error, then run the command again.",),
        ),
        "RS-FILE-002": _E(
            2,
            "A file that you asked for (a log, a policy) cannot be written there.",
            ("The folder does not exist.", "Its permissions do not allow it."),
            ("Name another file or folder.",),
        ),
        "RS-FILE-003": _E(
            2,
            "The settings file exists already, and `init` does not replace it.",
            ("You ran `init` before.",),
            ("Name another file with `--config`, or replace it: `regionshift init --yes`",),
        ),
        "RS-FILE-004": _E(
            1,
            "A disk of this machine is full. Nothing is rolled back; the run stays open.",
            ("The state, .regionshift or the temporary folder has filled the disk.",),
            ("Free space in the named folder.", "`regionshift resume`"),
        ),
        "RS-FILE-005": _E(
            3,
            "A disk of this machine has too little space to begin a run.",
            ("The state, .regionshift or the temporary folder is on a full disk.",),
            ("Free space in the named folder.", "`regionshift doctor`"),
        ),
        "RS-FILE-006": _E(
            3,
            "Somebody changed files of the pipeline since `ci` wrote them; writing them would lose the changes.",
            ("Somebody edited a generated file.",),
            (
                "Read the printed difference.",
                "Put your change elsewhere, or replace the files: `regionshift ci github --overwrite`",
            ),
        ),
    },
    "AWS": {
        "RS-AWS-001": _E(
            1,
            "AWS refused a call: the credentials lack a permission.",
            ("The role has policies of older settings.", "Another role or profile is in use.", "An SCP denies it."),
            (
                "`aws sts get-caller-identity` shows whose credentials are used.",
                "`regionshift policy deploy` prints the policies that the role needs.",
            ),
        ),
        "RS-AWS-002": _E(
            1,
            "AWS does not accept the credentials, or there are none.",
            ("A session has expired.", "The profile does not exist.", "The region is not enabled for the account."),
            ("Sign in again, for example `aws sso login`.", "`aws sts get-caller-identity` shows whether it worked."),
        ),
        "RS-AWS-003": _E(
            1,
            "A region did not answer correctly.",
            ("The network or a proxy of this machine.", "AWS has an outage there.", "The embedded AWS is down."),
            (
                "Look at https://health.aws.amazon.com; for `target: local`: `regionshift local status`",
                "A secondary that is down: `regionshift up --skip-region REGION`",
                "A primary that is lost: `regionshift promote REGION --source-lost`",
            ),
        ),
        "RS-AWS-004": _E(
            1,
            "AWS asked several times for fewer requests.",
            ("Other programs use the same account.", "Many regions or objects at the same time."),
            ("Wait a minute, then run the command again.",),
        ),
        "RS-AWS-005": _E(
            1,
            "A quota of the account is used up.",
            ("The region has as many resources of this type as AWS allows.",),
            ("`regionshift doctor` shows the use of each quota.", "Ask for more in Service Quotas."),
        ),
        "RS-AWS-006": _E(
            1,
            "The clock of this machine is wrong, so AWS refuses every signature.",
            ("Time synchronisation is off, or a virtual machine was paused.",),
            ("Set the clock, for example `sudo chronyc makestep`.", "Run the command again."),
        ),
        "RS-AWS-007": _E(
            1,
            "AWS refused a call; the error has AWS's text and code.",
            ("The code says why.",),
            ("Run the command again with `-v`: it shows the call and its request id.", "`regionshift doctor`"),
        ),
        "RS-AWS-008": _E(
            1,
            "S3 refused a request while objects were copied or records were read.",
            ("A permission, a bucket policy or a key's policy.", "Versioning was switched off meanwhile."),
            (
                "Fix the cause that S3's code names.",
                "`regionshift status`, then run `migrate` again with the same `--id`.",
            ),
        ),
        "RS-AWS-009": _E(
            3,
            "Copies cannot use a proxy with an https:// address.",
            ("HTTPS_PROXY begins with https://.",),
            ("Write it as http://; the traffic through the proxy is still encrypted from end to end.",),
        ),
        "RS-AWS-010": _E(
            3,
            "The credentials belong to another account than the one in the settings, or to nobody.",
            ("Another profile is active.", "`account` in the settings is wrong."),
            ("`aws sts get-caller-identity`", "Switch the profile, or correct `account`."),
        ),
        "RS-AWS-011": _E(
            3,
            "The endpoint and the target contradict each other.",
            (
                "The target is aws, and a variable or profile points at an endpoint that is not AWS.",
                "The target is local, and `--endpoint` is not on this machine.",
            ),
            ("Unset the variables of `regionshift local env`, or set `--target local`.",),
        ),
        "RS-AWS-012": _E(
            3,
            "The credentials may not read metrics, so the health of alarms is unknown.",
            ("cloudwatch:GetMetricData is missing.",),
            ("`regionshift policy deploy` prints the policies that the role needs.",),
        ),
        "RS-AWS-013": _E(
            2,
            "The endpoint is another embedded AWS, and its credentials are not set.",
            ("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or REGIONSHIFT_CA_BUNDLE is missing.",),
            ("Set all three, or leave `--endpoint` out.",),
        ),
    },
    "The engine": {
        "RS-ENGINE-001": _E(
            2,
            "There is no Pulumi CLI that Regionshift can use.",
            ("It is not installed or not on the PATH.", "It is too old."),
            ("`make setup` in the repository builds one; or install Pulumi and put it on the PATH.",),
        ),
        "RS-ENGINE-002": _E(
            1,
            "The engine could not create, change or delete a resource. The state has the finished changes.",
            ("AWS refused it: the error has AWS's text.", "Something with that name exists already."),
            ("Fix the cause.", _GO_ON, "`regionshift up --refresh` reads everything back first."),
        ),
        "RS-ENGINE-003": _E(
            1,
            "The engine's state file was cut off, and its copy does not help.",
            ("The machine was switched off while it was written, or the disk was full.",),
            ("`regionshift up` restores it from its copy if there is one.", "Otherwise restore it from a backup."),
        ),
        "RS-ENGINE-004": _E(
            3,
            "The engine of another run is still at work, or left its lock behind.",
            ("A command was killed, and its `pulumi` process is still running.", "Another command is running."),
            (
                "Wait until the `pulumi` process has ended.",
                "If the command was killed: run yours again with `--force`.",
            ),
        ),
        "RS-ENGINE-005": _E(
            1,
            "The function's archive cannot be built: a package differs from its lock.",
            ("Somebody upgraded, edited or removed a dependency.",),
            ("Run the `pip install` that the error names.",),
        ),
        "RS-ENGINE-006": _E(
            1,
            "The engine was stopped, because it would have changed a resource outside this step.",
            ("Somebody changed a resource by hand.", "The settings changed since the last `up`."),
            ("`regionshift drift` shows changes by hand.", "`regionshift resume`"),
        ),
    },
    "State and lock": {
        "RS-STATE-001": _E(
            1,
            "The state could not be read or written.",
            ("The network, the bucket's permissions or its key.", "The folder's permissions."),
            ("`regionshift doctor` checks the state, its key and the lock.",),
        ),
        "RS-STATE-002": _E(
            1,
            "An object at the state URL differs from the one that Regionshift wrote.",
            ("The file was edited, cut or replaced.", "The key is not the one that the state was created with."),
            ("Restore the named object from a backup or an older version. Do not delete it.",),
        ),
        "RS-STATE-003": _E(
            3,
            "Events of the journal are not sealed with this state's key, so no command follows them.",
            ("An older version of Regionshift wrote them.", "Somebody without the key wrote them."),
            ("`regionshift history` lists the runs.", "If you trust all of them: `regionshift history --seal`"),
        ),
        "RS-STATE-004": _E(
            3,
            "The key file of the state is missing on this machine, or others may read it.",
            ("The state was created on another machine.", "The file's mode is too open."),
            ("Copy .regionshift/state.key from that machine.", "`chmod 600 .regionshift/state.key`"),
        ),
        "RS-STATE-005": _E(
            3,
            "The state belongs to an environment with another name, account or target.",
            ("The settings were renamed or copied.", "An older version kept it elsewhere."),
            ("Restore `project`, `environment`, `account` and `target`, or use another `state`.",),
        ),
        "RS-STATE-006": _E(
            3,
            "Another version of Regionshift made the run or the release.",
            ("Two versions are used for one environment.", "Regionshift was upgraded in the middle of a run."),
            ("Finish it with the named version.", "Then `regionshift up` with this version."),
        ),
        "RS-STATE-007": _E(
            3,
            "Too many other commands write to the journal at the same time.",
            ("Several pipelines work on one environment.",),
            ("`regionshift status` shows who is at work; run the command again afterwards.",),
        ),
        "RS-STATE-008": _E(
            3,
            "While the command began, a region was fenced or brought back.",
            ("Another command fenced a region, or brought one back.", "The journal has an event without a seal."),
            ("Run the command again; if the error stays: `regionshift doctor`",),
        ),
        "RS-STATE-009": _E(
            3,
            "The region of the state's bucket or key follows the primary region, which is about to change.",
            ("`state` or `state_secrets` has no `?region=`.",),
            ("Add `?region=REGION`, as in the error.",),
        ),
        "RS-LOCK-001": _E(
            3,
            "Another command holds the lock of this environment.",
            ("A colleague or a pipeline is at work.", "A killed command left the lock."),
            (
                "`regionshift status` shows who holds it and since when.",
                "Wait for it, for example `regionshift up --lock-timeout 15m`.",
                "If its owner is certainly dead: run your command again with `--force`.",
            ),
        ),
        "RS-LOCK-002": _E(
            1,
            "The command lost the lock while it worked, so it stopped writing.",
            ("Somebody broke it with `--force`.", "The state was not reachable for longer than the lock lasts."),
            ("`regionshift status` shows who holds it now.", "`regionshift resume`"),
        ),
    },
    "Runs and releases": {
        "RS-RUN-001": _E(
            2,
            "There is no such run, or the command does not work on runs of its kind.",
            ("The id is misspelled.", "It belongs to another environment."),
            ("`regionshift history` lists the runs with their ids.",),
        ),
        "RS-RUN-002": _E(
            2,
            "There is no run to continue or undo.",
            ("It ended already.", "Somebody else resumed it."),
            ("`regionshift history` shows how each run ended.",),
        ),
        "RS-RUN-003": _E(
            3,
            "Another run of this environment is not finished, and this command must wait for it.",
            ("A command was stopped or killed.", "A wave waits for a person."),
            ("`regionshift status`", "`regionshift resume` continues it; `regionshift resume --back` undoes it."),
        ),
        "RS-RUN-004": _E(
            3,
            "The run is finished and cannot be continued.",
            ("Another command finished it.",),
            ("`regionshift history`", "Start a new run."),
        ),
        "RS-RUN-005": _E(
            3,
            "This run cannot be undone, or there is nothing to undo.",
            ("It deleted something.", "It is past its last step that can be undone.", "A later run changed it."),
            ("`regionshift resume` ends it.", "`regionshift history` names later runs: undo those first."),
        ),
        "RS-RUN-006": _E(
            3,
            "The rollback of this deployment would delete a region that it created, with all data there.",
            ("The region had no release before.",),
            ("Look at the data in the region.", "If you do not need it: `regionshift rollback --to-nothing`"),
        ),
        "RS-RUN-007": _E(
            3,
            "A wave waits for a person to approve it. The run stays open.",
            ("The wave is listed under `deployment.approve`.",),
            ("`regionshift status`", "Approve: `regionshift resume`. Decline: `regionshift resume --back`"),
        ),
        "RS-RUN-008": _E(
            1,
            "A step of a run failed. The error names the step and the end of the run.",
            ("A check failed, an alarm turned red in the bake, or AWS refused a change.",),
            (
                "`regionshift history RUN` shows every step, the failure and the rollback.",
                "For a named alarm: `regionshift explain ALARM`.",
                "`regionshift validate` checks every region.",
                _GO_ON,
            ),
        ),
        "RS-RUN-009": _E(
            1,
            "Checks of a region failed in the middle of a run, so the run stopped.",
            ("The region is not well.", "A permission for the check is missing."),
            ("`regionshift history RUN`", "`regionshift validate`", "Fix them, then `regionshift resume`."),
        ),
        "RS-RUN-010": _E(
            1,
            "The move succeeded, but the old region was not deleted.",
            ("You did not confirm it.", "It has data."),
            ("`regionshift move --from A --to B --retire` with the same regions asks again.",),
        ),
        "RS-RUN-011": _E(
            3,
            "The run is not a deployment in waves, so it has no wave to approve.",
            ("`--run` names another run.",),
            ("`regionshift status` names the open run and the next command.",),
        ),
        "RS-RELEASE-001": _E(
            2,
            "There is no such release, or the name matches more than one.",
            ("It is misspelled or too short.", "No region has a release yet."),
            ("`regionshift releases` lists them.",),
        ),
        "RS-RELEASE-002": _E(
            3,
            "The release is no longer kept, so nothing can be rolled back to it.",
            ("It is older than `deployment.keep_releases` and `deployment.keep_days` allow.",),
            ("`regionshift releases` lists the kept releases.", "Set the old values again, and run `regionshift up`."),
        ),
        "RS-PLAN-001": _E(
            3,
            "The plan may not run. The listed findings say why.",
            (
                "Data would be lost, permissions would grow, or a policy breaks a rule.",
                "Something needed is missing, or something is in the way. With wrong input the exit code is 2.",
            ),
            (
                "Each finding says what to do; `regionshift preview` shows them again.",
                "If you want this: `--allow-data-loss`, or `--allow-broadening ID`.",
            ),
        ),
    },
    "Environment and regions": {
        "RS-ENVIRONMENT-001": _E(
            1,
            "The environment does not exist, or is incomplete.",
            ("Nobody ran `up`, or it did not end.", "The settings name another environment or target."),
            ("`regionshift status`", "`regionshift up`"),
        ),
        "RS-ENVIRONMENT-002": _E(
            3,
            "The command needs an existing environment or region.",
            ("Nobody ran `up` with these settings.",),
            ("`regionshift up`",),
        ),
        "RS-ENVIRONMENT-003": _E(
            3,
            "The environment is protected, so nothing is deleted.",
            ("`protect` is true, or the environment counts as production.",),
            ("If you want to delete it: set `protect: false`, run `regionshift up`, then repeat the command.",),
        ),
        "RS-ENVIRONMENT-004": _E(
            3,
            "Your principal is not among `access.operators`, so the buckets could not be emptied.",
            ("Another role is in use.",),
            ("Use a role listed there, or add yours and run `regionshift up`.",),
        ),
        "RS-ENVIRONMENT-005": _E(
            3,
            "A resource does not belong to this environment, so it is not changed or deleted.",
            ("It has no tags of this environment.", "Somebody wrote it into the state.", "Another account owns it."),
            ("Find its owner.", "If it is yours: `regionshift up --refresh` restores its tags."),
        ),
        "RS-ENVIRONMENT-006": _E(
            3,
            "Data would be lost, and you did not allow it.",
            ("A bucket, a release or a journal would be deleted.",),
            ("Copy the data that you want to keep.", "Run the command again with `--allow-data-loss`."),
        ),
        "RS-ENVIRONMENT-007": _E(
            1,
            "Something was not deleted.",
            ("Somebody created it by hand.", "Object Lock or a legal hold keeps it.", "Something keeps writing it."),
            ("Delete the named resources by hand, or run the same command again.",),
        ),
        "RS-ENVIRONMENT-008": _E(
            3,
            "The bucket for states is in use, so it is not deleted.",
            ("An environment keeps its state there.", "Somebody put other objects there."),
            ("`regionshift destroy` for each environment first.", "Move the other objects."),
        ),
        "RS-REGION-001": _E(
            2,
            "A region that you named does not fit the command.",
            ("It is not a region of this environment.", "It is the primary, or it is not.", "It is named twice."),
            ("`regionshift status` lists the regions with their roles.",),
        ),
        "RS-REGION-002": _E(
            3,
            "The region is fenced: Regionshift does not call it until it is brought back.",
            ("Its environment moved away with `promote --source-lost`.",),
            ("When it answers again: `regionshift up --rejoin REGION`",),
        ),
        "RS-REGION-003": _E(
            3,
            "No region would be left.",
            ("All of them are skipped or rolled back to nothing.",),
            ("Skip fewer regions; to delete everything: `regionshift destroy`",),
        ),
        "RS-REGION-004": _E(
            1,
            "The fence still denies everything to roles of a region.",
            ("IAM refused or did not answer.",),
            ("When IAM answers again: `regionshift resume`", "Or delete the named policy by hand."),
        ),
        "RS-REGION-005": _E(
            3,
            "The settings differ from the deployed ones, and this command changes only the primary.",
            ("The settings changed since the last `up`.", "A deployment did not reach every region."),
            ("`regionshift preview` shows the difference.", "`regionshift up`, then the command again."),
        ),
        "RS-REGION-006": _E(
            3,
            "A secret of the application is missing in the region that would become the primary.",
            ("Nobody copied it there.",),
            ("Name it under `carry` and run `regionshift migrate`.",),
        ),
    },
    "Carrying data": {
        "RS-CARRY-001": _E(
            2,
            "There is nothing to copy.",
            ("`carry` is empty.", "Its prefixes, paths or patterns select nothing.", "A named object does not exist."),
            ("Look at `carry`.", "`regionshift migrate --plan-only` shows what it selects."),
        ),
        "RS-CARRY-002": _E(
            2,
            "A place under `carry` does not exist, is in another region, or is both source and target.",
            ("A name or a region is misspelled.",),
            ("Correct the entry that the error names.",),
        ),
        "RS-CARRY-003": _E(
            2,
            "A bucket has no versioning, so the migration could not be undone.",
            ("Versioning was never enabled, or was suspended.",),
            ("Run the `aws s3api put-bucket-versioning` command that the error prints.",),
        ),
        "RS-CARRY-004": _E(
            2,
            "The key for the copies cannot be used there.",
            ("`kms_key` names a key of another region, or a missing key.",),
            ("Name an alias that each region has, or put {region} into the ARN.",),
        ),
        "RS-CARRY-005": _E(
            2,
            "A rewrite rule under `carry` cannot be applied.",
            ("The rule does not exist, or the text to replace is empty.",),
            ("docs/settings.md, `carry`, lists the rules.",),
        ),
        "RS-CARRY-006": _E(
            3,
            "There is no permission for the data that `carry` names.",
            ("`carry` changed since the last `up`.", "The bucket belongs to another account.", "A policy denies it."),
            ("`regionshift up` gives the worker its permissions.", "For another account: set `source_account`."),
        ),
        "RS-CARRY-007": _E(
            3,
            "The target bucket has Object Lock, so a migration there could not be undone.",
            ("Somebody enabled Object Lock on the bucket.",),
            ("Name a target bucket without it.",),
        ),
        "RS-CARRY-008": _E(
            3,
            "The target bucket encrypts with a key that the migration may not use.",
            ("Its default encryption names another key than `kms_key`.",),
            ("Set `kms_key` in that entry of `carry`, then `regionshift up`.",),
        ),
        "RS-CARRY-009": _E(
            3,
            "Items cannot be copied: the target has somebody else's items, or the source cannot be read.",
            ("Somebody changed them in the target.",),
            (
                "`regionshift migrate --plan-only` names each with its reason.",
                "Exclude them under `carry`, fix them, or set `migration.on_failure: stop`.",
            ),
        ),
        "RS-CARRY-010": _E(
            3,
            "A migration names data that `carry` no longer names, so nothing is done.",
            ("`carry` changed since the migration began.",),
            ("Name it again under `carry`, then `regionshift up`.",),
        ),
        "RS-CARRY-011": _E(
            1,
            "The source data cannot be listed or read.",
            ("The service asked for fewer requests or failed.", "The answer was cut by a proxy."),
            ("Run the same command again; it continues.",),
        ),
    },
    "Migrations": {
        "RS-MIGRATION-001": _E(
            1,
            "There is no record of this migration, or a part of it is missing.",
            ("The id is misspelled.", "It went into another region."),
            ("`regionshift status` lists the migrations.",),
        ),
        "RS-MIGRATION-002": _E(
            1,
            "The execution that copies data failed.",
            ("Items failed, the worker ran out of time, or somebody stopped it.",),
            (
                "`regionshift status ID` shows the failed items.",
                "Run the printed command: the same id continues.",
            ),
        ),
        "RS-MIGRATION-003": _E(
            1,
            "Some copies could not be proven, or could not be undone.",
            ("Somebody changed items during the copy.",),
            ("`regionshift status ID --verify` names the differences.", "`regionshift resume`"),
        ),
        "RS-MIGRATION-004": _E(
            3,
            "Another migration into the same target is not finished.",
            ("It runs, or it was stopped.",),
            ("`regionshift status`", "Finish it with the same `--id`, or `regionshift rollback ID`."),
        ),
        "RS-MIGRATION-005": _E(
            3,
            "The id belongs to another migration, or to one that was rolled back.",
            ("The same id was used for other entries or regions.",),
            ("Use another `--id`, or the entries and regions of that migration.",),
        ),
        "RS-MIGRATION-006": _E(
            3,
            "Another call is planning this migration.",
            ("Two commands with one id.", "A call was killed while it planned."),
            ("Run it again with the same id when the other has ended.",),
        ),
        "RS-MIGRATION-007": _E(
            3,
            "The data changed after you confirmed the plan. Nothing was copied.",
            ("Somebody writes to the source or the target.",),
            ("Read the new plan and confirm it.", "`--yes` copies the data as it is at the start."),
        ),
        "RS-MIGRATION-008": _E(
            3,
            "This environment did not write a record of the migration, so no command follows it.",
            ("Somebody changed it.", "An old version wrote it, without a seal."),
            ("Find who wrote it: docs/security.md, Records.", "Roll such a migration back with that version."),
        ),
        "RS-MIGRATION-009": _E(
            3,
            "The record of the items before a batch is missing, so the batch cannot be undone.",
            ("Somebody deleted the object.",),
            ("Restore the named object; the bucket has its versions.", "`regionshift rollback ID`"),
        ),
        "RS-MIGRATION-010": _E(
            3,
            "The environment has no key for the records of migrations.",
            ("It has an older release.",),
            ("`regionshift up`",),
        ),
        "RS-MIGRATION-011": _E(
            2,
            "The migration is not completed, so there is nothing to verify.",
            ("It is still running, failed or was rolled back.",),
            ("`regionshift status` lists the migrations.",),
        ),
        "RS-MIGRATION-012": _E(
            2,
            "The input of the state machine would be too large for AWS.",
            ("The selection is too long.", "The reason is long."),
            ("Select less in one migration, or shorten the reason.",),
        ),
        "RS-MIGRATION-013": _E(
            1,
            "The records of migrations cannot be read.",
            ("A region does not answer.", "The role may not read the deployment bucket."),
            ("`regionshift doctor`", "When they can be read: `regionshift resume`"),
        ),
        "RS-MIGRATION-014": _E(
            3,
            "The target region does not pass its checks, so nothing is copied there.",
            ("The region is not well.",),
            ("`regionshift validate`", "Fix the failed checks, then run `migrate` again."),
        ),
    },
    "The embedded AWS": {
        "RS-LOCAL-001": _E(
            1,
            "The embedded AWS of this folder is not running.",
            ("It was stopped, or the machine was restarted.",),
            ("`regionshift local up`",),
        ),
        "RS-LOCAL-002": _E(
            1,
            "The embedded AWS did not start.",
            ("Too little memory.", "Its log, which the error names, says why."),
            ("Look at the end of the log.", "`regionshift local down`, then `regionshift local up`"),
        ),
        "RS-LOCAL-003": _E(
            2,
            "The embedded AWS cannot run as you asked.",
            ("The port is taken.", "It already runs with other options.", "There is no such weather."),
            ("`regionshift local down`, then `regionshift local up` with other options.",),
        ),
        "RS-LOCAL-004": _E(
            2,
            "The packages of the embedded AWS are not installed.",
            ("Regionshift was installed without `[local]`.",),
            ("`pip install 'regionshift[local]'`",),
        ),
        "RS-LOCAL-005": _E(
            2,
            "REGIONSHIFT_LOCAL_ROLE names a role that cannot be used.",
            ("The role does not exist in the embedded AWS.", "The target is aws, which has no such variable."),
            ("Unset the variable, or create the role first.",),
        ),
        "RS-LOCAL-006": _E(
            1,
            "The embedded AWS could not create or find a resource.",
            ("Somebody else created something with that name.",),
            ("Choose another name, or delete the existing resource.", "To start over: `regionshift local down --wipe`"),
        ),
        "RS-LOCAL-007": _E(
            2,
            "The program uses something that the local provider does not know.",
            ("The program uses a resource type that is not listed in docs/infrastructure.md.",),
            ("Use `target: aws`, or add a handler (CONTRIBUTING.md).",),
        ),
        "RS-LOCAL-008": _E(
            3,
            "The local provider reads no file except a release's artifact.",
            ("The program names another file.",),
            ("Report it, unless you changed the program.",),
        ),
    },
}  # fmt: skip

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType(
    {name: entry for area in AREAS.values() for name, entry in area.items()}
)
