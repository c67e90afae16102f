"""The bytes of assets and archives, as Lambda and S3 take them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regionshift.errors import InputError
from regionshift.local.provider.wire import Asset

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: the same content gives the same bytes
_READABLE = 0o644 << 16
_ARCHIVES = (".zip", ".jar")


def content_of(asset: Asset) -> bytes:
    """The bytes of a file or text; of an archive, a zip.

    Raises:
        InputError: it lies at an address, or its content was not sent.
    """
    if asset.text is not None:
        return asset.text.encode()
    if asset.path is not None:
        return _from_path(Path(asset.path), is_archive=asset.is_archive)
    if asset.entries is not None:
        return _zip(dict(_files_of(asset.entries)))
    raise InputError("the local provider takes assets from files and texts only")


def _from_path(path: Path, *, is_archive: bool) -> bytes:
    if is_archive and path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return _zip({file.relative_to(path).as_posix(): file.read_bytes() for file in files})
    if is_archive and path.suffix not in _ARCHIVES:
        raise InputError(f"{path.name} is no archive", remedy="give a .zip, a .jar or a folder")
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
