"""The folder of a stack: who owns it, and where things lie in it.

```
.forno/
  lock           held by the running stack; holds its pid
  stack.json     what runs where, for other commands (see `deploy.stack.manifest`)
  logs/NAME.log  one log a part
  data/NAME/     what the servers keep
  secrets/       the development keys
  state/         FORNO_STATE_DIR: what the services keep
```
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from deploy.stack.errors import FolderInUse, StackError
from node.running import is_alive

#: How long a new stack waits for the guard of a killed one to finish its work (`deploy.stack.orphan_guard`).
_LEFTOVERS_S = 10.0
_TAIL_BYTES = 8_192


class Folder:
    """Paths of one stack and the lock that makes it the only one here."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock_fd: int | None = None

    @property
    def manifest(self) -> Path:
        return self.root / "stack.json"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def data(self, name: str) -> Path:
        """Data folder of the server `name`; created by its user."""
        return self.root / "data" / name

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = 25) -> str:
        """The last lines of a part's log, indented for a report."""
        try:
            with self.log(name).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return "  (no log)"
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

    def claim(self) -> int:
        """Make this process the owner of the folder; returns the lock's descriptor.

        The guard of the stack inherits the descriptor, so after a `kill -9` the lock is free only when the guard has
        ended what the dead stack left behind. Raises FolderInUse, or StackError when the folder cannot be written.
        """
        try:
            for folder in (self.root, self.secrets, self.state, self.root / "logs", self.root / "data"):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets.chmod(0o700)
            fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StackError(f"{self.root} cannot be the folder of a stack: {error}") from error
        deadline_s = time.monotonic() + _LEFTOVERS_S
        while not _try_lock(fd):
            owner = _read_pid(fd)
            if owner is None or is_alive(owner) or time.monotonic() > deadline_s:
                os.close(fd)
                raise FolderInUse(self.root, owner)
            time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd
        return fd

    def release(self) -> None:
        """Let another stack have the folder."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
