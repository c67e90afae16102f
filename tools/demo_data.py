"""Creates, changes and shows the data of the demos: ``python tools/demo_data.py FOLDER STEP...``.

FOLDER has the demo's settings and embedded AWS. The steps are ``seed``, ``break``, ``mend``, ``look`` (a file name can
follow, for the output) and ``code`` (the digest of the function's code in each region).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator

SOURCE, TARGET = "us-east-1", "eu-west-1"
ROOT = Path(__file__).resolve().parents[1]
KINDS = {".md": "text/markdown", ".py": "text/x-python", ".yaml": "text/yaml", ".json": "application/json"}
MOST_FILES = 180
BROKEN = "files/README.md"
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


def bucket(region: str) -> str:
    """Return the name of the older environment's bucket."""
    return f"orders-archive-{region}"


def files() -> Iterator[Path]:
    """Yield files of this repository, of many sizes."""
    yield ROOT / "README.md"
    for folder in ("docs", "examples", "schema", "src", "tests"):
        yield from sorted(
            path for path in (ROOT / folder).rglob("*") if path.suffix in KINDS and path.is_file()
        )


def seed(clients: Clients) -> None:
    """Create an older environment in the source region, and an older object in the target."""
    for region in (SOURCE, TARGET):
        s3 = clients.get("s3", region)
        place: Any = {} if region == SOURCE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if bucket(region) not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket(region), **place)
        s3.put_bucket_versioning(Bucket=bucket(region), VersioningConfiguration={"Status": "Enabled"})
    found = list(files())
    found = found[:: -(-len(found) // MOST_FILES)]  # some of every kind
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
    if "orders/legacy/key" not in vault.get_paginator("list_secrets").paginate().search("SecretList[].Name"):
        vault.create_secret(Name="orders/legacy/key", SecretString=hashlib.sha256(topic.encode()).hexdigest())
    print(f"{len(found) + 2} objects, 2 parameters and a secret are in {SOURCE}.")


def put(clients: Clients, region: str, path: Path) -> None:
    """Upload a file with its content type, a tag and its folder as metadata."""
    clients.get("s3", region).put_object(
        Bucket=bucket(region),
        Key=f"files/{path.relative_to(ROOT).as_posix()}",
        Body=path.read_bytes(),
        ContentType=KINDS[path.suffix],
        Metadata={"came-from": path.parent.name},
        Tagging="team=orders",
    )


def look(clients: Clients) -> str:
    """Return how much is in the target, and one digest over all of its contents."""
    s3, digest = clients.get("s3", TARGET), hashlib.sha256()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket(TARGET))
    keys = [one["Key"] for page in pages for one in page.get("Contents", [])]

    def body(key: str) -> bytes:
        return s3.get_object(Bucket=bucket(TARGET), Key=key)["Body"].read()

    with ThreadPoolExecutor(8) as pool:
        things = {f"s3 {key}": hashed for key, hashed in zip(keys, pool.map(body, keys), strict=True)}
    ssm, vault = clients.get("ssm", TARGET), clients.get("secretsmanager", TARGET)
    for name in ssm.get_paginator("describe_parameters").paginate().search("Parameters[].Name"):
        if name.startswith("/orders/legacy/"):
            value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
            things[f"ssm {name}"] = value.encode()
    for name in vault.get_paginator("list_secrets").paginate().search("SecretList[].Name"):
        if name.startswith("orders/legacy/"):
            value = vault.get_secret_value(SecretId=name)["SecretString"]
            things[f"secret {name}"] = value.encode()
    for name in sorted(things):
        digest.update(f"{name}\0{len(things[name])}\0".encode() + things[name])
    what = "1 thing" if len(things) == 1 else f"{len(things)} things"
    return f"{what}, sha256 {digest.hexdigest()}"


def break_it(clients: Clients) -> None:
    """Overwrite a carried object, as somebody else would."""
    clients.get("s3", TARGET).put_object(Bucket=bucket(TARGET), Key=BROKEN, Body=b"Somebody was here.\n")


def show_code(clients: Clients) -> None:
    """Print the digest of the function's code in each region."""
    for region in REGIONS:
        functions = clients.get("lambda", region).list_functions()["Functions"]
        code = next(each["CodeSha256"] for each in functions if "-migration-" in each["FunctionName"])
        print(f"{region:16}{code}")


def mend(clients: Clients) -> None:
    """Undo ``break_it``."""
    s3 = clients.get("s3", TARGET)
    newest = s3.list_object_versions(Bucket=bucket(TARGET), Prefix=BROKEN)["Versions"][0]
    s3.delete_object(Bucket=bucket(TARGET), Key=BROKEN, VersionId=newest["VersionId"])


def main(folder: str, steps: Sequence[str]) -> None:
    """Run the steps against the embedded AWS of ``folder``."""
    cloud = emulator.status(Path(folder) / ".regionshift" / "cloud")
    if cloud is None:
        sys.exit("The demo's embedded AWS does not run: make demo")
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    doing = {"seed": seed, "break": break_it, "mend": mend, "code": show_code}
    for place, step in enumerate(steps):
        if step == "look":
            seen = look(clients)
            print(seen)
            if place + 1 < len(steps) and steps[place + 1] not in doing:
                Path(steps[place + 1]).write_text(seen, encoding="utf-8")
        elif step in doing:
            doing[step](clients)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
