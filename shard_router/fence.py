"""The fence of a transaction that decides for a city: what `router.hold` refuses, and its SQLSTATEs."""

from __future__ import annotations

from node.errors import Rejected
from node.postgres import state_means


class OwnershipLost(Rejected):
    """The database says that the caller does not own the city in this epoch, or that its lease ran out."""

    reason = "NOT_OWNER"


state_means("FR001", OwnershipLost)  # another owner, or another epoch
state_means("FR002", OwnershipLost)  # the lease is over
