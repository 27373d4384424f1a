"""Starting, watching, restarting and ending a process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.stack.errors import PartFailed
from deploy.stack.folder import Folder
from deploy.stack.part import Part
from deploy.stack.process import Guard
from deploy.stack.supervisor import Backoff, PartSupervisor
from tests.unit.deploy.processes import OBEDIENT, Script, until_gone

#: Becomes healthy, with a worker in its process group that writes its pid to the ready file.
WITH_WORKER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as ready: ready.write(str(worker.pid))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


Keep = Callable[..., PartSupervisor]


@pytest.fixture
def guard(own_folder: Path) -> Iterator[Guard]:
    """A guard over a claimed folder; what a test forgets dies with it."""
    folder = Folder(own_folder)
    guard = Guard(folder.claim())
    yield guard
    guard.close()
    folder.release()


@pytest.fixture
def supervisor(own_folder: Path, guard: Guard) -> Keep:
    """Makes supervisors of parts of this folder."""

    def make(part: Part, *, fail_fast: bool = False, on_change: Callable[[], None] = lambda: None) -> PartSupervisor:
        return PartSupervisor(part, Folder(own_folder), guard, {}, fail_fast=fail_fast, on_change=on_change)

    return make


@asynccontextmanager
async def kept(supervisor: PartSupervisor) -> AsyncIterator[asyncio.Task[None]]:
    """The supervisor's `run` as a task, the part healthy on entry; all is ended on exit."""
    task = asyncio.create_task(supervisor.run(()))
    healthy = asyncio.create_task(supervisor.healthy.wait())
    try:
        await asyncio.wait({task, healthy}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield task
    finally:
        task.cancel()
        healthy.cancel()
        await asyncio.gather(task, healthy, return_exceptions=True)
        await supervisor.stop(10.0)


def _pid(supervisor: PartSupervisor) -> int:
    assert supervisor.pid is not None
    return supervisor.pid


async def test_what_dies_is_restarted(own_folder: Path, supervisor: Keep) -> None:
    """After SIGKILL there is a new healthy process, and the restart is counted."""
    script = supervisor(Script("script", OBEDIENT, own_folder))
    async with kept(script):
        first = _pid(script)
        await script.kill(signal.SIGKILL)
        await script.healthy.wait()
        assert (script.restarts, script.version, script.state) == (1, "1.0", "running")
        assert _pid(script) != first


async def test_a_death_under_fail_fast_is_reported_with_the_log(own_folder: Path, supervisor: Keep) -> None:
    """The first death ends the supervisor: who, of what, and its last words."""
    oven = supervisor(Script("oven", f"print('out of flour', flush=True); {OBEDIENT}", own_folder), fail_fast=True)
    async with kept(oven) as task:
        os.kill(_pid(oven), signal.SIGKILL)
        with pytest.raises(PartFailed, match="oven was killed by SIGKILL") as failed:
            await task
    assert "  out of flour" in failed.value.log_tail.splitlines()


async def test_a_drill_does_not_count_as_failure(own_folder: Path, supervisor: Keep) -> None:
    """`kill` under fail-fast brings the part back."""
    script = supervisor(Script("script", OBEDIENT, own_folder), fail_fast=True)
    async with kept(script):
        await script.kill(signal.SIGKILL)
        await script.healthy.wait()
        assert script.restarts == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemExit(3)", "exited with 3 while it started"),
        ("import os; os.kill(os.getpid(), 11)", "was killed by SIGSEGV while it started"),
    ],
)
async def test_a_part_that_dies_at_once_fails(text: str, reason: str, own_folder: Path, supervisor: Keep) -> None:
    """The first start must succeed, fail-fast or not."""
    script = supervisor(Script("script", text, own_folder))
    with pytest.raises(PartFailed, match=reason):
        await script.run(())
    assert script.pid is None


async def test_a_part_that_is_never_ready_fails(own_folder: Path, supervisor: Keep) -> None:
    """The reason says what the check last said, and nothing is left running."""
    part = Script("script", "import time; time.sleep(600)", own_folder)
    part.ready_within_s = 0.2
    script = supervisor(part)
    with pytest.raises(PartFailed, match=r"was not ready within 0\.2 s: no file yet"):
        await script.run(())
    assert script.pid is None


async def test_workers_die_with_their_service(own_folder: Path, supervisor: Keep) -> None:
    """A restarted service does not find the workers of its dead self."""
    part = Script("script", WITH_WORKER, own_folder)
    script = supervisor(part)
    async with kept(script):
        worker = int(part.ready.read_text())
        await script.kill(signal.SIGKILL)
        await until_gone(worker)


async def test_who_does_not_stop_is_killed(own_folder: Path, supervisor: Keep) -> None:
    """A part that ignores SIGTERM is gone after the deadline, even when it was frozen."""
    script = supervisor(Script("script", DEAF, own_folder))
    async with kept(script):
        pid = _pid(script)
        await script.kill(signal.SIGSTOP)
        await script.stop(0.1)
        await until_gone(pid)


async def test_a_part_waits_for_what_it_needs(own_folder: Path, supervisor: Keep) -> None:
    """It is started only when its needs are healthy."""
    oven = supervisor(Script("oven", OBEDIENT, own_folder))
    oven_was_healthy: list[bool] = []
    pizza = supervisor(
        Script("pizza", OBEDIENT, own_folder, needs=("oven",)),
        on_change=lambda: oven_was_healthy.append(oven.healthy.is_set()),
    )
    waiting = asyncio.create_task(pizza.run((oven,)))
    async with kept(oven):
        await pizza.healthy.wait()
        assert all(oven_was_healthy)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await pizza.stop(10.0)


@pytest.mark.parametrize(("deaths", "delay_s"), [(1, 0.1), (2, 0.2), (5, 1.6), (7, 5.0), (10_000, 5.0)])
def test_backoff_doubles_up_to_a_ceiling(deaths: int, delay_s: float) -> None:
    """The wait before a restart is bounded however often a part died."""
    assert Backoff().delay_s(deaths) == pytest.approx(delay_s)
