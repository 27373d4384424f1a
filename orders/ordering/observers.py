"""Tell those who keep copies of orders about every write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from node.errors import FornoError, Retryable
from node.postgres import PoolExhausted
from orders.model import Order


class WriteObserver:
    """Keeps copies of orders, or notes of who wrote, and so has to know of writes. Overrides what it needs.

    `OrderDecisions` calls it after the commit and before its own call returns: who wrote reads what was written. No
    method raises, none takes longer than a moment (the cache waits 0.05 s for Redis).
    """

    async def placed(self, order: Order) -> None:
        """A customer has placed the order, now or when its key was used first; or perhaps, when that call failed."""

    async def changed(self, order: Order) -> None:
        """A customer, a kitchen or a timeout has decided on the order, which is now as given."""

    async def received(self, orders: Sequence[Order]) -> None:
        """Events of other services have changed these orders, which are now as given."""

    def outcome_unknown(self) -> None:
        """A change may have been committed or not, nobody knows of which orders."""


@dataclass(frozen=True, slots=True)
class WriteObservers:
    """Tell several observers, one after the other."""

    observers: tuple[WriteObserver, ...] = ()

    async def placed(self, order: Order) -> None:
        """See `WriteObserver`."""
        for observer in self.observers:
            await observer.placed(order)

    async def changed(self, order: Order) -> None:
        """See `WriteObserver`."""
        for observer in self.observers:
            await observer.changed(order)

    async def received(self, orders: Sequence[Order]) -> None:
        """See `WriteObserver`."""
        for observer in self.observers:
            await observer.received(orders)

    @contextmanager
    def told_if_unknown(self) -> Iterator[None]:
        """Wraps a change and the telling of it: a caller that is cancelled, or loses the database, in the middle cannot
        say whether it was committed, so all observers are told `outcome_unknown`.
        """
        try:
            yield
        except PoolExhausted:
            raise  # Nothing was begun.
        except BaseException as error:
            # A refusal comes before anything is written.
            if not isinstance(error, FornoError) or isinstance(error, Retryable):
                for observer in self.observers:
                    observer.outcome_unknown()
            raise


#: For a database whose orders nobody keeps copies of.
NO_OBSERVERS = WriteObservers()
