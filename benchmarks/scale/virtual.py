"""An event loop in virtual time: when nothing can run, the clock jumps to the next timer. Deterministic, no I/O."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """Waits by moving the clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again in this simulation")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio` with its own time, from 0 on."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now_s


class VirtualClock:
    """`Clock` of the running virtual loop; wall and domain are one."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_s(self) -> float:
        return self._loop.time()

    def wall_ms(self) -> int:
        return round(self._loop.time() * 1000)

    def domain_ms(self) -> int:
        return self.wall_ms()

    def wall_of_domain_ms(self, domain_ms: int) -> float:
        return float(domain_ms)


def run_virtually(work: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Runs it to its end in virtual time."""
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
