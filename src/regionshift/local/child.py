"""What runs inside the emulator's process: ministack with the gaps closed that the environment meets."""

from __future__ import annotations

import asyncio.constants
import os

from regionshift.machine import collect_garbage_less

# Seconds. A client that keeps its connection open does not say goodbye, and asyncio would wait 30 s for it
# before the emulator gets to save what it holds.
GOODBYE_TIMEOUT = 0.5


def main() -> None:
    """Serves until SIGTERM. Everything it needs to know is in its environment (see ``process.py``)."""
    collect_garbage_less()
    import ministack.app  # type: ignore[import-untyped]

    # The emulator has read how much it is to say itself; its functions inherit what is left, and say what they
    # would on AWS. Of one that says nothing the emulator waits 50 ms for a first line, too.
    os.environ.pop("LOG_LEVEL", None)

    from regionshift.local import (
        checkpoints,
        cloudwatch_gaps,
        data_gaps,
        executions_at_once,
        fast_xml,
        functions_once,
        listing_gaps,
        logs_gaps,
        ownership_gaps,
        policies_once,
        replication_gaps,
    )

    cloudwatch_gaps.close()
    data_gaps.close()
    listing_gaps.close()
    logs_gaps.close()
    ownership_gaps.close()
    replication_gaps.close()
    executions_at_once.install()
    functions_once.install()
    policies_once.install()
    fast_xml.install()
    checkpoints.install(ministack.app)
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = GOODBYE_TIMEOUT
    # It would also open port 443 where it may; this cloud has one port.
    ministack.app._port_is_bindable = lambda _host, _port: False
    ministack.app.main()


if __name__ == "__main__":
    main()
