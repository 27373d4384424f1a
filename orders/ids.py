"""Order ids: UUIDv7 (RFC 9562) whose last four hexadecimal digits are the shard point of the user.

    018f6d3e-7c2a-7b41-9f2e-0c774d1b 5a3c
    └─ ms since ─┘ └─── random ────┘ └ point, 16 bits
       the epoch     58 bits

so that an id alone tells when the order was created (which monthly partition) and where it lives (which database),
whatever the range map says today. See docs/adr/0010.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from node.errors import Invalid
from orders.model import OrderId, UserId

#: Number of shard points; ranges of them make shards.
POINTS = 1 << 16

#: The last wall time an id may carry, milliseconds: the end of the year 9999, the last that dates of Python hold.
MAX_MS = 253_402_300_799_999

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def point_of_user(user_id: UserId) -> int:
    """The user's shard point, 0..65535: evenly spread over users, the same for ever."""
    return int.from_bytes(hashlib.blake2b(user_id.encode(), digest_size=2).digest(), "big")


def order_id_at(wall_ms: int, point: int, random_58: int) -> OrderId:
    """The id with these parts."""
    high, low = random_58 >> 46, random_58 & ((1 << 46) - 1)
    value = (wall_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 16 | point
    digits = f"{value:032x}"
    return OrderId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")


def point_of_order(order_id: OrderId) -> int:
    """The shard point within an id."""
    return int(order_id[-4:], 16)


def created_ms(order_id: OrderId) -> int:
    """The wall time within an id, milliseconds since the epoch."""
    return int(order_id[:8] + order_id[9:13], 16)


def checked_order_id(text: str) -> OrderId:
    """The id in canonical form. Raises `Invalid` when it cannot be one of ours: no UUID of version 7, or of a time
    after `MAX_MS`.
    """
    lower = text.lower()
    if not _FORM.fullmatch(lower) or created_ms(OrderId(lower)) > MAX_MS:
        raise Invalid("order_id", "not an order id (a UUID of version 7)", reason="BAD_ORDER_ID")
    return OrderId(lower)


@dataclass(slots=True)
class OrderIds:
    """Makes ids that never go back in time within a process, even if the clock does."""

    wall_ms: Callable[[], int]
    random_bits: Callable[[int], int] = secrets.randbits
    _last_ms: int = field(default=0, init=False)

    def new(self, user_id: UserId) -> OrderId:
        """A new id for an order of the user."""
        self._last_ms = max(self._last_ms, self.wall_ms())
        return order_id_at(self._last_ms, point_of_user(user_id), self.random_bits(58))
