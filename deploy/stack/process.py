"""Child processes of the stack: each in a process group of its own, its output in a log file, watched by the guard."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.stack.part import Command

_GUARD_SCRIPT = Path(__file__).with_name("orphan_guard.py")


class Guard:
    """Our end of the pipe to the guard process (`deploy.stack.orphan_guard`)."""

    def __init__(self, lock_fd: int) -> None:
        # -I -S: nothing of the environment, no site packages. It starts in some 15 ms and cannot be broken by either.
        reading, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD_SCRIPT)],
            stdin=reading,
            pass_fds=(lock_fd,),
            start_new_session=True,
        )
        os.close(reading)

    def watch(self, pid: int) -> None:
        """From now on the group `pid` dies with us."""
        self._write(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """The group `pid` is gone; its number may be used again by others."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """End the guard, and with it every group it still watches."""
        os.close(self._pipe)
        self._process.wait()

    def _write(self, line: str) -> None:
        # A guard that somebody killed is not worth the stack: it only matters if we are killed too.
        with suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


class Child:
    """A running process of a part."""

    def __init__(self, process: asyncio.subprocess.Process, stop_signal: signal.Signals, guard: Guard) -> None:
        self._process = process
        self._stop_signal = stop_signal
        self._guard = guard
        self._is_gone = False
        self.pid = process.pid

    @classmethod
    async def start(cls, command: Command, env: Mapping[str, str], log: Path, guard: Guard) -> Child:
        """Start it; its standard output and error are appended to `log`."""
        with log.open("ab") as output:
            output.write(f"--- {' '.join(command.argv)}\n".encode())
            output.flush()
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=command.cwd,
                env={**os.environ, **env, **command.env},
                start_new_session=True,
            )
        guard.watch(process.pid)
        return cls(process, command.stop_signal, guard)

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself, not its group: it stops its own workers in its own order."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    async def wait(self) -> int:
        """Its exit code (negative: the signal it died of), after the last of its process group is gone too."""
        code = await self._process.wait()
        if not self._is_gone:
            self._is_gone = True
            _kill_group(self.pid)
            self._guard.forget(self.pid)
        return code

    def is_running(self) -> bool:
        return self._process.returncode is None

    async def stop(self, within_s: float) -> bool:
        """Ask it to stop; kill it after `within_s`. True when it went by itself."""
        self.send(self._stop_signal)
        try:
            async with asyncio.timeout(within_s):
                await self.wait()
        except TimeoutError:
            self.send(signal.SIGCONT)
            _kill_group(self.pid)
            await self.wait()
            return False
        return True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def describe_exit(code: int) -> str:
    """`exited with 1`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
