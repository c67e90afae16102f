"""Encrypts the secrets of a release, makes keyed digests of them, and seals records.

Releases and the journal's events are sealed with the same key, as commands act on them (docs/adr/104).

There is one root key. It is made from a file that only its owner can read, or it is a KMS data key of the environment.
The data key lies encrypted under the state URL; its encryption context names the environment. Secrets are encrypted
with AES-256-GCM and bound to their release and name, so nobody can move a value to another place unnoticed.
"""

# ruff: noqa: N803 - boto3 names its arguments so
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from regionshift.errors import Refused
from regionshift.journal.store import KeyTakenError, StateDamaged, StateStore
from regionshift.settings.state_url import KEY_CONTEXT, SHARED_SCOPE, key_name

if TYPE_CHECKING:
    from regionshift.settings.release import SecretValue

_BYTES = 32
_NONCE = 12
_BINARY = ":binary:"
"""Marks what is bytes and no text: names of secrets and base64 have no colon."""
_SEAL = "seal"


class KeyService(Protocol):
    """The two calls of AWS KMS that are used. boto3's client has them."""

    def generate_data_key(
        self, *, KeyId: str, KeySpec: Literal["AES_256"], EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, object]: ...

    def decrypt(
        self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, object]: ...


class SecretKey:
    """Encrypts, decrypts and digests values. It derives a key for each use from one root key.

    Args:
        root: the root key, or a function that gets it. The function is called once, at the first use.
    """

    def __init__(self, root: bytes | Callable[[], bytes]) -> None:
        self._ask = root if callable(root) else lambda: root
        self._mutex = threading.Lock()
        self._kept: bytes | None = None
        if isinstance(root, bytes):
            self._root()

    def _root(self) -> bytes:
        with self._mutex:
            if self._kept is None:
                found = self._ask()
                if len(found) != _BYTES:
                    raise ValueError(f"a key has {_BYTES} bytes, not {len(found)}")
                self._kept = found
            return self._kept

    @property
    def _sealing(self) -> bytes:
        return hmac.digest(self._root(), b"regionshift sealing v1", "sha256")

    @property
    def _digests(self) -> bytes:
        return hmac.digest(self._root(), b"regionshift digests v1", "sha256")

    @property
    def _macs(self) -> bytes:
        return hmac.digest(self._root(), b"regionshift macs v1", "sha256")

    def seal(self, value: str | bytes, place: str) -> str:
        """``value`` encrypted for ``place`` (base64). Bytes are marked, so that `open` returns bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        text = isinstance(value, str)
        content = value.encode() if isinstance(value, str) else value
        about = place if text else place + _BINARY
        sealed = AESGCM(self._sealing).encrypt(nonce, content, about.encode())
        return ("" if text else _BINARY) + base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, place: str) -> str | bytes:
        """Decrypt what :meth:`seal` made. Raises StateDamaged for another key, another place, or changed bytes."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            text = not sealed.startswith(_BINARY)
            about = place if text else place + _BINARY
            raw = base64.b64decode(sealed.removeprefix(_BINARY), validate=True)
            content = AESGCM(self._sealing).decrypt(raw[:_NONCE], raw[_NONCE:], about.encode())
            return content.decode() if text else content
        except (InvalidTag, ValueError) as error:
            raise StateDamaged(
                "a secret of a release cannot be decrypted",
                where=place,
                remedy="use the key that the state was made with: the one of `state_secrets`, or the file"
                " .regionshift/state.key of the machine that made it",
            ) from error

    def digest(self, name: str, value: str | bytes) -> str:
        """A keyed digest of one secret (hex). It shows only whether two values of a name are equal."""
        return hmac.new(self._digests, _framed(*_parts(name, value)), hashlib.sha256).hexdigest()

    def digest_all(self, values: Mapping[str, SecretValue]) -> str:
        """A keyed digest over all secrets (hex): a release's ``secrets_digest``."""
        parts = [part for name in sorted(values) for part in _parts(name, values[name].get_secret_value())]
        return hmac.new(self._digests, _framed(*parts), hashlib.sha256).hexdigest()

    def mac(self, *parts: str) -> str:
        """A MAC (hex), which proves that somebody with the key wrote ``parts``."""
        return hmac.new(self._macs, _framed(*parts), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "SecretKey(...)"


def add_seal(key: SecretKey, name: str, body: bytes) -> bytes:
    """The JSON object ``body`` with a seal for ``name``, which is its key in the state."""
    content = json.loads(body)
    return json.dumps({**content, _SEAL: _seal_of(key, name, content)}, separators=(",", ":")).encode()


def has_seal(key: SecretKey, name: str, body: bytes) -> bool:
    """Whether :func:`add_seal` made ``body`` for this name. Raises ValueError when it is no JSON object."""
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("not an object")
    seal = str(content.pop(_SEAL, ""))
    return hmac.compare_digest(seal.encode(), _seal_of(key, name, content).encode())


def _seal_of(key: SecretKey, name: str, content: Mapping[str, object]) -> str:
    return key.mac(name, json.dumps(content, sort_keys=True, separators=(",", ":")))


def key_file(path: Path) -> Path:
    """The file of a key that is a line of text, made on first use with owner-only rights.

    Raises:
        Refused: others may read the file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make_key_file(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(
            "other users can read the key file",
            where=str(path),
            remedy=f"chmod 600 {path}",
            error_id="RS-STATE-004",
        )
    return path


def key_from_file(path: Path) -> SecretKey:
    """The key that the text of a key file makes. Raises as :func:`key_file`."""
    return SecretKey(hashlib.sha256(b"regionshift releases\0" + key_file(path).read_bytes()).digest())


def key_from_kms(kms: KeyService, key_id: str, store: StateStore, environment: str) -> SecretKey:
    """The environment's data key, decrypted by KMS. It is made on first use.

    KMS is called when the key is used. ``key_id`` is an id, ARN or alias of a symmetric key, ``environment`` the scope.
    An environment from before such keys keeps the one that it shares. Using the key raises StateDamaged when the kept
    key is unreadable.
    """
    return SecretKey(lambda: _root_from_kms(kms, key_id, store, environment))


def _root_from_kms(kms: KeyService, key_id: str, store: StateStore, environment: str) -> bytes:
    stored = store.get(key_name(environment))
    if stored is None:
        shared = store.get(key_name(SHARED_SCOPE))
        if shared is not None and any(store.folders(f"journal/{environment}/runs")):
            environment, stored = SHARED_SCOPE, shared
    name, context = key_name(environment), {KEY_CONTEXT: environment}
    if stored is None:
        made = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=context)
        kept = {"key": key_id, "sealed": base64.b64encode(_bytes(made["CiphertextBlob"])).decode()}
        try:
            store.create(name, json.dumps(kept).encode())
            return _bytes(made["Plaintext"])
        except KeyTakenError:
            return _root_from_kms(kms, key_id, store, environment)
    try:
        sealed = base64.b64decode(json.loads(stored.body)["sealed"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise StateDamaged("the state's data key cannot be read", where=f"{store.url}/{name}") from error
    return _bytes(kms.decrypt(KeyId=key_id, CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"])


def _make_key_file(path: Path) -> None:
    """Write a new key to a temporary file and link it: two processes at the same time then read the same key."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(_BYTES).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        return
    finally:
        aside.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _parts(name: str, value: str | bytes) -> tuple[str, str]:
    """The parts of a secret in a digest. Bytes have a colon in their name, which no name of a text has."""
    return (name, value) if isinstance(value, str) else (name + _BINARY, base64.b64encode(value).decode())


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"KMS answered {type(value).__name__} where bytes were due")
    return value


def _framed(*parts: str) -> bytes:
    """The parts with their lengths, so that different lists of parts have different bytes."""
    return b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
