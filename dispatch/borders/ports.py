"""Ports of lending and borrowing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatch.borders.borrow_choice import SharedView
from dispatch.engine.forwarding import ForwardedMessage
from dispatch.engine.model import Loan, Rider, RiderId
from proto.fix_columns import FixColumns


@dataclass(frozen=True, slots=True)
class LoanRow:
    """A loan that was granted: the rider as its home city lent it, and whether the borrower has sent it home."""

    rider: Rider
    loan: Loan
    returned: bool
    free_ms: int


class LoanBook(Protocol):
    """The loans that ticks have granted and ended. Any call may raise `Retryable`."""

    async def of_borrower(self, city: str) -> Sequence[LoanRow]:
        """Loans to a city that are not over."""

    async def of_home(self, city: str) -> Sequence[LoanRow]:
        """Loans of a city that are over and not yet forgotten."""

    async def give_back(self, loan_id: str, free_ms: int) -> None:
        """The borrower has no use of it, and never took it up. Idempotent."""

    async def forget(self, loan_id: str) -> None:
        """Removes a loan that is over. Idempotent."""


class BorderLogs(Protocol):
    """Writes to the logs of cities: durable on return. Raises `Retryable`; do it again then, ids stay the same."""

    async def asked(self, home_partition: int, rider_id: RiderId, loan: Loan) -> None:
        """Tells the home city that a neighbour wants the rider."""

    async def granted(self, rider: Rider, loan: Loan) -> None:
        """Tells the borrower that the rider is its own for a while."""

    async def ended(self, home_partition: int, rider_id: RiderId, loan: Loan, free_ms: int) -> None:
        """Tells the home city that the rider is back."""

    async def forward(self, messages: Sequence[ForwardedMessage]) -> None:
        """Send messages of lent riders to the borrower's log (`dispatch.engine.forwarding.Forward`)."""

    async def fixes(self, loan: Loan, fixes: FixColumns) -> None:
        """Passes on fixes of a rider on loan."""


class Neighbours(Protocol):
    """The owners of the cities next door. Any call may raise `Retryable`."""

    async def view(self, city: str, borrower: str) -> SharedView:
        """The part of the city that this neighbour may see."""

    async def lend(self, rider_id: RiderId, loan: Loan) -> bool:
        """Asks the home city for a rider; whether the question was taken. Idempotent by loan id."""
