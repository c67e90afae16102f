"""Other copying tools. None of them proves its copies, and none can undo them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from benchmarks.copying import arena as place
from benchmarks.copying.arena import PREFIX, SOURCE, TARGET, Arena, Case, Run
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

_AWSCLI = "awscli==1.46.3"
_RCLONE = "github.com/rclone/rclone@v1.69.1"
_INSTALL_SECONDS = 900
_THREADS = 16
_PART = 64 * 1024**2

Prepare = Callable[[Arena, Case], Run]


@dataclass
class Peers:
    """Contenders by name, and the reasons why others are missing."""

    found: dict[str, Prepare] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def install(cache: Path, *, parts: bool = False) -> Peers:
    """Install all tools that are available here. Those in ``cache`` are not fetched again.

    Args:
        parts: make them copy in parts, with the same sizes as all others.
    """
    peers = Peers()
    for name, get, use in (("aws s3 sync", _awscli, _aws_sync), ("rclone", _rclone, _rclone_sync)):
        try:
            command = get(cache)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            peers.skipped[name] = said[-1] if said else type(error).__name__
        else:
            peers.found[name] = use(command, parts)
    peers.found["boto3 threads"] = _boto3_parts if parts else _boto3_threads
    return peers


def _awscli(cache: Path) -> Path:
    command = cache / "aws/bin/aws"
    if not command.exists():
        _do([sys.executable, "-m", "venv", str(cache / "aws")])
        _do([str(cache / "aws/bin/python"), "-m", "pip", "install", "--quiet", _AWSCLI])
    return command


def _rclone(cache: Path) -> Path:
    found = cache / "bin/rclone"
    if found.exists():
        return found
    go = shutil.which("go")
    if go is None:
        raise FileNotFoundError("rclone is built with Go, which is not on the PATH")
    _do([go, "install", _RCLONE], {**os.environ, "GOBIN": str(cache.resolve() / "bin")})
    return found


def _do(command: list[str], env: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)


def _aws_sync(command: Path, parts: bool) -> Prepare:
    def prepare(arena: Arena, case: Case) -> Run:
        target = arena.bucket(TARGET)
        settings = arena.folder / "aws.ini"
        size = f"s3 =\n  multipart_threshold = {_PART}\n  multipart_chunksize = {_PART}\n" if parts else ""
        settings.write_text(f"[default]\n{size}", encoding="utf-8")
        words = ["s3", "sync", f"s3://{case.source}", f"s3://{target}/{PREFIX}", "--only-show-errors"]
        words += ["--source-region", SOURCE, "--region", TARGET]
        env = {**arena.variables, "AWS_CONFIG_FILE": str(settings)}
        return lambda: place.run([str(command), *words], arena.folder, env)

    return prepare


def _rclone_sync(command: Path, parts: bool) -> Prepare:
    """Return rclone with its fastest options: server-side, 32 at once, fast listings."""

    def prepare(arena: Arena, case: Case) -> Run:
        env = arena.variables
        for remote, region in (("A", SOURCE), ("B", TARGET)):
            env |= {
                f"RCLONE_CONFIG_{remote}_TYPE": "s3",
                f"RCLONE_CONFIG_{remote}_PROVIDER": "Other",
                f"RCLONE_CONFIG_{remote}_ENV_AUTH": "true",
                f"RCLONE_CONFIG_{remote}_REGION": region,
                f"RCLONE_CONFIG_{remote}_ENDPOINT": arena.endpoint,
                f"RCLONE_CONFIG_{remote}_FORCE_PATH_STYLE": "true",
            }
        words = ["sync", f"A:{case.source}", f"B:{arena.bucket(TARGET)}/{PREFIX}", "--config", os.devnull]
        words += ["--server-side-across-configs", "--transfers", "32", "--checkers", "32", "--fast-list"]
        words += ["--s3-no-check-bucket", "--ca-cert", str(arena.cloud.ca_bundle), "--quiet"]
        if parts:
            words += ["--s3-copy-cutoff", f"{_PART}B", "--s3-chunk-size", f"{_PART}B"]
        return lambda: place.run([str(command), *words], arena.folder, env)

    return prepare


def _client(arena: Arena) -> Any:
    return boto3.client(
        "s3",
        region_name=TARGET,
        endpoint_url=arena.endpoint,
        aws_access_key_id=arena.contender.access_key,
        aws_secret_access_key=arena.contender.secret_key,
        aws_session_token=arena.contender.token,
        verify=str(arena.cloud.ca_bundle),
        config=Config(max_pool_connections=_THREADS),
    )


def _boto3_threads(arena: Arena, case: Case) -> Run:
    """Return a run of a simple script: list, then copy_object in threads."""
    target, s3 = arena.bucket(TARGET), _client(arena)

    def copy(key: str) -> None:
        s3.copy_object(Bucket=target, Key=PREFIX + key, CopySource={"Bucket": case.source, "Key": key})

    return lambda: _each(s3, case, copy)


def _boto3_parts(arena: Arena, case: Case) -> Run:
    """Return a run of the same script with boto3's managed copy, which copies in parts."""
    target, s3 = arena.bucket(TARGET), _client(arena)
    sizes = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART)

    def copy(key: str) -> None:
        s3.copy({"Bucket": case.source, "Key": key}, target, PREFIX + key, Config=sizes)

    return lambda: _each(s3, case, copy)


def _each(s3: Any, case: Case, copy: Callable[[str], None]) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=case.source)
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(copy, keys))
