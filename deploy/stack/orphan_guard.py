"""Kill the processes of a stack that was itself killed.

Run as a script, with the reading end of a pipe as its standard input and the folder's lock open. The supervisor
writes `+PID` for each process group it starts and `-PID` when the group is gone. When the supervisor dies, even of
SIGKILL, the pipe ends: the guard kills every group that is left, then exits, which frees the lock.

It imports next to nothing: it has to start at once and must not fail.
"""

from __future__ import annotations

import os
import signal
import sys

_GROUPS_GONE_POLL_S = 0.01
_GROUPS_GONE_POLLS = 500


def main() -> int:
    """Watch the pipe until it ends, then kill."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            groups.add(pid)
        else:
            groups.discard(pid)
    for group in groups:
        _kill(group)
    _wait_until_gone(groups)
    return 0


def _kill(group: int) -> bool:
    """Send SIGKILL to a group; False when nobody is in it."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _wait_until_gone(groups: set[int]) -> None:
    """The next stack may only start when the ports and data directories are free."""
    import time

    for _ in range(_GROUPS_GONE_POLLS):
        groups = {group for group in groups if _kill(group)}
        if not groups:
            return
        time.sleep(_GROUPS_GONE_POLL_S)


if __name__ == "__main__":
    raise SystemExit(main())
