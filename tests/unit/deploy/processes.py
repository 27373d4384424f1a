"""Small parts for tests of the supervisor, and waiting for processes to be gone."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deploy.stack.part import Command, NotReady, Part


class Script(Part):
    """Runs Python text that is healthy once it has written the file READY (its first argument)."""

    kind = "script"
    ready_within_s = 20.0

    def __init__(self, name: str, text: str, folder: Path, needs: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name = name
        self.needs = needs
        self.address = name
        self.ready = folder / f"{name}.ready"
        self._text = text

    def command(self) -> Command:
        self.ready.unlink(missing_ok=True)
        return Command((sys.executable, "-I", "-S", "-c", self._text, str(self.ready)))

    async def check(self) -> str:
        if not self.ready.exists():
            raise NotReady("no file yet")
        return "1.0"


#: Becomes healthy and waits to be stopped.
OBEDIENT = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)"


async def until_gone(pid: int, within_s: float = 10.0) -> None:
    """Wait for the end of any process, ours or not; raises TimeoutError."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, gone.set)
    try:
        async with asyncio.timeout(within_s):
            await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
