"""The migration function's code in every region, as AWS has it: ``python tools/demo_code.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


def main() -> None:
    """One line a region: the region, the code's digest."""
    cloud = emulator.up(Path(sys.argv[1]) / ".regionshift/cloud", "123456789012")
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    for region in REGIONS:
        functions = clients.get("lambda", region).list_functions()["Functions"]
        code = next(each["CodeSha256"] for each in functions if "-migration-" in each["FunctionName"])
        print(f"{region:16}{code}")


if __name__ == "__main__":
    main()
