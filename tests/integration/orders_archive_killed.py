"""A process that archives again and again, each time in a child that is killed after so many steps.

Reads numbers from standard input, one a line; for each the child archives and dies (kill -9) at that step; what it said
before is printed. A fork a step, because a Python with Arrow takes a second to start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from typing import Any

from orders.archive.archiver import Archiver
from orders.archive.files import ArchiveFiles

#: Months that ended before then are old.
OLD = datetime(2026, 8, 1, tzinfo=UTC)


class KilledAt:
    """A log whose n-th line kills the process: the archiver says each step that it has done."""

    def __init__(self, step: int, out: int) -> None:
        self.step, self.said, self.out = step, 0, out

    def bind(self, **words: Any) -> KilledAt:
        """The same log."""
        return self

    def info(self, event: str, **words: Any) -> None:
        """One step."""
        self.said += 1
        os.write(self.out, f"{event}\n".encode())
        if self.said == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    warning = info


def main(database: str, url: str, archive: str) -> None:
    """Archives once for each number."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            log: Any = KilledAt(int(line), sys.stdout.fileno())
            asyncio.run(Archiver(database, url, ArchiveFiles.at(archive), log).archive(OLD))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"killed {os.WIFSIGNALED(status)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
