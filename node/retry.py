"""Try again: pauses that double, with jitter, upon errors that a retry may heal; and rounds at a fixed pace.

    await QUICK.until_done(self.publish_all, warned(log, "results wait"))  # one piece of work, until it is done
    await QUICK.forever(self._follow, warned(log, "reading paused"))  # a reader that ends only by failing
    await every(60.0, self.sweep, warned(log, "sweep put off"))  # rounds; one that fails waits for the next

Cancellation ends all three at once, in the work and in the pause. Nothing is kept between calls.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import NoReturn, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, stop_never

from node.errors import Retryable

T = TypeVar("T")

#: Told of each failure that is tried again: the error, and the pause before the next try, wall seconds.
Failed = Callable[[BaseException, float], None]
#: A pause is shortened by up to this part of it, by chance: those that failed together do not come back together.
JITTER = 0.25
#: Tries without a pause of what failed only because it met another (`Retryable.at_once`).
AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """Pauses double from `first_s` to `last_s` (wall seconds) while the work raises one of the errors `of`; after
    `tries` the error passes. Other errors pass at once.
    """

    first_s: float
    last_s: float
    of: tuple[type[Exception], ...] = (Retryable,)
    tries: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.last_s:
            raise ValueError(f"pauses must grow from more than 0 s: {self.first_s}, {self.last_s}")

    async def until_done(self, work: Callable[[], Awaitable[T]], failed: Failed) -> T:
        """Run `work` until it succeeds and return its result. Raises its error after `tries`, or a final one."""

        async def once() -> T:  # the library awaits what is declared `async`, not what a lambda returns
            return await work()

        return await _retrying(self, failed)(once)

    async def forever(self, work: Callable[[], Awaitable[object]], failed: Failed) -> NoReturn:
        """Does the work again whenever it fails, or `first_s` after it ended in peace, until cancelled. Pauses begin
        anew after a run that lasted longer than the longest pause.
        """
        while True:
            await self.until_done(work, failed)
            await asyncio.sleep(self.first_s)

    def attempts(self, failed: Failed) -> AsyncRetrying:
        """For a generator, which cannot hand its work over: `async for attempt in …: with attempt: …`."""
        return _retrying(self, failed)


#: What somebody waits for: logs, results, positions.
QUICK = Policy(0.05, 2.0)
#: What nobody waits for: views, trails, upkeep.
PATIENT = Policy(0.5, 5.0)


def warned(log: structlog.stdlib.BoundLogger, event: str, **fields: object) -> Failed:
    """Writes a warning for each failure."""

    def warn(error: BaseException, pause_s: float) -> None:
        log.warning(event, error=str(error) or repr(error), pause_s=round(pause_s, 3), **fields)

    return warn


async def every(
    period_s: float, work: Callable[[], Awaitable[object]], failed: Failed, *, first_s: float = 0.0
) -> NoReturn:
    """Does the work, then again `period_s` after it ended, until cancelled; the first time after `first_s`. A round
    that raises `Retryable` is told and left to the next one.
    """
    await asyncio.sleep(first_s)
    while True:
        try:
            await work()
        except Retryable as error:
            failed(error, period_s)
        await asyncio.sleep(period_s)


@dataclass(slots=True)
class _Pauses:
    """The pauses of one piece of work, as tenacity asks for them."""

    policy: Policy
    failures: int = 0
    began_s: float = field(default_factory=monotonic)

    def begin(self, _: RetryCallState) -> None:
        """A try begins."""
        self.began_s = monotonic()

    def __call__(self, state: RetryCallState) -> float:
        """Pause after a failure, seconds."""
        policy = self.policy
        self.failures = 1 if monotonic() - self.began_s > policy.last_s else self.failures + 1
        if getattr(_error(state), "at_once", False) and self.failures <= AT_ONCE:
            return 0.0
        pause_s = min(policy.last_s, policy.first_s * 2.0 ** min(self.failures - 1, 32))
        return pause_s * (1 - JITTER * random.random())


def _retrying(policy: Policy, failed: Failed) -> AsyncRetrying:
    pauses = _Pauses(policy)

    def tell(state: RetryCallState) -> None:
        failed(_error(state), state.upcoming_sleep)

    return AsyncRetrying(
        sleep=asyncio.sleep,
        stop=stop_never if policy.tries is None else stop_after_attempt(policy.tries),
        wait=pauses,
        retry=retry_if_exception_type(policy.of),
        before=pauses.begin,
        before_sleep=tell,
        reraise=True,
    )


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None, "only failures are tried again"
    return error
