"""The life of a process: boot, run its named parts, stop in the written order within one deadline.

    async def boot(node: Node) -> None:
        pool = await postgres.connect(...)
        node.on_stop("postgres", pool.close)
        node.start("ticks", engine.run())

    if __name__ == "__main__":
        raise SystemExit(run("dispatch", settings, boot))

A part that ends or raises before the process was told to stop ends the process with its reason: half a service is worse
than none, the supervisor starts it again. Closers run in reverse order of their registration.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
import uvloop

from node.settings import NodeSettings
from node.telemetry import configure_logging, serve_metrics

#: All closers together may take this long, wall seconds.
STOP_DEADLINE_S = 8.0

#: New objects (less those freed) before the collector looks at the young ones, and rounds before it looks at older
#: ones. Reference counting frees nearly everything here; at the interpreter's 700 a process with thousands of streams
#: spends a fifth of its CPU on looking, and stands still for it.
GC_THRESHOLDS = (50_000, 20, 50)

Closer = Callable[[], Awaitable[object]]


def in_background(run: Coroutine[Any, Any, None], name: str, log: structlog.stdlib.BoundLogger) -> asyncio.Task[None]:
    """Runs beside its caller, who goes on when it fails and cancels it in the end: a failure is logged."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("background task failed", task=task.get_name(), exc_info=task.exception())

    task = asyncio.create_task(run, name=name)
    task.add_done_callback(ended)
    return task


class Node:
    """A running process and its named parts."""

    def __init__(self, name: str, log: structlog.stdlib.BoundLogger) -> None:
        self.name = name
        self.log = log
        self.stopping = asyncio.Event()
        self.failure: str | None = None
        self._parts: dict[str, asyncio.Task[object]] = {}
        self._closers: list[tuple[str, Closer]] = []

    def start(self, name: str, run: Coroutine[Any, Any, object]) -> None:
        """Runs a long-lived part until the process stops; it is cancelled then, before the closers run."""
        task = asyncio.create_task(run, name=name)
        self._parts[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def on_stop(self, name: str, close: Closer) -> None:
        """Registers what to close; the last registered is closed first."""
        self._closers.append((name, close))

    def stop(self, reason: str) -> None:
        """Begins the stop; calling it again changes nothing."""
        if not self.stopping.is_set():
            self.log.info("stopping", reason=reason)
            self.stopping.set()

    def _ended(self, name: str, task: asyncio.Task[object]) -> None:
        if self.stopping.is_set():
            return
        # Nobody cancels a part before the stop: a cancellation that escaped from a library is a failure like any other.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self.failure = f"part {name!r} " + (f"failed: {error!r}" if error else "ended")
        self.log.error("part ended", part=name, exc_info=error)
        self.stop(self.failure)

    async def close(self) -> None:
        """Cancels the parts, then runs the closers, all within `STOP_DEADLINE_S`."""
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                for task in self._parts.values():
                    task.cancel()
                await asyncio.gather(*self._parts.values(), return_exceptions=True)
                while self._closers:
                    name, close = self._closers.pop()
                    await self._close_one(name, close)
        except TimeoutError:
            self.log.error("stop deadline passed", left=[name for name, _ in self._closers])

    async def _close_one(self, name: str, close: Closer) -> None:
        try:
            await close()
        except Exception as error:  # a closer that fails must not keep the others from running
            self.log.error("close failed", part=name, exc_info=error)


def calm_collector() -> None:
    """Collects once, takes what is there for permanent, and collects rarely from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


Boot = Callable[[Node], Awaitable[None]]


def run(name: str, settings: NodeSettings, boot: Boot) -> int:
    """Runs a process until SIGINT or SIGTERM; returns its exit code (1 when a part failed or the boot did)."""
    log = configure_logging(name, settings.log_level)
    serve_metrics(settings.metrics_address)
    return uvloop.run(_live(Node(name, log), boot))


async def _live(node: Node, boot: Boot) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, node.stop, signal.Signals(number).name)
    booting = asyncio.ensure_future(boot(node))
    stopping = asyncio.create_task(node.stopping.wait())
    try:
        await asyncio.wait({booting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if booting.done():
            booting.result()
            calm_collector()
            node.log.info("ready")
            await stopping
    except Exception as error:  # the boot failed: say why, and leave
        node.failure = f"boot failed: {error!r}"
        node.log.error("boot failed", exc_info=error)
    finally:
        node.stopping.set()
        booting.cancel()
        await node.close()
    if node.failure:
        print(f"{node.name}: {node.failure}", file=sys.stderr)
        return 1
    return 0
