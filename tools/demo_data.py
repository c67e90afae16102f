"""What the migration demo needs besides regionshift: an older environment, a hand that breaks it, and eyes.

``python tools/demo_data.py FOLDER seed|look|break|mend``: FOLDER has the demo's settings and embedded AWS.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator

SOURCE, TARGET = "us-east-1", "eu-west-1"
ROOT = Path(__file__).resolve().parents[1]
KINDS = {".md": "text/markdown", ".py": "text/x-python", ".yaml": "text/yaml", ".json": "application/json"}
MOST_FILES = 400
BROKEN = "files/README.md"


def bucket(region: str) -> str:
    """The older environment's bucket."""
    return f"orders-archive-{region}"


def files() -> Iterator[Path]:
    """Real files of this repository, of many sizes."""
    for folder in ("docs", "examples", "schema", "src", "tests"):
        yield from sorted(
            path for path in (ROOT / folder).rglob("*") if path.suffix in KINDS and path.is_file()
        )
    yield ROOT / "README.md"


def seed(clients: Clients) -> None:
    """An older environment in the primary region, and a little of it, older still, in the target."""
    for region in (SOURCE, TARGET):
        s3 = clients.get("s3", region)
        place: Any = {} if region == SOURCE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if bucket(region) not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket(region), **place)
        s3.put_bucket_versioning(Bucket=bucket(region), VersioningConfiguration={"Status": "Enabled"})
    found = list(files())[-MOST_FILES:]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: put(clients, SOURCE, path), found))
    s3 = clients.get("s3", SOURCE)
    s3.put_object(Bucket=bucket(SOURCE), Key="empty/", Body=b"")
    s3.put_object(Bucket=bucket(SOURCE), Key="films/größer.bin", Body=bytes(range(256)) * 80_000)
    clients.get("s3", TARGET).put_object(Bucket=bucket(TARGET), Key=BROKEN, Body=b"An older README.\n")
    ssm, vault = clients.get("ssm", SOURCE), clients.get("secretsmanager", SOURCE)
    topic = f"arn:aws:sns:{SOURCE}:123456789012:orders"
    ssm.put_parameter(Name="/orders/legacy/topic", Value=topic, Type="String", Overwrite=True)
    ssm.put_parameter(Name="/orders/legacy/limit", Value="25", Type="SecureString", Overwrite=True)
    if not [one for one in vault.list_secrets()["SecretList"] if one["Name"] == "orders/legacy/key"]:
        vault.create_secret(Name="orders/legacy/key", SecretString=hashlib.sha256(topic.encode()).hexdigest())
    print(f"{len(found) + 2} objects, 2 parameters and a secret are in {SOURCE}.")


def put(clients: Clients, region: str, path: Path) -> None:
    """One file with its kind, a tag and where it came from."""
    clients.get("s3", region).put_object(
        Bucket=bucket(region),
        Key=f"files/{path.relative_to(ROOT).as_posix()}",
        Body=path.read_bytes(),
        ContentType=KINDS[path.suffix],
        Metadata={"came-from": path.parent.name},
        Tagging="team=orders",
    )


def look(clients: Clients) -> None:
    """How much is in the target, and one digest over every byte that readers see there."""
    s3, digest, count = clients.get("s3", TARGET), hashlib.sha256(), 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket(TARGET)):
        for one in page.get("Contents", []):
            count += 1
            digest.update(one["Key"].encode() + b"\0")
            digest.update(s3.get_object(Bucket=bucket(TARGET), Key=one["Key"])["Body"].read())
    ssm, vault = clients.get("ssm", TARGET), clients.get("secretsmanager", TARGET)
    names = sorted(one["Name"] for one in ssm.describe_parameters()["Parameters"])
    for name in [name for name in names if name.startswith("/orders/legacy/")]:
        count += 1
        value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        digest.update(f"{name}\0{value}".encode())
    for name in sorted(one["Name"] for one in vault.list_secrets()["SecretList"]):
        if name.startswith("orders/legacy/"):
            count += 1
            digest.update(f"{name}\0{vault.get_secret_value(SecretId=name)['SecretString']}".encode())
    print(f"{count} things, sha256 {digest.hexdigest()}")


def break_it(clients: Clients) -> None:
    """Somebody writes over an object that was carried."""
    clients.get("s3", TARGET).put_object(Bucket=bucket(TARGET), Key=BROKEN, Body=b"Somebody was here.\n")


def mend(clients: Clients) -> None:
    """Somebody takes that back."""
    s3 = clients.get("s3", TARGET)
    newest = s3.list_object_versions(Bucket=bucket(TARGET), Prefix=BROKEN)["Versions"][0]
    s3.delete_object(Bucket=bucket(TARGET), Key=BROKEN, VersionId=newest["VersionId"])


def main(folder: str, step: str) -> None:
    """Run one step against the embedded AWS of ``folder``."""
    cloud = emulator.status(Path(folder) / ".regionshift" / "cloud")
    if cloud is None:
        sys.exit("The demo's embedded AWS does not run: make demo")
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    {"seed": seed, "look": look, "break": break_it, "mend": mend}[step](clients)


if __name__ == "__main__":
    main(*sys.argv[1:])
