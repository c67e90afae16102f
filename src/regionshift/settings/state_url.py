"""The state URL, and the URL of the key of its secrets, in their parts.

A folder's name is quoted (RFC 3986, percent-encoding) and unquoted here and nowhere else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlsplit

_FILE = "file://"
# S3 User Guide, "Naming Amazon S3 objects", safe characters: those that every reader of the URL takes alike.
_SAFE_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]*")


@dataclass(frozen=True)
class StateUrl:
    """``s3://BUCKET/PREFIX?region=REGION`` or ``file://DIRECTORY``.

    Args:
        place: the URL as it was written, without what follows the ``?`` of a bucket's.
        region: the bucket's own region; None when the URL does not say, and for a directory.
        unknown: names after the ``?`` that mean nothing.
    """

    place: str
    region: str | None = None
    unknown: tuple[str, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The directory, its name as the file system has it; None for a bucket."""
        if not self.place.startswith(_FILE):
            return None
        quoted = self.place.removeprefix(_FILE).removeprefix("localhost")
        # Bytes, as the file system has them: a name need not be UTF-8, and `as_uri` quotes its bytes.
        return Path(os.fsdecode(unquote_to_bytes(os.fsencode(quoted))))

    @property
    def bucket(self) -> str:
        """The bucket; empty for a directory."""
        return urlsplit(self.place).netloc if self.place.startswith("s3://") else ""

    @property
    def prefix(self) -> str:
        """What keys in the bucket begin with, without slashes at its ends."""
        return self.place.removeprefix(f"s3://{self.bucket}").strip("/")

    @property
    def problem(self) -> str | None:
        """What the URL should be instead; None when it is one that can be used."""
        if self.folder is not None:
            return None if self.folder.is_absolute() else "file:///ABSOLUTE/DIRECTORY"
        if not self.bucket:
            return "file:///ABSOLUTE/DIRECTORY or s3://BUCKET/PREFIX"
        if not _SAFE_PREFIX.fullmatch(self.prefix):
            return "s3://BUCKET/PREFIX with a prefix of letters, digits and ! _ . * ' ( ) / -"
        return None

    def below(self, folder: str) -> str:
        """The URL of ``folder`` under this one, as Go reads it (the engine's backend)."""
        if self.folder is not None:
            return (self.folder / folder).as_uri()
        return f"{self.place.rstrip('/')}/{folder}"


def parse_state_url(text: str) -> StateUrl:
    """Take a state URL apart; a directory's name may hold any sign, quoted or as it is."""
    url = urlsplit(text)
    if url.scheme != "s3":
        return StateUrl(text)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    region = options.pop("region", None)
    return StateUrl(url._replace(query="").geturl(), region, tuple(options))


def folder_of(url: str) -> Path | None:
    """The directory that a ``file://`` URL names; None for every other URL."""
    return parse_state_url(url).folder


@dataclass(frozen=True)
class KeyUrl:
    """A key of AWS KMS as `state_secrets` names it: ``awskms://ID``, ``awskms://alias/NAME`` or ``awskms:///ARN``.

    The form is Go CDK's, which Pulumi reads (gocloud.dev/secrets/awskms, URLOpener).

    Args:
        key: id, alias or ARN.
        region: as the ARN says, else ``?region=``, else None.
        options: everything after the ``?``.
    """

    key: str
    region: str | None
    options: tuple[tuple[str, str], ...] = ()

    def text(self, region: str, **more: str) -> str:
        """The URL again, with a region in it (Go's SDK asks for one) and more options."""
        options = {**dict(self.options), "region": self.region or region, **more}
        place = f"/{self.key}" if self.key.startswith("arn:") else self.key
        return f"awskms://{place}?{urlencode(options)}"


def parse_key_url(text: str | None) -> KeyUrl | None:
    """The key that ``state_secrets`` names; None when it is none of AWS KMS."""
    url = urlsplit(text or "")
    if url.scheme != "awskms":
        return None
    options = tuple(parse_qsl(url.query, keep_blank_values=True))
    key = (url.netloc + url.path).lstrip("/")
    # An ARN is arn:PARTITION:kms:REGION:ACCOUNT:key/ID.
    named = key.split(":")[3] if key.startswith("arn:") and key.count(":") >= 5 else None
    return KeyUrl(key, named or dict(options).get("region") or None, options)
