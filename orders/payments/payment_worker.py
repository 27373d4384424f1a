"""Work on payments that have something to do: ask the provider, store the answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from node.clock import Clock
from node.errors import Rejected, Retryable
from node.postgres import DataAtFault
from node.retry import every, warned
from orders.payments.metrics import CALLS, OVERDUE
from orders.payments.model import Action, Answer, Money, Payment, key_of
from orders.payments.ports import PaymentProvider, PaymentQueue
from orders.payments.transitions import next_action, refund_due, settled

#: Calls to the provider at the same time. More wait in the queue.
AT_ONCE = 64
#: A claim outlives any call; when the process dies, another takes over after this long (wall seconds, as all here).
CLAIM_S = 6.0
CALL_TIMEOUT_S = 5.0
POLL_S = 0.5
#: Pause after a failed try: doubles from the first to the last.
BACKOFF_S = (0.25, 60.0)
#: Pause between two looks at a payment that waits for the customer; a webhook makes it shorter.
CUSTOMER_S = (1.0, 30.0)
OVERDUE_S = 60.0


class PaymentWorker:
    """Claims payments from the queue and settles them; `wake` makes it look into the queue at once."""

    def __init__(
        self, queue: PaymentQueue, provider: PaymentProvider, clock: Clock, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._queue = queue
        self._provider = provider
        self._clock = clock
        self._log = log
        self._woken = asyncio.Event()
        self._free = AT_ONCE
        self._more_due = False

    def wake(self) -> None:
        """Note that something may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Serve what is due, until cancelled. A call whose answer is lost is made again with the same key."""
        async with asyncio.TaskGroup() as calls:
            while True:
                self._woken.clear()
                for payment in await self._claimed():
                    self._free -= 1
                    calls.create_task(self._serve(payment)).add_done_callback(self._done)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._woken.wait()

    async def follow_notices(self) -> None:
        """Settle answers that come by themselves, until cancelled; those that say what is known change nothing."""
        async for notice in self._provider.notices():
            try:
                payment = await self._queue.get(notice.order_id)
                if payment is not None:
                    await self._settle(payment, notice.action, notice.answer)
            except (Retryable, DataAtFault) as error:  # the payment stays due and is asked about again
                CALLS.labels(notice.action, "unanswered").inc()
                self._log.warning("notice not stored", order_id=notice.order_id, action=notice.action, why=repr(error))

    async def measure_overdue(self) -> None:
        """Measure how many payments wait too long, until cancelled."""
        await every(OVERDUE_S / 4, self._count_overdue, warned(self._log, "overdue payments not counted"))

    async def _count_overdue(self) -> None:
        OVERDUE.set(await self._queue.overdue(OVERDUE_S))

    async def _claimed(self) -> list[Payment]:
        try:
            claimed = await self._queue.claim(self._free, CLAIM_S) if self._free else []
        except Retryable as error:
            self._log.warning("cannot look into the queue", error=str(error))
            return []
        self._more_due = len(claimed) >= self._free
        return claimed

    def _done(self, task: asyncio.Task[None]) -> None:
        self._free += 1
        if self._more_due:
            self._woken.set()

    async def _serve(self, payment: Payment) -> None:
        action = next_action(payment)
        if action is None:
            return
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await self._ask(payment, action)
            if action is Action.CHECK and answer.action is not None:
                await self._queue.postpone(payment.order_id, _pause_s(payment, CUSTOMER_S))
            else:
                await self._settle(payment, action, answer)
        except (Retryable, Rejected, DataAtFault, TimeoutError) as error:
            CALLS.labels(action, "unanswered").inc()
            await self._try_later(payment, action, repr(error))

    async def _ask(self, payment: Payment, action: Action) -> Answer:
        key, ref, amount = key_of(payment.order_id, action), payment.provider_ref, payment.amount
        match action:
            case Action.CHECK:
                return await self._provider.check(ref)
            case Action.AUTHORISE:
                return await self._provider.authorise(key, payment.token, amount)
            case Action.CAPTURE:
                return await self._provider.capture(key, ref, amount)
            case Action.VOID:
                return await self._provider.void(key, ref)
            case Action.REFUND:
                refund = refund_due(payment)
                key = key_of(payment.order_id, action, refund)
                return await self._provider.refund(key, ref, Money(refund.minor, amount.currency))

    async def _settle(self, payment: Payment, action: Action, answer: Answer) -> None:
        done = settled(payment, action, answer)
        if done is None:
            CALLS.labels(action, "repeated" if answer.approved else "refused").inc()
            if not answer.approved:
                await self._try_later(payment, action, answer.reason)
            return
        moved = await self._queue.settle(done, self._clock.domain_ms())
        CALLS.labels(action, ("approved" if answer.approved else "declined") if moved else "repeated").inc()

    async def _try_later(self, payment: Payment, action: Action, why: str) -> None:
        pause_s = _pause_s(payment, BACKOFF_S)
        self._log.warning("payment put off", order_id=payment.order_id, action=action, why=why, pause_s=pause_s)
        with suppress(Retryable):  # its claim runs out anyway
            await self._queue.postpone(payment.order_id, pause_s)


def _pause_s(payment: Payment, bounds_s: tuple[float, float]) -> float:
    """Twice as long after each try."""
    first_s, last_s = bounds_s
    return min(first_s * 2.0 ** min(32, max(0, payment.attempts - 1)), last_s)
