"""Keep one part of the stack running: start it after what it needs, check it, restart it with backoff when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from signal import Signals
from typing import Literal

from deploy.stack.errors import PartFailed
from deploy.stack.folder import Folder
from deploy.stack.part import NotReady, Part
from deploy.stack.process import Child, Guard, describe_exit

State = Literal["waiting", "starting", "running", "restarting", "stopped"]

#: Signals after which `kill` waits for the death.
_DEADLY = frozenset({Signals.SIGKILL, Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT, Signals.SIGABRT})

#: Between two checks of a part that starts: at first, at most, and the factor between. Asking costs CPU that it needs.
_CHECK_EVERY_S = (0.02, 0.3, 1.25)
_CHECK_TIMEOUT_S = 5.0
#: How often an outside server is asked whether it is still there.
_OUTSIDE_CHECK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting before the n-th restart in a row: doubles up to a ceiling, forgotten after a while of good health."""

    first_s: float = 0.1
    ceiling_s: float = 5.0
    healthy_after_s: float = 5.0

    def delay_s(self, deaths_in_a_row: int) -> float:
        return min(self.ceiling_s, self.first_s * 2.0 ** min(deaths_in_a_row - 1, 30))


class PartSupervisor:
    """The life of one part. `run` is a task of the stack; all else is called from the same event loop."""

    def __init__(
        self,
        part: Part,
        folder: Folder,
        guard: Guard,
        env: Mapping[str, str],
        *,
        fail_fast: bool,
        on_change: Callable[[], None],
        backoff: Backoff = Backoff(),  # noqa: B008 (a frozen value)
    ) -> None:
        self.part = part
        self.state: State = "waiting"
        self.version = ""
        self.note = ""
        self.restarts = 0
        self.healthy = asyncio.Event()
        self._folder = folder
        self._guard = guard
        self._env = env
        self._fail_fast = fail_fast
        self._on_change = on_change
        self._backoff = backoff
        self._child: Child | None = None
        self.runs_here = True
        #: A death that was asked for (`kill`, `restart`) is no failure: the part comes back, even under fail-fast.
        self._death_is_asked_for = False

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    async def run(self, needs: tuple[PartSupervisor, ...]) -> None:
        """Keep the part alive until cancelled. Cancelling leaves the process running; `stop` ends it.

        Raises PartFailed when it cannot be started, or dies under fail-fast.
        """
        for needed in needs:
            await needed.healthy.wait()
        self._become("starting")
        self.part.report = self._take_note
        await self.part.prepare()
        self._take_note("")
        await self._start_first()
        deaths_in_a_row = 0
        while True:
            healthy_since_s = time.monotonic()
            reason = await self._until_it_dies()
            if self._fail_fast and not self._death_is_asked_for:
                raise self._failed(reason)
            self._death_is_asked_for = False
            if time.monotonic() - healthy_since_s > self._backoff.healthy_after_s:
                deaths_in_a_row = 0
            deaths_in_a_row = await self._start_again(deaths_in_a_row + 1)

    async def kill(self, number: Signals) -> None:
        """Send a signal for a drill. When the part dies of it, this returns after its death, and it is restarted."""
        if self._child is None:
            raise ProcessLookupError(f"{self.part.name} is not running here")
        child = self._child
        self._death_is_asked_for |= number in _DEADLY
        child.send(number)
        if number in _DEADLY:
            await child.wait()
            self.healthy.clear()

    async def restart(self, within_s: float) -> None:
        """Stop it in good order and wait until it is healthy again."""
        if self._child is None:
            raise ProcessLookupError(f"{self.part.name} is not running here")
        self._death_is_asked_for = True
        self.healthy.clear()
        await self._child.stop(within_s)
        await self.healthy.wait()

    async def stop(self, within_s: float) -> None:
        """End the process for good. `run` must have been cancelled."""
        if self._child is not None:
            await self._child.stop(within_s)
        self._child = None
        self.healthy.clear()
        self._become("stopped")

    async def _start_first(self) -> None:
        for attempt in range(1, self.part.start_attempts + 1):
            reason = await self._start()
            if reason is None:
                return
            if attempt == self.part.start_attempts:
                raise self._failed(reason)
            await asyncio.sleep(self._backoff.delay_s(attempt))

    async def _start_again(self, deaths_in_a_row: int) -> int:
        """Try until it is healthy; returns the deaths in a row by then."""
        while True:
            self._become("restarting")
            await asyncio.sleep(self._backoff.delay_s(deaths_in_a_row))
            if await self._start() is None:
                self.restarts += 1
                return deaths_in_a_row
            deaths_in_a_row += 1

    async def _start(self) -> str | None:
        """One attempt, up to good health. None, or why it failed (then no process is left)."""
        command = self.part.command()
        self.runs_here = command is not None
        if command is not None:
            log = self._folder.log(self.part.name)
            try:
                self._child = await Child.start(command, self._env, log, self._guard)
            except OSError as error:
                return f"could not be started: {error}"
            self._become(self.state)
        reason = await self._until_healthy()
        if reason is not None:
            if self._child is not None:
                await self._child.stop(0.0)
                self._child = None
            return reason
        self._become("running")
        self.healthy.set()
        return None

    async def _until_healthy(self) -> str | None:
        last: Exception | None = None
        pause_s, longest_s, factor = _CHECK_EVERY_S
        try:
            async with asyncio.timeout(self.part.ready_within_s):
                while self._child is None or self._child.is_running():
                    try:
                        async with asyncio.timeout(_CHECK_TIMEOUT_S):
                            self.version = await self.part.check()
                            await self.part.settle()
                        return None
                    except (NotReady, TimeoutError) as error:
                        last = error
                    await asyncio.sleep(pause_s)
                    pause_s = min(longest_s, pause_s * factor)
        except TimeoutError:
            return f"was not ready within {self.part.ready_within_s:g} s: {last}"
        if self._child is None:
            return "is gone"
        return describe_exit(await self._child.wait()) + " while it started"

    async def _until_it_dies(self) -> str:
        if self._child is not None:
            reason = describe_exit(await self._child.wait())
            self._child = None
        else:
            reason = await self._until_outside_is_gone()
        self.healthy.clear()
        return reason

    async def _until_outside_is_gone(self) -> str:
        while True:
            await asyncio.sleep(_OUTSIDE_CHECK_EVERY_S)
            try:
                async with asyncio.timeout(_CHECK_TIMEOUT_S):
                    await self.part.check()
            except (NotReady, TimeoutError) as error:
                return f"does not answer any more: {error}"

    def _failed(self, reason: str) -> PartFailed:
        if not self.runs_here:
            return PartFailed(self.part.name, f"at {self.part.address} {reason}", None, "")
        name = self.part.name
        return PartFailed(name, reason, self._folder.log(name), self._folder.log_tail(name))

    def _take_note(self, text: str) -> None:
        self.note = text
        self._on_change()

    def _become(self, state: State) -> None:
        self.state = state
        self._on_change()
