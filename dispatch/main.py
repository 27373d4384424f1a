"""A shard: `python -m dispatch.main`. `dispatch.boot` puts it together."""

from __future__ import annotations

import sys

from dispatch.config import DispatchSettings
from node.settings import load


def main() -> int:
    """Runs the process and returns its exit code."""
    # Imported here because the worker process imports this module too, and needs neither Kafka nor gRPC.
    from dispatch.boot import boot
    from node.lifecycle import run

    settings = load(DispatchSettings)
    # Ticks compute in threads: the event loop, which carries the fixes, must get its turn sooner than every 5 ms.
    sys.setswitchinterval(0.001)
    return run(f"dispatch {settings.shard_id}", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    raise SystemExit(main())
