"""The state URL, and the URL of the key of its secrets, in their parts.

Each kind of place is one class here, with everything that the settings, the engine and the checks need from the URL.
One line in `journal/backends.py` opens its store.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlsplit

from regionshift.settings.regions import all_regions

# S3 User Guide, "Naming Amazon S3 objects", safe characters: those that every reader of the URL takes alike.
_SAFE_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]*")


@dataclass(frozen=True)
class StateUrl:
    """The URL of a place for the state. As such: one whose scheme nobody knows, and the empty one."""

    text: str

    form: ClassVar[str] = ""
    """How such a URL is written."""
    is_shared: ClassVar[bool] = False
    """Whether other machines reach it too, so that the key of its secrets should not lie on one of them."""

    @property
    def problem(self) -> str | None:
        """What the URL should be instead; None when it is one that can be used."""
        return " or ".join(kind.form for kind in STATE_URLS.values())

    @property
    def nearest(self) -> str | None:
        """A URL that was probably meant; None when nothing comes near."""
        return None if "://" in self.text else f"file://{self.text}"

    @property
    def folder(self) -> Path | None:
        """The directory of this machine where it is, whose disk needs room; None elsewhere."""
        return None

    @property
    def bucket(self) -> str:
        """The bucket of Amazon S3 where it is; empty elsewhere."""
        return ""

    @property
    def region(self) -> str | None:
        """The region that the URL names."""
        return None

    @property
    def follows_primary(self) -> bool:
        """Whether it is looked for in the primary region, whichever that is."""
        return bool(self.bucket) and self.region is None

    def engine_url(self, folder: str, primary: str, endpoint: str | None = None) -> str:
        """The URL of ``folder`` under this one as the engine's backend, which Go reads.

        Args:
            primary: the primary region. endpoint: where S3 is, when it is not AWS's.
        """
        raise NotImplementedError


class FolderUrl(StateUrl):
    """``file://DIRECTORY``. A directory's name is quoted (RFC 3986, percent-encoding) and unquoted here alone."""

    form = "file://DIRECTORY"

    @property
    def problem(self) -> str | None:
        return None if self.folder.is_absolute() else "file:///ABSOLUTE/DIRECTORY"

    @property
    def folder(self) -> Path:
        quoted = self.text.partition("://")[2].removeprefix("localhost")
        # Bytes, as the file system has them: a name need not be UTF-8, and `as_uri` quotes its bytes.
        return Path(os.fsdecode(unquote_to_bytes(os.fsencode(quoted))))

    def engine_url(self, folder: str, primary: str, endpoint: str | None = None) -> str:  # noqa: ARG002
        return (self.folder / folder).as_uri()


class BucketUrl(StateUrl):
    """``s3://BUCKET/PREFIX?region=REGION``."""

    form = "s3://BUCKET/PREFIX"
    is_shared = True

    @property
    def problem(self) -> str | None:
        if not re.match("[a-z0-9]", self.bucket):
            return super().problem
        if not _SAFE_PREFIX.fullmatch(self.prefix):
            return f"{self.form} with a prefix of letters, digits and ! _ . * ' ( ) / -"
        return None if self._is_query_right else f"{self.form}?region=REGION with the bucket's own region"

    @property
    def nearest(self) -> str | None:
        near = difflib.get_close_matches(self.region or "", all_regions(), 1)
        nearest = f"{self.place}?region={near[0]}" if near else self.place
        return None if self._is_query_right else nearest

    @property
    def place(self) -> str:
        """The URL without what follows its ``?``."""
        return urlsplit(self.text)._replace(query="").geturl()

    @property
    def bucket(self) -> str:
        return urlsplit(self.text).netloc

    @property
    def prefix(self) -> str:
        """What keys in the bucket begin with, without slashes at its ends."""
        return self.place.removeprefix(f"s3://{self.bucket}").strip("/")

    @property
    def region(self) -> str | None:
        return self._options.get("region")

    @property
    def _options(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.text).query, keep_blank_values=True))

    @property
    def _is_query_right(self) -> bool:
        return self._options.keys() <= {"region"} and self.region in {None, *all_regions()}

    def engine_url(self, folder: str, primary: str, endpoint: str | None = None) -> str:
        url = f"{self.place.rstrip('/')}/{folder}?region={self.region or primary}"
        return f"{url}&endpoint={endpoint}&s3ForcePathStyle=true" if endpoint else url


STATE_URLS: dict[str, type[StateUrl]] = {"file": FolderUrl, "s3": BucketUrl}
"""The places for the state, by the scheme of their URLs."""


def parse_state_url(text: str) -> StateUrl:
    """Take a state URL apart; a directory's name may hold any sign, quoted or as it is."""
    scheme, separator, _ = text.partition("://")
    return STATE_URLS.get(scheme if separator else "", StateUrl)(text)


def folder_of(url: str) -> Path | None:
    """The directory of this machine that a URL names; None for every other URL."""
    return parse_state_url(url).folder


KEY_CONTEXT = "regionshift"
"""The name in the encryption context whose value is the environment (KMS Developer Guide, "Encryption context")."""
SHARED_SCOPE = "releases"
"""The scope of the data key that all environments of a state shared before each had its own."""


def key_name(scope: str) -> str:
    """Return where a state keeps the data key of the environment with this scope."""
    return f"keys/{scope}.json"


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
