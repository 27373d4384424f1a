"""What can go wrong with the archive."""

from __future__ import annotations

from node.errors import FornoError, Rejected
from orders.model import OrderId


class ArchiveMismatch(FornoError):
    """A file of the archive is not what was written: nothing was dropped."""

    reason = "ARCHIVE_MISMATCH"


class OrderArchived(Rejected):
    """The order is in the archive and changes no more."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"order {order_id} is archived: it changes no more", reason="ARCHIVED")
