"""The bytes of assets and archives, for Lambda and S3."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regionshift.errors import InputError, Refused
from regionshift.local.provider.wire import Asset

_EPOCH = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest time of the zip format, so that the same content gives the same bytes
_READABLE = 0o644 << 16
_ARCHIVES = (".zip", ".jar")


class Files:
    """The local files that may be assets: the artifacts of a release, set before each run.

    Otherwise a caller of the provider could read any file of its user.
    """

    def __init__(self) -> None:
        self._digests: dict[Path, str] = {}

    def allow(self, path: Path, digest: str) -> None:
        """Allow ``path`` while the SHA-256 of its content is ``digest``."""
        self._digests[path.resolve()] = digest

    def require(self, value: Any) -> None:
        """Check all assets in ``value``.

        Raises:
            Refused: a file is not allowed, or has another content.
        """
        if isinstance(value, Asset):
            if value.path is not None:
                self._require_file(Path(value.path))
            self.require(value.entries)
        elif isinstance(value, Mapping):
            for item in value.values():
                self.require(item)
        elif isinstance(value, list):
            for item in value:
                self.require(item)

    def _require_file(self, path: Path) -> None:
        digest = self._digests.get(path.resolve())
        # The answer does not show whether a file that is not allowed exists.
        if digest is None or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise Refused("the local provider reads only the artifacts of a release", error_id="RS-LOCAL-008")


def content_of(asset: Asset) -> bytes:
    """Return the bytes of a file or text; an archive as a zip.

    Raises:
        InputError: the asset is a URL, or its content was not sent.
    """
    if asset.text is not None:
        return asset.text.encode()
    if asset.path is not None:
        return _from_path(Path(asset.path), is_archive=asset.is_archive)
    if asset.entries is not None:
        return _zip(dict(_files_of(asset.entries)))
    raise InputError("the local provider accepts only files and texts as assets", error_id="RS-LOCAL-007")


def _from_path(path: Path, *, is_archive: bool) -> bytes:
    if is_archive and path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return _zip({file.relative_to(path).as_posix(): file.read_bytes() for file in files})
    if is_archive and path.suffix not in _ARCHIVES:
        raise InputError(
            f"{path.name} is not an archive", remedy="use a .zip, a .jar or a folder", error_id="RS-LOCAL-007"
        )
    return path.read_bytes()


def _files_of(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for name, entry in entries.items():
        if isinstance(entry, Asset) and entry.is_archive and entry.entries is not None:
            yield from _files_of(entry.entries, f"{prefix}{name}/")
        elif isinstance(entry, Asset) and entry.is_archive:
            with zipfile.ZipFile(io.BytesIO(content_of(entry))) as packed:
                for inner in packed.namelist():
                    yield f"{prefix}{name}/{inner}", packed.read(inner)
        else:
            yield prefix + name, content_of(entry)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _READABLE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return buffer.getvalue()
