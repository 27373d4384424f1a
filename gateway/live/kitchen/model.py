"""Values of a kitchen's screen. Times in domain milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Kitchen(NamedTuple):
    """A restaurant of a city."""

    city: str
    restaurant_id: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as its kitchen sees it; `body` is what the screen gets."""

    order_id: str
    version: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Board:
    """Orders that a kitchen sees, oldest first."""

    tickets: tuple[Ticket, ...]
    #: Whether it takes orders without being asked, its pace, whether there are more tickets than fit.
    about: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """Command of a kitchen. `seconds` and `reason` where the kind has them."""

    kind: str
    order_id: str = ""
    seconds: int = 0
    reason: str = ""
    on: bool = False


class KitchenSource(Protocol):
    """The kitchens of the orders service."""

    async def board(self, kitchen: Kitchen) -> Board:
        """The board as last committed. Raises `FornoError`."""

    async def say(self, kitchen: Kitchen, command: Command) -> tuple[Ticket | None, bool]:
        """The ticket after a command, and whether that changed anything. Raises `FornoError`; may be repeated."""
