"""Kill servers that still run on a folder's data after a stack and its guard were both killed.

They are known by the `stack.json` that nobody removed, and recognised by their environment, so that a process which
merely got the same number is never touched.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from deploy.stack.folder import Folder
from deploy.stack.manifest import read

_GONE_WITHIN_S = 5.0
_POLL_S = 0.02


def end_orphans(folder: Folder) -> None:
    """Kill processes that a dead stack of this folder left running. The caller holds the folder's lock."""
    manifest = read(folder.root)
    if manifest is None:
        return
    mine = f"FORNO_STATE_DIR={folder.state}".encode()
    pids = {row.pid for row in manifest.parts if row.pid is not None and _environment_has(row.pid, mine)}
    for pid in pids:
        os.killpg(pid, signal.SIGKILL)
    deadline_s = time.monotonic() + _GONE_WITHIN_S
    while any(_environment_has(pid, mine) for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _environment_has(pid: int, setting: bytes) -> bool:
    try:
        return setting in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
