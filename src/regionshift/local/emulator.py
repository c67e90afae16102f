"""The embedded AWS on this machine: start, find and stop it.

Each state folder has one cloud. Starting a running cloud and stopping a stopped one are no errors. Commands at the same
time run one after the other. The cloud listens only on the loopback address, uses TLS with a certificate of its own
authority, and checks signatures and policies.
"""

from __future__ import annotations

import contextlib
import datetime
import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.local import process
from regionshift.local.certificates import Certificates, ensure_certificates
from regionshift.local.state import ADMIN, CloudRecord, StateFolder
from regionshift.local.weather import CALM, WEATHERS, variables

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


# A free port can be taken before the emulator listens. After so many attempts there is another problem.
PORT_ATTEMPTS = 5
_SESSION_S = 3600  # AWS's own default (STS API Reference, "AssumeRole")
_SEEDS = 1_000_000
ADMIN_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
# Any region: IAM and STS are global in the emulator as on AWS.
ADMIN_REGION = "us-east-1"
ROLE_VARIABLE = "REGIONSHIFT_LOCAL_ROLE"


@dataclass(frozen=True)
class LocalCloud:
    """A running embedded AWS, and the key of its administrator (an IAM user, so that policies apply) or of a role.

    ``endpoint``: ``https://127.0.0.1:<port>``. ``ca_bundle``: the PEM file that clients must trust. ``weather``,
    ``seed``: see ``weather.py``. ``session_token``: for a role's key.
    """

    endpoint: str
    account: str
    ca_bundle: Path
    pid: int
    access_key: str
    secret_key: str = field(repr=False)
    state_dir: Path
    weather: str = CALM
    seed: int = 0
    session_token: str | None = field(default=None, repr=False)

    @property
    def key(self) -> AccessKey:
        """The credentials: the administrator's key, or that of a role's session."""
        return AccessKey(self.access_key, self.secret_key, self.session_token)


def up(
    state_dir: Path,
    account: str,
    port: int | None = None,
    weather: str | None = None,
    seed: int | None = None,
) -> LocalCloud:
    """Start the cloud of ``state_dir``, or return the running one.

    Args:
        state_dir: the folder with the cloud's data.
        account: twelve digits; a cloud always belongs to one account.
        port: loopback port; None: the earlier one, or a free one.
        weather: a name in ``WEATHERS``; None: the earlier one, at first `calm`.
        seed: the seed of the weather; None: the earlier one, or a new one for another weather.

    Raises:
        Refused: the cloud in ``state_dir`` belongs to another account.
        InputError: ``port`` is taken, there is no such weather, or the cloud runs with other arguments.
        WorkFailed: the process does not start.
    """
    folder = StateFolder(state_dir.resolve())
    folder.make()
    with FileLock(folder.lock, mode=0o600):
        # Another command may have wiped the folder while we waited.
        folder.make()
        record = folder.read() or CloudRecord(account, port or 0)
        _require_same_account(record, account, folder)
        certificates = ensure_certificates(folder.tls, datetime.datetime.now(datetime.UTC))
        if process.find(record) is None:
            record = _start(folder, _in_weather(record, weather, seed), certificates, port)
        elif port not in (None, record.port):
            raise _runs_already(folder, f"on port {record.port}")
        elif weather not in (None, record.weather) or seed not in (None, record.seed):
            raise _runs_already(folder, f"in the weather {record.weather}, seed {record.seed}")
        record = _with_working_key(folder, record)
        return _cloud(folder, record)


def status(state_dir: Path) -> LocalCloud | None:
    """Return the running cloud of ``state_dir``; None when it does not run."""
    folder = StateFolder(state_dir.resolve())
    record = folder.read()
    if record is None or process.find(record) is None or not record.access_key:
        return None
    return _cloud(folder, record)


def down(state_dir: Path, wipe: bool = False) -> bool:
    """Stop the cloud; with ``wipe`` also remove its files. Return whether it was running."""
    folder = StateFolder(state_dir.resolve())
    if not folder.root.exists():
        return False
    with FileLock(folder.lock, mode=0o600):
        record = folder.read()
        running = process.find(record) if record else None
        if running is not None:
            process.end(running)
        if wipe:
            _remove(folder.root)
        elif record is not None:
            folder.write(record.without_process())
        return running is not None


def as_role(cloud: LocalCloud, role: str) -> LocalCloud:
    """Return ``cloud`` with the credentials of ``role``, for the longest session that the role allows.

    Args:
        role: name or ARN.

    Raises:
        InputError: there is no such role.
    """
    clients = Clients(key=cloud.key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle, is_logged=False)
    try:
        found = clients.call(ADMIN_REGION, "iam", "get_role", RoleName=role.rpartition("/")[2])["Role"]
    except AwsFailed as error:
        if error.code not in ("NoSuchEntity", "ValidationError"):
            raise
        found = {}
    if role not in (found.get("RoleName"), found.get("Arn")):
        raise InputError(
            f"The embedded AWS has no role {role}.",
            where=ROLE_VARIABLE,
            remedy=f"create the role first, as the administrator (without {ROLE_VARIABLE}), or name another",
            error_id="RS-LOCAL-005",
        )
    session = clients.call(
        ADMIN_REGION,
        "sts",
        "assume_role",
        RoleArn=found["Arn"],
        RoleSessionName="regionshift",
        DurationSeconds=found.get("MaxSessionDuration", _SESSION_S),
    )["Credentials"]
    return replace(
        cloud,
        access_key=session["AccessKeyId"],
        secret_key=session["SecretAccessKey"],
        session_token=session["SessionToken"],
    )


def _remove(folder: Path) -> None:
    """Remove the folder. Functions that end just now may remove parts of it at the same time."""
    while folder.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def _in_weather(record: CloudRecord, name: str | None, seed: int | None) -> CloudRecord:
    if name not in (None, *WEATHERS):
        raise InputError(
            f"There is no weather {name}.",
            remedy=f"Choose one of: {', '.join(WEATHERS)}",
            error_id="RS-LOCAL-003",
        )
    kept = record.seed if name in (None, record.weather) else secrets.randbelow(_SEEDS)
    return replace(record, weather=name or record.weather, seed=kept if seed is None else seed)


def _runs_already(folder: StateFolder, how: str) -> InputError:
    return InputError(
        f"The embedded AWS already runs {how}.",
        where=str(folder.root),
        remedy="Stop it first: regionshift local down",
        error_id="RS-LOCAL-003",
    )


def _start(
    folder: StateFolder, record: CloudRecord, certificates: Certificates, asked: int | None
) -> CloudRecord:
    if asked is not None and not process.is_free(asked):
        raise InputError(
            f"Port {asked} of {process.LOOPBACK} is taken.",
            remedy="Choose another --port.",
            error_id="RS-LOCAL-003",
        )
    remembered = record.port if record.port and process.is_free(record.port) else process.free_port()
    port = asked or remembered
    for attempt in range(1, PORT_ATTEMPTS + 1):
        try:
            told = variables(record.weather, record.seed)
            started = process.start(folder, certificates, record.account, port, weather=told)
        except process.ExitedEarlyError as error:
            if asked is not None or attempt == PORT_ATTEMPTS or process.is_free(port):
                raise WorkFailed(
                    "The embedded AWS ended while it started.",
                    where=str(folder.log),
                    remedy=str(error),
                    error_id="RS-LOCAL-002",
                ) from error
            port = process.free_port()
        else:
            record = replace(record, port=port, pid=started.pid, started=started.create_time())
            # Written before the key exists, so that a command that is killed here leaves no unknown process.
            folder.write(record)
            return record
    raise AssertionError("the last attempt returns or raises")


def _with_working_key(folder: StateFolder, record: CloudRecord) -> CloudRecord:
    endpoint, ca_bundle = _endpoint(record), folder.tls / "ca.pem"
    if _key_works(AccessKey(record.access_key, record.secret_key), endpoint, ca_bundle):
        return record
    key = _create_admin(record.account, endpoint, ca_bundle)
    record = replace(record, access_key=key.access_key, secret_key=key.secret_key)
    folder.write(record)
    return record


def _require_same_account(record: CloudRecord, account: str, folder: StateFolder) -> None:
    if record.account != account:
        raise Refused(
            f"The embedded AWS here belongs to account {record.account}, not {account}.",
            where=str(folder.root),
            remedy="Use another state folder, or remove this one: regionshift local down --wipe",
            error_id="RS-AWS-010",
        )


def _endpoint(record: CloudRecord) -> str:
    return f"https://{process.LOOPBACK}:{record.port}"


def _cloud(folder: StateFolder, record: CloudRecord) -> LocalCloud:
    return LocalCloud(
        endpoint=_endpoint(record),
        account=record.account,
        ca_bundle=folder.tls / "ca.pem",
        pid=record.pid,
        access_key=record.access_key,
        secret_key=record.secret_key,
        state_dir=folder.root,
        weather=record.weather,
        seed=record.seed,
    )


def _key_works(key: AccessKey, endpoint: str, ca_bundle: Path) -> bool:
    """Whether the cloud knows the key. A cloud that was killed before it saved does not."""
    if not key.access_key:
        return False
    clients = Clients(key=key, endpoint=endpoint, ca_bundle=ca_bundle, is_logged=False)
    try:
        clients.call(ADMIN_REGION, "sts", "get_caller_identity")
    except AwsFailed as error:
        if not error.is_about_credentials:
            raise
        return False
    return True


def _create_admin(account: str, endpoint: str, ca_bundle: Path) -> AccessKey:
    """Create the administrator, or give an existing one a new key. Uses the account's root once.

    In the emulator, root's access key is the account's number (see its documentation).
    """
    root = Clients(key=AccessKey(account, "root"), endpoint=endpoint, ca_bundle=ca_bundle, is_logged=False)
    iam = root.get("iam", ADMIN_REGION)
    with told_plainly(ADMIN_REGION, ADMIN):
        try:
            iam.create_user(UserName=ADMIN)
        except iam.exceptions.EntityAlreadyExistsException:
            _delete_keys(iam)
        iam.attach_user_policy(UserName=ADMIN, PolicyArn=ADMIN_POLICY)
        key = iam.create_access_key(UserName=ADMIN)["AccessKey"]
    return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])


def _delete_keys(iam: IAMClient) -> None:
    pages = iam.get_paginator("list_access_keys").paginate(UserName=ADMIN)
    for key in [key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]]:
        iam.delete_access_key(UserName=ADMIN, AccessKeyId=key)
