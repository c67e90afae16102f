"""The memory that planning many keys takes. It runs in a process of its own, with listings that need no cloud."""

from __future__ import annotations

import hashlib
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from botocore.credentials import ReadOnlyCredentials

from regionshift.carriers.bounds import Bounds, Route
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.seals import Seals
from regionshift.carriers.transport import Response, S3Request, Transport

_PAGE = 1000
_MOST_MB = 200
_VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_ENFORCED = (
    b"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    b"</OwnershipControls>"
)
_NUMBER = re.compile(r"(\d+)$")


class Listed(Transport):
    """S3 with this many objects in the source and none in the target. Records are accepted and never read."""

    def __init__(self, objects: int) -> None:
        super().__init__(
            lambda: ReadOnlyCredentials("key", "secret", None),
            lambda _: "https://127.0.0.1",
            account="123456789012",
            connections=4,
        )
        self._objects = objects

    def _once(self, request: S3Request) -> Response:
        query = dict(request.query)
        if request.method == "PUT":
            return Response(200, {}, b"")
        if "versioning" in query:
            return Response(200, {}, _VERSIONED)
        if "ownershipControls" in query:
            return Response(200, {}, _ENFORCED)
        if "versions" in query:
            return Response(200, {}, self._page(request.bucket, query))
        if "list-type" in query:
            return Response(200, {}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        code = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
        return Response(404, {}, code)

    def _page(self, bucket: str, query: dict[str, str]) -> bytes:
        if bucket != "source" or "delimiter" in query:
            return b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
        after = _NUMBER.search(query.get("key-marker", ""))
        first = int(after.group(1)) + 1 if after else 0
        last = min(first + _PAGE, self._objects)
        found = "".join(_version(number) for number in range(first, last))
        more = last < self._objects
        following = f"<NextKeyMarker>{_key(last - 1)}</NextKeyMarker>" if more else ""
        return (
            "<ListVersionsResult><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{found}</ListVersionsResult>"
        ).encode()


def _key(number: int) -> str:
    return f"uploads/customers/orders/attachments/{number:012d}"


def _version(number: int) -> str:
    return (
        f"<Version><Key>{_key(number)}</Key><VersionId>{number:032x}</VersionId><IsLatest>true</IsLatest>"
        f'<ETag>"{number:032x}"</ETag><Size>{number}</Size><StorageClass>STANDARD</StorageClass></Version>'
    )


def planned(objects: int) -> None:
    """Plan this many keys in another process, and print its memory."""
    from benchmarks.copying.figures import Aim  # not at import: the other process measures its own memory

    command = [sys.executable, "-m", "benchmarks.copying.memory", str(objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(Aim(f"memory of planning {objects:,} keys, MB", float(done.stdout), _MOST_MB), flush=True)


def main() -> None:
    """Plan and record; print the most memory of this process in MB."""
    objects = int(sys.argv[1])
    requests = Listed(objects)
    seals = Seals(
        lambda message: hashlib.sha256(message).digest(), "eu-west-1", "records", lambda: datetime.now(UTC)
    )
    store = RecordStore(requests, "eu-west-1", "records", seals)
    bounds = Bounds(
        "records", (Route("s3", DataLocation("us-east-1", "source"), DataLocation("eu-west-1", "target")),)
    )
    migrations = Migrations(store, {"s3": Objects(requests)}, bounds, lambda: datetime.now(UTC))
    entry = Entry("s3", DataLocation("us-east-1", "source"), DataLocation("eu-west-1", "target"))
    planned = migrations.of("bench").begin([entry], Level.FULL)
    assert planned["plan"]["new"] == objects, planned
    print(_most_megabytes())


def _most_megabytes() -> float:
    """Return the most memory that this process has used.

    On Linux ``ru_maxrss`` survives execve (getrusage(2)), so it begins with the size of the parent. VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii", errors="replace"))
        return int(kilobytes) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    main()
