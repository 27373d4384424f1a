"""Tries again: pauses, errors that pass, cancellation, rounds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from node import retry
from node.errors import Invalid, Retryable
from node.postgres import TransactionConflict
from node.retry import AT_ONCE, Policy, every

#: A try that lasts longer than the longest pause counts as a long run: not so short that a busy machine makes it one.
SOON = Policy(0.005, 0.04)


@dataclass
class Work:
    """Fails with each error in turn, then returns."""

    errors: list[BaseException]
    tries: int = 0
    pauses: list[float] = field(default_factory=list)

    async def __call__(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def failed(self, _: BaseException, pause_s: float) -> None:
        self.pauses.append(pause_s)


async def test_pauses_double_up_to_the_last_with_a_part_left_to_chance() -> None:
    """Each pause is between three quarters of its length and all of it."""
    work = Work([Retryable("away") for _ in range(6)])
    assert await SOON.until_done(lambda: work(), work.failed) == "done"
    assert work.tries == 7
    for pause_s, full_s in zip(work.pauses, (0.005, 0.01, 0.02, 0.04, 0.04, 0.04), strict=True):
        assert (1 - retry.JITTER) * full_s <= pause_s <= full_s


async def test_the_first_pause_is_first_again_with_each_call() -> None:
    """Nothing is kept between calls."""
    work = Work([Retryable("away")] * 4)
    await SOON.until_done(work, work.failed)
    work.errors = [Retryable("away")]
    await SOON.until_done(work, work.failed)
    assert work.pauses[-1] <= SOON.first_s


async def test_what_only_met_another_is_tried_at_once() -> None:
    """A few times; one that meets another again and again waits like the rest."""
    work = Work([TransactionConflict("deadlock") for _ in range(AT_ONCE + 1)])
    await SOON.until_done(work, work.failed)
    assert work.pauses[:AT_ONCE] == [0.0] * AT_ONCE
    assert work.pauses[AT_ONCE] > 0


@pytest.mark.parametrize("error", [Invalid("order_id", "is empty"), KeyError("a fault"), TimeoutError()])
async def test_other_errors_pass_at_once(error: Exception) -> None:
    """As they are, after one try."""
    work = Work([error])
    with pytest.raises(type(error)) as passed:
        await SOON.until_done(work, work.failed)
    assert passed.value is error
    assert (work.tries, work.pauses) == (1, [])


async def test_after_its_tries_the_last_error_passes() -> None:
    """Not an error of the library's."""
    work = Work([Retryable(str(n)) for n in range(9)])
    with pytest.raises(Retryable, match=r"^2$"):
        await Policy(0.0005, 0.001, tries=3).until_done(work, work.failed)
    assert work.tries == 3


async def test_forever_goes_on_after_an_end_and_begins_pauses_anew_after_a_long_run() -> None:
    """A reader that worked for longer than the longest pause is not treated as one that never came up."""
    pauses: list[float] = []
    runs = 0
    over = asyncio.Event()

    async def read() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:
            return
        if runs == 5:
            await asyncio.sleep(3 * SOON.last_s)
        if runs == 7:
            over.set()
        raise Retryable("lost")

    task = asyncio.create_task(SOON.forever(read, lambda _, pause_s: pauses.append(pause_s)))
    async with asyncio.timeout(5):
        await over.wait()
    task.cancel()
    await asyncio.wait([task])
    assert pauses[2] > SOON.first_s >= pauses[3]


@pytest.mark.parametrize("where", ["in the work", "in the pause"])
@pytest.mark.parametrize("how", ["until_done", "forever", "every"])
async def test_cancellation_ends_it_at_once(how: str, where: str) -> None:
    """It is never taken for a failure of the work, nor swallowed."""
    there = asyncio.Event()
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        there.set()
        if where == "in the work":
            await asyncio.Event().wait()
        raise Retryable("away")

    slow = Policy(100.0, 100.0)
    coroutine = every(100.0, work, _nothing) if how == "every" else getattr(slow, how)(work, _nothing)
    task: asyncio.Task[None] = asyncio.create_task(coroutine)
    await there.wait()
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert task.cancelled()
    assert tries == 1


async def test_a_deadline_around_it_holds() -> None:
    """`asyncio.timeout` ends the tries, and is told from a failure of the work."""
    work = Work([Retryable("away")] * 1_000_000)

    def failed(_: BaseException, __: float) -> None:
        if work.tries == 3:
            deadline.reschedule(asyncio.get_running_loop().time())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as deadline:
            await SOON.until_done(work, failed)
    assert work.tries == 3


async def test_a_generator_tries_again_and_can_be_left() -> None:
    """What was yielded before a failure is not lost; who stops listening ends it."""

    async def listen(work: Work) -> None:
        async for attempt in SOON.attempts(work.failed):
            with attempt:
                await work()

    work = Work([Retryable("away"), Retryable("away")])
    await listen(work)
    assert (work.tries, len(work.pauses)) == (3, 2)


async def test_a_round_that_fails_waits_for_the_next() -> None:
    """Other errors end the rounds."""
    work = Work([Retryable("away"), Retryable("away"), KeyError("a fault")])
    with pytest.raises(KeyError):
        await every(0.0005, work, work.failed)
    assert work.pauses == [0.0005, 0.0005]


@pytest.mark.parametrize("bad", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_pauses_are_checked(bad: tuple[float, float]) -> None:
    """No policy hammers."""
    with pytest.raises(ValueError, match="grow"):
        Policy(*bad)


def _nothing(_: BaseException, __: float) -> None:
    pass
