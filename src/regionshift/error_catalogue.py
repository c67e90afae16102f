"""Every error that a person can meet, by its id: what `regionshift explain` prints, and docs/errors.md.

An error carries its id (`errors.RegionshiftError.error_id`). An id is never given to something else: it stands in logs
and tickets. One id serves every sentence for which a reader would do the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class CatalogueEntry:
    """One error.

    Args:
        exit_code: of the command that meets it; 1 in place of 2 and 3 once the command has begun to change something.
        happened: a sentence.
        causes: sentences, the likeliest first.
        steps: what to do, in this order; commands in backquotes.
    """

    exit_code: int
    happened: str
    causes: tuple[str, ...]
    steps: tuple[str, ...]


_E = CatalogueEntry
_GO_ON = "`regionshift status` names what is unfinished; `regionshift resume` continues it."

AREAS: Mapping[str, Mapping[str, CatalogueEntry]] = {
    "The command line": {
        "RS-USAGE-001": _E(
            2,
            "An option, an argument or a combination of them is not one that the command takes.",
            ("A name is misspelled.", "Two options exclude each other.", "A value is outside of what is allowed."),
            ("`regionshift help` lists every command; with a command's name it shows its options and examples.",),
        ),
        "RS-USAGE-002": _E(
            3,
            "The change was not confirmed, so nothing was changed.",
            ("You answered no, or typed another name.", "Nobody can be asked: standard input is no terminal."),
            (
                "`regionshift preview` shows what would change.",
                "In a script or a pipeline, look at the plan first, then add `--yes`.",
            ),
        ),
        "RS-USAGE-003": _E(
            130,
            "The command was stopped before it was done. The state is whole and the lock is free.",
            ("Ctrl-C or a signal.", "A question was left unanswered."),
            (_GO_ON, "`regionshift resume --back` takes it back instead."),
        ),
        "RS-INTERNAL-001": _E(
            1,
            "Something happened that Regionshift does not expect: a defect of Regionshift.",
            ("The error's name and text say what.",),
            (
                "Run the command again with `-v` to see where, and report that.",
                _GO_ON,
            ),
        ),
    },
    "Settings": {
        "RS-SETTINGS-001": _E(
            2,
            "The settings file has mistakes. Nothing was touched.",
            ("A field is unknown or has a wrong value.", "Two fields contradict each other.", "The YAML is broken."),
            ("Fix each mistake that is listed, with its line.", "docs/settings.md describes every field."),
        ),
        "RS-SETTINGS-002": _E(
            2,
            "There is no settings file where the command looks.",
            ("You are in another folder.", "The file has another name."),
            ("Write one: `regionshift init`.", "Or name it with `--config`."),
        ),
        "RS-SETTINGS-003": _E(
            2,
            "The command has to change the settings file and cannot do it exactly.",
            (
                "Anchors, merges or variables give the value.",
                "A REGIONSHIFT_ variable or an option replaces what the file says.",
                "The file or its folder cannot be written.",
            ),
            ("Make the change that the error names yourself, or take the variable away.", "Run the command again."),
        ),
        "RS-SETTINGS-004": _E(
            1,
            "A change of primary could not write the settings file, or could not restore it.",
            ("Somebody changed the file meanwhile.", "The disk or the folder's permissions do not allow it."),
            ("Write the two regions into the file as the error says.", "`regionshift resume`"),
        ),
        "RS-SETTINGS-005": _E(
            2,
            "The value of a secret of `application.secrets` cannot be used.",
            ("Its variable, file or secret is missing or empty.", "The value is longer than its store takes."),
            ("Set what the error names.", "`regionshift doctor` checks all of them."),
        ),
        "RS-SETTINGS-006": _E(
            2,
            "A region has fewer availability zones than `network.zones` asks for.",
            ("The region has no more.", "The account may not use one of them."),
            ("Lower `network.zones` to the number in the error.",),
        ),
        "RS-SETTINGS-007": _E(
            2,
            "`state` names no place that Regionshift can keep its state in.",
            ("The URL is misspelled.", "It needs credentials that are missing."),
            ("Write `file:///FOLDER` or `s3://BUCKET/PREFIX?region=REGION`.", "`regionshift doctor`"),
        ),
        "RS-SETTINGS-008": _E(
            2,
            "The files of a pipeline cannot be written from these settings.",
            ("`state` is a folder, which jobs do not share.", "`pipeline.image` is missing.", "A path is unusual."),
            ("`regionshift bootstrap` makes a bucket and a key for the state.", "docs/pipeline.md has an example."),
        ),
        "RS-SETTINGS-009": _E(
            2,
            "A pipeline's role would need more managed policies than IAM attaches to a role.",
            ("`carry` has many entries or long names.",),
            ("Shorten `carry` or the names, or ask for a higher quota in Service Quotas.",),
        ),
        "RS-SETTINGS-010": _E(
            2,
            "A proxy variable holds no URL of a host and a port.",
            ("Special characters of the password are not percent-encoded.",),
            ("Write `http://USER:PASSWORD@HOST:PORT`; a slash in the password is %2F.",),
        ),
    },
    "Files and disks": {
        "RS-FILE-001": _E(
            1,
            "A file of this machine could not be read or written.",
            ("Its permissions do not allow it.", "The disk is read-only or broken."),
            ("Fix what the error names, then run the command again.",),
        ),
        "RS-FILE-002": _E(
            2,
            "A file that you asked for (a log, a policy) cannot be written there.",
            ("The folder does not exist.", "Its permissions do not allow it."),
            ("Name another file or folder.",),
        ),
        "RS-FILE-003": _E(
            2,
            "The settings file exists already, and `init` does not replace it by itself.",
            ("You ran `init` before.",),
            ("Name another file with `--config`, or replace it: `regionshift init --yes`",),
        ),
        "RS-FILE-004": _E(
            1,
            "A disk of this machine is full. Nothing is taken back for that; the run stays open.",
            ("The state, .regionshift or the temporary folder has filled the disk.",),
            ("Make room where the error says.", "`regionshift resume`"),
        ),
        "RS-FILE-005": _E(
            3,
            "A disk of this machine has too little room to begin a run.",
            ("The state, .regionshift or the temporary folder is on a full disk.",),
            ("Make room where the error says.", "`regionshift doctor`"),
        ),
        "RS-FILE-006": _E(
            3,
            "Files of the pipeline were changed since `ci` wrote them; writing them would lose that.",
            ("Somebody edited a generated file.",),
            (
                "Look at the difference that is printed.",
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
                "`aws sts get-caller-identity` shows who asks.",
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
            "A region did not answer as it should.",
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
            ("Other programs use the same account.", "Many regions or objects at once."),
            ("Wait a minute, then run the command again.",),
        ),
        "RS-AWS-005": _E(
            1,
            "A quota of the account is used up.",
            ("The region has as many resources of this type as AWS allows.",),
            ("`regionshift doctor` shows what is used of each quota.", "Ask for more in Service Quotas."),
        ),
        "RS-AWS-006": _E(
            1,
            "The clock of this machine is wrong, so AWS refuses every signature.",
            ("Time synchronisation is off, or a virtual machine was paused.",),
            ("Set the clock, for example `sudo chronyc makestep`.", "Run the command again."),
        ),
        "RS-AWS-007": _E(
            1,
            "AWS refused a call for a reason of its own; the error has its words and its code.",
            ("The code says which.",),
            ("Run the command again with `-v`: it shows the call and its request id.", "`regionshift doctor`"),
        ),
        "RS-AWS-008": _E(
            1,
            "S3 refused a request while objects were copied or records were read.",
            ("A permission, a bucket policy or a key's policy.", "Versioning was switched off meanwhile."),
            ("Fix what S3's code names.", "`regionshift status`, then run `migrate` again with the same `--id`."),
        ),
        "RS-AWS-009": _E(
            3,
            "Copying cannot speak TLS to the proxy itself.",
            ("HTTPS_PROXY begins with https://.",),
            ("Write it as http://; what passes through it is encrypted from end to end all the same.",),
        ),
        "RS-AWS-010": _E(
            3,
            "The credentials belong to another account than the settings say, or to nobody.",
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
            ("Unset what `regionshift local env` printed, or set `--target local`.",),
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
            ("It is not installed or not on the PATH.", "It is older than what is needed."),
            ("`make setup` in the repository builds one; or install Pulumi and put it on the PATH.",),
        ),
        "RS-ENGINE-002": _E(
            1,
            "The engine could not create, change or delete a resource. What was done is in the state.",
            ("AWS refused it: the error repeats its words.", "Something with that name exists already."),
            ("Fix the cause.", _GO_ON, "`regionshift up --refresh` reads everything back first."),
        ),
        "RS-ENGINE-003": _E(
            1,
            "The engine's state file was cut off, and its copy does not help.",
            ("The machine was switched off while it was written, or the disk was full.",),
            ("`regionshift up` restores it from its copy where there is one.", "Else restore the file from a backup."),
        ),
        "RS-ENGINE-004": _E(
            3,
            "The engine of another run is still at work, or left its lock.",
            ("A command was killed and its `pulumi` process lives on.", "Another command is running."),
            (
                "Wait until the `pulumi` process has ended.",
                "If the command was killed: run yours again with `--force`.",
            ),
        ),
        "RS-ENGINE-005": _E(
            1,
            "The function's archive cannot be built: a package is not what it is locked to.",
            ("A dependency was upgraded, edited or removed by hand.",),
            ("Run the `pip install` that the error names.",),
        ),
        "RS-ENGINE-006": _E(
            1,
            "The engine would have changed something that does not belong to this step; it was stopped.",
            ("A resource was changed by hand.", "The settings changed since the last `up`."),
            ("`regionshift drift` shows what was changed by hand.", "`regionshift resume`"),
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
            "Something under the state URL is not what Regionshift wrote there.",
            ("The file was edited, cut or replaced.", "Another key is in use than the state was made with."),
            ("Restore the object that is named from a backup or an older version. Do not delete it.",),
        ),
        "RS-STATE-003": _E(
            3,
            "Events of the journal are not sealed with this state's key, so nothing is done by them.",
            ("An older version of Regionshift wrote them.", "Somebody without the key wrote them."),
            ("`regionshift history` lists the runs.", "If all are yours: `regionshift history --seal`"),
        ),
        "RS-STATE-004": _E(
            3,
            "The key file of the state is missing on this machine, or others may read it.",
            ("The state was made on another machine.", "The file's mode is too open."),
            ("Copy .regionshift/state.key from that machine.", "`chmod 600 .regionshift/state.key`"),
        ),
        "RS-STATE-005": _E(
            3,
            "The state belongs to an environment with another name, account or target.",
            ("The settings were renamed or copied.", "An older version kept it elsewhere."),
            ("Set `project`, `environment`, `account` and `target` as they were, or use another `state`.",),
        ),
        "RS-STATE-006": _E(
            3,
            "A run or a release was made by another version of Regionshift.",
            ("Two versions work on one environment.", "Regionshift was upgraded in the middle of a run."),
            ("Use the version that the error names to finish it.", "Then `regionshift up` with this version."),
        ),
        "RS-STATE-007": _E(
            3,
            "Too many other commands write to the journal at the same moment.",
            ("Several pipelines work on one environment.",),
            ("`regionshift status` shows who is at work; run the command again when they are done.",),
        ),
        "RS-STATE-008": _E(
            3,
            "The set of regions that get no call changed while the command began.",
            ("Another command fenced a region, or brought one back.", "The journal holds an event without a seal."),
            ("Run the command again; if it says the same: `regionshift doctor`",),
        ),
        "RS-STATE-009": _E(
            3,
            "The region of the state's bucket or key follows the primary region, which is about to change.",
            ("`state` or `state_secrets` has no `?region=`.",),
            ("Add `?region=REGION` to it as the error says.",),
        ),
        "RS-LOCK-001": _E(
            3,
            "Another command works on this environment and holds its lock.",
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
            ("Somebody broke it with `--force`.", "The state could not be reached for longer than the lock lasts."),
            ("`regionshift status` shows who holds it now.", "`regionshift resume`"),
        ),
    },
    "Runs and releases": {
        "RS-RUN-001": _E(
            2,
            "There is no such run, or it is of another kind than the command works on.",
            ("The id is misspelled.", "It belongs to another environment."),
            ("`regionshift history` lists the runs with their ids.",),
        ),
        "RS-RUN-002": _E(
            2,
            "There is no run that the command could continue or take back.",
            ("It ended already.", "Somebody else resumed it."),
            ("`regionshift history` shows how each run ended.",),
        ),
        "RS-RUN-003": _E(
            3,
            "Another run of this environment is not finished, and this command cannot begin beside it.",
            ("A command was stopped or killed.", "A wave waits for a person."),
            ("`regionshift status`", "`regionshift resume` continues it; `regionshift resume --back` takes it back."),
        ),
        "RS-RUN-004": _E(
            3,
            "The run is finished and cannot be continued.",
            ("Another command finished it.",),
            ("`regionshift history`", "Start a new run."),
        ),
        "RS-RUN-005": _E(
            3,
            "This run cannot be taken back, or there is nothing of it to take back.",
            ("It deleted something.", "It is past its last step back.", "A later run changed it."),
            ("`regionshift resume` ends it.", "`regionshift history` names later runs: take those back first."),
        ),
        "RS-RUN-006": _E(
            3,
            "Taking this deployment back would delete a region that it made, with all data there.",
            ("The region had no release before.",),
            ("Look at what the region holds.", "If it may go: `regionshift rollback --to-nothing`"),
        ),
        "RS-RUN-007": _E(
            3,
            "A wave waits for a person to approve it. The run stays open.",
            ("The wave is listed under `deployment.approve`.",),
            ("`regionshift status`", "Approve: `regionshift resume`. Decline: `regionshift resume --back`"),
        ),
        "RS-RUN-008": _E(
            1,
            "A step of a run failed. The error says which, and what became of the run.",
            ("A check failed, an alarm turned red in the bake, or AWS refused a change.",),
            (
                "`regionshift history RUN` shows every step, what failed and what was taken back.",
                "Of an alarm that is named: `regionshift explain ALARM`.",
                "`regionshift validate` checks every region.",
                _GO_ON,
            ),
        ),
        "RS-RUN-009": _E(
            1,
            "Checks of a region failed in the middle of a run, so the run went no further.",
            ("The region is not well.", "A permission for the check is missing."),
            ("`regionshift history RUN`", "`regionshift validate`", "Fix what failed, then `regionshift resume`."),
        ),
        "RS-RUN-010": _E(
            1,
            "The move succeeded, but the old region was not taken down.",
            ("It was not confirmed.", "It holds data."),
            ("`regionshift move --from A --to B --retire` with the same regions asks again.",),
        ),
        "RS-RUN-011": _E(
            3,
            "The run is no deployment in waves, so no single wave of it can be approved.",
            ("`--run` names another run.",),
            ("`regionshift status` names what is unfinished, and what continues it.",),
        ),
        "RS-RELEASE-001": _E(
            2,
            "There is no such release, or the name fits more than one.",
            ("It is misspelled or too short.", "No region has a release yet."),
            ("`regionshift releases` lists them.",),
        ),
        "RS-RELEASE-002": _E(
            3,
            "The release is no longer kept, so nothing can go back to it.",
            ("`deployment.keep_releases` or `deployment.keep_days` let it go.",),
            ("`regionshift releases` lists those that are kept.", "Set the old values again and run `regionshift up`."),
        ),
        "RS-PLAN-001": _E(
            3,
            "The plan may not be carried out. The findings that are listed say why.",
            (
                "Data would be lost, permissions would grow, or a policy breaks a rule.",
                "Something needed is missing or in the way. With wrong input the exit code is 2.",
            ),
            (
                "Each finding says what to do; `regionshift preview` shows them again.",
                "Allow what is meant: `--allow-data-loss`, or `--allow-broadening ID`.",
            ),
        ),
    },
    "Environment and regions": {
        "RS-ENVIRONMENT-001": _E(
            1,
            "The environment is not up, or not wholly.",
            ("`up` was never run, or did not end.", "The settings name another environment or target."),
            ("`regionshift status`", "`regionshift up`"),
        ),
        "RS-ENVIRONMENT-002": _E(
            3,
            "The command needs an environment or a region that is up.",
            ("`up` was never run with these settings.",),
            ("`regionshift up`",),
        ),
        "RS-ENVIRONMENT-003": _E(
            3,
            "The environment is protected, so nothing of it is deleted.",
            ("`protect` is true, or the environment counts as production.",),
            ("If it is meant: set `protect: false`, run `regionshift up`, then repeat the command.",),
        ),
        "RS-ENVIRONMENT-004": _E(
            3,
            "Your principal is not among `access.operators`, so the buckets could not be emptied.",
            ("Another role is in use.",),
            ("Use a role listed there, or add yours and run `regionshift up`.",),
        ),
        "RS-ENVIRONMENT-005": _E(
            3,
            "Something is not this environment's, so it is neither changed nor deleted.",
            ("It has no tags of this environment.", "Somebody wrote it into the state.", "It is another account's."),
            ("Find its owner.", "If it is yours: `regionshift up --refresh` puts its tags back."),
        ),
        "RS-ENVIRONMENT-006": _E(
            3,
            "Data would be lost, and that was not allowed.",
            ("A bucket, a release or a journal would go.",),
            ("Copy what you want to keep.", "Run the command again with `--allow-data-loss`."),
        ),
        "RS-ENVIRONMENT-007": _E(
            1,
            "Something that was to be deleted is still there.",
            ("It was made by hand.", "Object Lock or a legal hold keeps it.", "Something goes on writing it."),
            ("Delete what is named by hand, or run the same command again.",),
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
            ("It is no region of this environment.", "It is the primary, or it is not.", "It is named twice."),
            ("`regionshift status` lists the regions with their roles.",),
        ),
        "RS-REGION-002": _E(
            3,
            "The region is fenced: it gets no call until it is brought back.",
            ("Its environment moved away with `promote --source-lost`.",),
            ("When it answers again: `regionshift up --rejoin REGION`",),
        ),
        "RS-REGION-003": _E(
            3,
            "No region would be left.",
            ("All of them are skipped or go back to nothing.",),
            ("Skip fewer regions; to take everything down: `regionshift destroy`",),
        ),
        "RS-REGION-004": _E(
            1,
            "Roles of a region are still denied everything by the fence.",
            ("IAM refused or did not answer.",),
            ("When IAM answers again: `regionshift resume`", "Or delete the policy that the error names by hand."),
        ),
        "RS-REGION-005": _E(
            3,
            "What the settings say is not what is up, and this command changes nothing but the primary.",
            ("The settings changed since the last `up`.", "A deployment did not reach every region."),
            ("`regionshift preview` shows the difference.", "`regionshift up`, then the command again."),
        ),
        "RS-REGION-006": _E(
            3,
            "A secret that the application reads is not in the region that is to be the primary.",
            ("It was never carried there.",),
            ("Name it under `carry` and run `regionshift migrate`.",),
        ),
    },
    "Carrying data": {
        "RS-CARRY-001": _E(
            2,
            "There is nothing to carry.",
            ("`carry` is empty.", "Its prefixes, paths or patterns select nothing.", "A named object is not there."),
            ("Look at `carry`.", "`regionshift migrate --plan-only` shows what it selects."),
        ),
        "RS-CARRY-002": _E(
            2,
            "A place under `carry` is not there, is in another region, or is source and target at once.",
            ("A name or a region is misspelled.",),
            ("Correct the entry that the error names.",),
        ),
        "RS-CARRY-003": _E(
            2,
            "A bucket does not keep versions, which taking back needs.",
            ("Versioning was never enabled, or was suspended.",),
            ("Run the `aws s3api put-bucket-versioning` command that the error prints.",),
        ),
        "RS-CARRY-004": _E(
            2,
            "The key for what is carried cannot be used there.",
            ("`kms_key` names a key of another region, or none that exists.",),
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
            "There is no permission for what `carry` names.",
            ("`carry` changed since the last `up`.", "The bucket is another account's.", "A policy denies it."),
            ("`regionshift up` gives the worker its permissions.", "Of another account: set `source_account`."),
        ),
        "RS-CARRY-007": _E(
            3,
            "The target bucket is under Object Lock, so nothing written there could be taken back.",
            ("The bucket has Object Lock enabled.",),
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
            "Items cannot be carried: somebody else's are in the target, or they cannot be read.",
            ("Somebody changed them in the target.",),
            (
                "`regionshift migrate --plan-only` names each with its reason.",
                "Exclude them under `carry`, fix them, or set `migration.on_failure: stop`.",
            ),
        ),
        "RS-CARRY-010": _E(
            3,
            "A migration names something that `carry` no longer names, so nothing is done there.",
            ("`carry` changed since the migration began.",),
            ("Name it again under `carry`, then `regionshift up`.",),
        ),
        "RS-CARRY-011": _E(
            1,
            "What is to be carried cannot be listed or read.",
            ("The service asked for fewer requests or failed.", "The answer was cut by a proxy."),
            ("Run the same command again; it goes on where it was.",),
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
            "The execution that carries data ended without success.",
            ("Items failed, the worker ran out of time, or somebody stopped it.",),
            (
                "`regionshift status ID` shows what failed.",
                "Run the command that the error prints: the same id goes on where it was.",
            ),
        ),
        "RS-MIGRATION-003": _E(
            1,
            "What was copied could not all be proven, or not all be taken back.",
            ("Something changed while it was copied.",),
            ("`regionshift status ID --verify` names what differs.", "`regionshift resume`"),
        ),
        "RS-MIGRATION-004": _E(
            3,
            "Another migration into the same target is not finished.",
            ("It runs, or it was stopped.",),
            ("`regionshift status`", "Finish it with the same `--id`, or `regionshift rollback ID`."),
        ),
        "RS-MIGRATION-005": _E(
            3,
            "The id belongs to another migration, or to one that was taken back.",
            ("Other entries or regions were asked for under the same id.",),
            ("Use another `--id`, or ask for what that one was begun with.",),
        ),
        "RS-MIGRATION-006": _E(
            3,
            "Another call is planning this migration at the moment.",
            ("Two commands with one id.", "A call was killed while it planned."),
            ("Run it again with the same id when the other has ended.",),
        ),
        "RS-MIGRATION-007": _E(
            3,
            "What would be carried changed since you confirmed it. Nothing was copied.",
            ("Somebody writes to the source or the target.",),
            ("Look at the new plan and confirm it.", "`--yes` takes what is there when it begins."),
        ),
        "RS-MIGRATION-008": _E(
            3,
            "A record of the migration is not what this environment wrote, so nothing is done by it.",
            ("Somebody changed it.", "A release from before records were sealed wrote it."),
            ("Find who wrote it: docs/security.md, Records.", "Take such a migration back with that release."),
        ),
        "RS-MIGRATION-009": _E(
            3,
            "The record of what was there before a batch is missing, so the batch cannot be taken back.",
            ("Somebody deleted the object.",),
            ("Restore the object that is named; the bucket keeps its versions.", "`regionshift rollback ID`"),
        ),
        "RS-MIGRATION-010": _E(
            3,
            "The environment has no key for the records of migrations.",
            ("It stands with an older release.",),
            ("`regionshift up`",),
        ),
        "RS-MIGRATION-011": _E(
            2,
            "The migration is not completed, so there is nothing to verify.",
            ("It is still running, failed or was taken back.",),
            ("`regionshift status` lists the migrations.",),
        ),
        "RS-MIGRATION-012": _E(
            2,
            "What the state machine would be given is larger than AWS takes.",
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
            "The target region does not pass its checks, so nothing is carried there.",
            ("The region is not well.",),
            ("`regionshift validate`", "Fix what failed, then run `migrate` again."),
        ),
    },
    "The embedded AWS": {
        "RS-LOCAL-001": _E(
            1,
            "The embedded AWS of this folder does not run.",
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
            ("The port is taken.", "It runs already in another way.", "There is no such weather."),
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
            ("The role does not exist in the embedded AWS.", "The target is aws, where the variable means nothing."),
            ("Unset the variable, or make the role first.",),
        ),
        "RS-LOCAL-006": _E(
            1,
            "The embedded AWS could not make or find a resource.",
            ("Something with that name was not made by this environment.",),
            ("Choose another name, or delete what is there.", "To begin anew: `regionshift local down --wipe`"),
        ),
        "RS-LOCAL-007": _E(
            2,
            "The program asks for something that the local provider does not know.",
            ("The program uses a resource type that is not listed in docs/local-mode.md.",),
            ("Use `target: aws` for it, or add a handler as CONTRIBUTING.md says.",),
        ),
        "RS-LOCAL-008": _E(
            3,
            "The local provider takes no file but a release's artifact.",
            ("The program names another file.",),
            ("Report it, unless you changed the program.",),
        ),
    },
}  # fmt: skip

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType(
    {name: entry for area in AREAS.values() for name, entry in area.items()}
)
