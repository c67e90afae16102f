"""The state URL, and the URL of the key of its secrets, in their parts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit


@dataclass(frozen=True)
class StateUrl:
    """``s3://BUCKET/PREFIX?region=REGION`` or ``file://DIRECTORY``.

    Args:
        place: the URL without what follows the ``?``.
        region: the bucket's own region; None when the URL does not say, and for a directory.
        unknown: names after the ``?`` that mean nothing.
    """

    place: str
    region: str | None = None
    unknown: tuple[str, ...] = ()


def parse_state_url(text: str) -> StateUrl:
    """Take a state URL apart; a directory's name may hold a ``?``."""
    url = urlsplit(text)
    if url.scheme != "s3":
        return StateUrl(text)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    region = options.pop("region", None)
    return StateUrl(url._replace(query="").geturl(), region, tuple(options))


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
