"""A zip whose bytes depend on names and contents only.

Entries are sorted, dated to the first day a zip can hold, and readable by everyone (Lambda runs as another
user than the one that packed it). They are stored, not compressed: DEFLATE has no one right output, so the
same files give other bytes under another zlib (zlib-ng, as some Pythons are built with, differs from zlib),
and with them another digest and a needless deployment. It costs size only: Lambda takes 50 MB directly and
250 MB unpacked (Lambda Developer Guide, "Lambda quotas").
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_FILE = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """The zip of ``files``: contents by path with forward slashes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_FIRST_DAY)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, files[path], compress_type=zipfile.ZIP_STORED)
    return buffer.getvalue()
