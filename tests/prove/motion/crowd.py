"""The generator processes of a storm, as seen by the test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.prove.motion.generator import Riders, Told

_END_S = 20.0


@dataclass(slots=True)
class Crowd:
    """All riders of the storm."""

    processes: list[asyncio.subprocess.Process]
    riders: Sequence[Riders]
    told: list[Told] = field(default_factory=list)

    @property
    def acked(self) -> int:
        """Fixes acknowledged, up to a second ago."""
        return sum(told.acked for told in self.told)

    @property
    def connected(self) -> int:
        """Riders with a session."""
        return sum(told.connected for told in self.told)

    def say(self, word: str) -> None:
        """Tells all processes."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(word.encode() + b"\n")

    async def until(self, true: Callable[[Crowd], bool], within_s: float, what: str) -> None:
        """Waits for a condition of the crowd."""
        try:
            async with asyncio.timeout(within_s):
                while not true(self):
                    for process in self.processes:
                        assert process.returncode is None, "a process of riders ended"
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {within_s} s: {self.told}") from None

    def journals(self) -> tuple[NDArray[np.void], set[str]]:
        """Keys of acknowledged fixes, and ids of acknowledged events. Only after `drain`."""
        fixes, events = [], set[str]()
        for riders in self.riders:
            with np.load(riders.out) as saved:
                fixes.append(saved["fixes"])
                events.update(saved["events"].tolist())
        return np.concatenate(fixes), events


@asynccontextmanager
async def crowd(riders: Sequence[Riders], folder: Path) -> AsyncIterator[Crowd]:
    """Starts the processes; ends them."""
    ready = Crowd([], riders, [Told() for _ in riders])
    readers: list[asyncio.Task[None]] = []
    try:
        for n, of in enumerate(riders):
            with (folder / f"riders-{n}.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "tests.prove.motion.generator",
                    json.dumps(asdict(of)),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=log,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            ready.processes.append(process)
            readers.append(asyncio.create_task(_read(process, ready, n), name=f"riders {n}"))
        yield ready
    finally:
        for process in ready.processes:
            await _end(process)
        await asyncio.gather(*readers)


async def _read(process: asyncio.subprocess.Process, into: Crowd, n: int) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        into.told[n] = Told(**json.loads(line))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
